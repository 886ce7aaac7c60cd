// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string_view>

#include "ops/operator.h"

namespace normgrad {

/// Every operator, in report order.
std::span<const Operator* const> AllOperators();

/// Throws Error with the nearest or all known names when `name` is not one of them.
const Operator& FindOperator(std::string_view name);

extern const Operator kBatchNormElemtBackward;
extern const Operator kGroupNormBackward;
extern const Operator kLayerNormBackward;
extern const Operator kRmsNormGrad;

}  // namespace normgrad
