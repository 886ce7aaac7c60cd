// SPDX-License-Identifier: Apache-2.0
#include "ops/shape_pattern.h"

#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace normgrad {
namespace {

constexpr std::size_t kUsualRank = 4;  // most patterns and shapes need no more room

/// Calls visit(axis) for every axis, or group of axes, of a pattern.
template <typename Visit>
void ForEachAxis(std::string_view pattern, Visit visit) {
  using Kind = PatternAxis::Kind;
  while (!pattern.empty()) {
    const auto end = std::min(pattern.find(' '), pattern.size());
    const std::string_view token = pattern.substr(0, end);
    if (token.starts_with('*')) {
      visit(PatternAxis{Kind::kGroup, token.substr(1)});
    } else if (token.starts_with("ones(")) {
      visit(PatternAxis{Kind::kOnes, token.substr(5, token.size() - 6)});
    } else if (!token.empty()) {
      visit(PatternAxis{Kind::kSingle, token});
    }
    pattern.remove_prefix(std::min(end + 1, pattern.size()));
  }
}

const Shape& ExtentsOf(const PatternAxis& axis, const Dims& dims) {
  const auto found = dims.find(axis.symbol);
  if (found == dims.end()) {
    throw std::logic_error(fmt::format("symbol '{}' is not bound", axis.symbol));
  }
  return found->second;
}

}  // namespace

Dims::const_iterator Dims::find(std::string_view symbol) const {
  return std::ranges::find(bindings_, symbol, &value_type::first);
}

const Shape& Dims::at(std::string_view symbol) const {
  const auto found = find(symbol);
  if (found == end()) throw std::out_of_range(fmt::format("symbol '{}' is not bound", symbol));
  return found->second;
}

void Dims::emplace(std::string_view symbol, Shape extents) {
  const auto place = std::ranges::lower_bound(bindings_, symbol, {}, &value_type::first);
  if (place != bindings_.end() && place->first == symbol) return;
  bindings_.emplace(place, symbol, std::move(extents));
}

Shape& Dims::operator[](std::string_view symbol) {
  emplace(symbol, {});
  return std::ranges::find(bindings_, symbol, &value_type::first)->second;
}

std::string ToString(const Dims& dims) {
  std::vector<std::string> parts;
  for (const auto& [symbol, extents] : dims) {
    parts.push_back(fmt::format("{}={}", symbol, ToString(extents)));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::vector<PatternAxis> ParsePattern(std::string_view pattern) {
  std::vector<PatternAxis> axes;
  axes.reserve(kUsualRank);
  ForEachAxis(pattern, [&](const PatternAxis& axis) { axes.push_back(axis); });
  return axes;
}

Shape Expand(std::string_view pattern, const Dims& dims) {
  Shape shape;
  shape.reserve(kUsualRank);
  ForEachAxis(pattern, [&](const PatternAxis& axis) {
    const Shape& extents = ExtentsOf(axis, dims);
    if (axis.kind == PatternAxis::Kind::kOnes) {
      shape.insert(shape.end(), extents.size(), 1);
    } else {
      shape.insert(shape.end(), extents.begin(), extents.end());
    }
  });
  return shape;
}

// Kernels ask in every call: no memory is taken for the answer.
std::size_t Count(std::string_view pattern, const Dims& dims) {
  std::size_t count = 1;
  ForEachAxis(pattern, [&](const PatternAxis& axis) {
    const Shape& extents = ExtentsOf(axis, dims);
    if (axis.kind != PatternAxis::Kind::kOnes) count *= ElementCount(extents);
  });
  return count;
}

bool Bind(std::string_view pattern, const Shape& shape, Dims* dims) {
  const std::vector<PatternAxis> axes = ParsePattern(pattern);
  using Kind = PatternAxis::Kind;
  const std::size_t known_symbols = dims->size();
  std::size_t known_rank = 0;
  int unbound_groups = 0;
  for (const PatternAxis& axis : axes) {
    const auto found = dims->find(axis.symbol);
    if (found != dims->end()) {
      known_rank += found->second.size();
    } else if (axis.kind == Kind::kSingle) {
      known_rank += 1;
    } else {
      ++unbound_groups;
    }
  }
  if (unbound_groups > 1 || shape.size() < known_rank) return false;
  if (unbound_groups == 0 && shape.size() != known_rank) return false;

  Dims bound = *dims;  // apart, since a symbol that occurs twice must have one rank throughout
  auto next = shape.begin();
  for (const PatternAxis& axis : axes) {
    const auto found = dims->find(axis.symbol);
    const std::size_t rank = found != dims->end()         ? found->second.size()
                             : axis.kind == Kind::kSingle ? 1
                                                          : shape.size() - known_rank;
    const auto end = next + static_cast<std::ptrdiff_t>(rank);
    if (found == dims->end() && axis.kind != Kind::kOnes) {
      bound.emplace(axis.symbol, Shape(next, end));
    }
    next = end;
  }
  *dims = std::move(bound);
  return dims->size() > known_symbols;
}

}  // namespace normgrad
