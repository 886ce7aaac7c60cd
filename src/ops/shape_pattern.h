// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/layout.h"

namespace normgrad {

/// What each symbol of a shape pattern stands for, e.g. {"A": [4, 512], "R": [4096]}. Reads as a
/// map, in the order of the symbols, but is one piece of memory: a sweep may have a million.
class Dims {
 public:
  using value_type = std::pair<std::string, Shape>;
  using const_iterator = std::vector<value_type>::const_iterator;

  Dims() = default;
  Dims(std::initializer_list<value_type> bindings) {
    for (const value_type& binding : bindings) emplace(binding.first, binding.second);
  }

  const_iterator begin() const { return bindings_.begin(); }
  const_iterator end() const { return bindings_.end(); }
  bool empty() const { return bindings_.empty(); }
  std::size_t size() const { return bindings_.size(); }

  const_iterator find(std::string_view symbol) const;
  bool contains(std::string_view symbol) const { return find(symbol) != end(); }
  /// Throws std::out_of_range if `symbol` is unbound.
  const Shape& at(std::string_view symbol) const;

  /// Binds `symbol` unless it is bound already.
  void emplace(std::string_view symbol, Shape extents);
  /// Its extents, none if it was unbound.
  Shape& operator[](std::string_view symbol);
  void clear() { bindings_.clear(); }

  bool operator==(const Dims&) const = default;

 private:
  std::vector<value_type> bindings_;  // in the order of the symbols
};

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
