// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/layout.h"
#include "ops/operator.h"

namespace normgrad {

/// One fully determined call of one operator, and the questions to ask about it. Everything a run
/// depends on is here, so equal cases give bitwise equal inputs on every machine. A plain value.
struct Case {
  const Operator* op = nullptr;
  std::string product;  // Product::key
  Dims dims;
  DTypes dtypes;                                             // one per DTypeColumns(*op)
  LayoutKind layout = LayoutKind::kContiguous;               // of every tensor …
  std::map<std::string, LayoutKind, std::less<>> layout_of;  // … but these, by param name
  std::string fill = "normal";
  double eps = 1e-6;  // of the forward pass that makes the statistics
  std::uint64_t seed = 1;
  std::vector<std::string> checks;  // in the order of CheckNames()
  std::string source;               // "cases/rms.yaml:12:5"

  /// "rms_norm_grad/atlas-a2/A=4x512,R=4096/float16-float32-float16-float32": operator, product,
  /// extents ("A=" for no axes), dtypes; then, only where they differ from the defaults,
  /// "/<layout>" (or "/dy:transposed,x:offset"), "/<fill>", "/eps=…", "/seed=…". Unique within a
  /// sweep.
  std::string Id() const;

  /// Hash of what determines the call (all of the above but checks and source): the key of random
  /// data. Stable across releases.
  std::uint64_t Hash() const;

  LayoutKind LayoutOf(const Param& param) const;
  DType DTypeOf(const Param& param) const;
  Shape ShapeOf(const Param& param) const;
};

/// "float16-float32-float16-float32"
std::string DTypesText(const DTypes& dtypes);

/// "contiguous", "transposed", "dy:transposed,x:offset".
std::string LayoutText(const Case& the_case);

/// Names of checks a sweep may ask for, in the order they run, and of fills.
std::span<const std::string_view> CheckNames();
std::span<const std::string_view> FillNames();

}  // namespace normgrad
