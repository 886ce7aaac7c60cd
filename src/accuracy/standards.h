// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "accuracy/comparison.h"
#include "base/dtype.h"
#include "ops/operator.h"

namespace normgrad {

/// What an output is, as far as a standard's thresholds depend on it.
struct OutputKind {
  std::string_view op{};          // Operator::name
  Role role = Role::kData;        // of the output
  DType dtype = DType::kFloat32;  // of the output
  DType data = DType::kFloat32;   // of the operator's data tensors
};

/// The number that decided a standard's verdict, and what it was held against.
struct Statistic {
  std::string_view name{};  // "mismatched share", "mean relative error", …
  double value = 0;
  double limit = 0;
  bool below = false;  // it must be below the limit; else at most it

  bool passed() const { return below ? value < limit : value <= limit; }
};

/// A published standard of accuracy.
struct Standard {
  std::string_view name;  // as in reports and --standard
  std::string_view rule;  // one line
  std::string_view source;
  std::string_view note;                   // how we read what the source leaves open; may be empty
  std::string (*thresholds)(DType dtype);  // of float32, float16 or bfloat16; one line
  // The statistic that failed, else the one that is looked at first.
  Statistic (*judge)(const OutputKind& kind, const Comparison& comparison);
};

/// Every standard that is computed beside the derived bound.
std::span<const Standard> Standards();

/// How --standard and reports call the bound of ours.
inline constexpr std::string_view kDerivedBound = "derived";

/// The standard of that name, null for kDerivedBound. Throws Error, with a suggestion, if there is
/// none.
const Standard* FindStandard(std::string_view name);

/// What a comparison has to count for all of them. Throws std::logic_error for a dtype that none is
/// about, or an operator without thresholds.
ElementLimits LimitsOf(const OutputKind& kind);

/// The table as text for a terminal: rule, thresholds per dtype, source and note of each.
std::string DescribeStandards();

}  // namespace normgrad
