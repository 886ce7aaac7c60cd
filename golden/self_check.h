// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "golden/oracle.h"

namespace normgrad {

/// One element of a gradient beside the slope of the forward pass.
struct GradientElement {
  std::string output{};
  std::size_t index = 0;
  double reference = 0;   // Oracle::reference
  double difference = 0;  // central difference of Oracle::forward
};

/// Every gradient of `op`'s oracle on a small call in float64 with fixed random inputs, beside the
/// central difference of the loss sum(gradient of y * y), statistics recomputed from x: the
/// backward pass is the derivative of the forward pass, or one of the two is wrong.
std::vector<GradientElement> CompareWithForward(const Operator& op);

/// The largest |reference - difference| of CompareWithForward(), relative to the largest gradient
/// of the same output. Truncation and cancellation of the difference leave some 1e-8 of a right
/// oracle.
double GradientError(const Operator& op);

/// What a right oracle's GradientError() stays below, with two digits to spare.
inline constexpr double kMostGradientError = 1e-6;

}  // namespace normgrad
