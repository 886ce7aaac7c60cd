// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/layout.h"

namespace normgrad {

/// What each symbol of a shape pattern stands for, e.g. {"A": [4, 512], "R": [4096]}.
using Dims = std::map<std::string, Shape, std::less<>>;

/// "A=[4, 512], R=[4096]"
std::string ToString(const Dims& dims);

/// A shape pattern is a space-separated list of axes (notation after jaxtyping):
///   `C`        one axis, extent bound to symbol C
///   `*A`       zero or more axes, extents bound to symbol A
///   `ones(R)`  one axis of extent 1 for every axis of R
/// Example: layer norm's mean is "*A ones(R)" where x is "*A *R".
consteval bool IsShapePattern(std::string_view pattern) {
  bool group_open = false;
  for (const char c : pattern) {
    const bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (c == '(') group_open = true;
    if (c == ')') group_open = false;
    if (!letter && c != '*' && c != ' ' && c != '(' && c != ')') return false;
  }
  return !group_open;
}

/// One axis, or group of axes, of a pattern.
struct PatternAxis {
  enum class Kind { kSingle, kGroup, kOnes } kind;
  std::string_view symbol;
};
std::vector<PatternAxis> ParsePattern(std::string_view pattern);

/// The concrete shape `pattern` denotes under `dims`.
/// Throws std::logic_error if a symbol of `pattern` is unbound.
Shape Expand(std::string_view pattern, const Dims& dims);

/// Product of the extents of Expand(pattern, dims); 1 for a scalar.
std::size_t Count(std::string_view pattern, const Dims& dims);

/// Binds symbols of `pattern` that `*dims` lacks to the extents `shape` has in their place.
/// Returns whether it bound any. Binds nothing when two or more groups are still unbound, or when
/// the rank of `shape` cannot fit; comparing with Expand() afterwards tells whether `shape` fits.
bool Bind(std::string_view pattern, const Shape& shape, Dims* dims);

}  // namespace normgrad
