// SPDX-License-Identifier: Apache-2.0
#include "sweep/case.h"

#include <algorithm>
#include <array>
#include <iterator>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/random.h"

namespace normgrad {

std::string DTypesText(const DTypes& dtypes) {
  std::string text;
  for (const DType dtype : dtypes) {
    if (!text.empty()) text += '-';
    text += Name(dtype);
  }
  return text;
}

std::string LayoutText(const Case& the_case) {
  // Two ways to write the same layouts must give the same text, since ids are compared as text.
  const auto params = the_case.op->params;
  const LayoutKind first = the_case.LayoutOf(params.front());
  const bool uniform = std::ranges::all_of(
      params, [&](const Param& param) { return the_case.LayoutOf(param) == first; });
  if (uniform) return std::string(Name(first));
  std::string text;
  for (const Param& param : params) {
    const LayoutKind layout = the_case.LayoutOf(param);
    if (layout == LayoutKind::kContiguous) continue;
    if (!text.empty()) text += ',';
    text.append(param.name).append(":").append(Name(layout));
  }
  return text;
}

std::string Case::Id() const {
  static const Case kDefaults;
  std::string id = fmt::format("{}/{}/", op->name, product);
  auto out = std::back_inserter(id);
  for (const auto& [symbol, extents] : dims) {
    if (id.back() != '/') id += ',';
    fmt::format_to(out, "{}={}", symbol, fmt::join(extents, "x"));
  }
  if (!dtypes.empty()) fmt::format_to(out, "/{}", DTypesText(dtypes));
  const bool plain = layout == kDefaults.layout && layout_of.empty();
  if (const std::string text = plain ? "contiguous" : LayoutText(*this); text != "contiguous") {
    fmt::format_to(out, "/{}", text);
  }
  if (fill != kDefaults.fill) fmt::format_to(out, "/{}", fill);
  if (eps != kDefaults.eps) fmt::format_to(out, "/eps={}", eps);
  if (seed != kDefaults.seed) fmt::format_to(out, "/seed={}", seed);
  return id;
}

std::uint64_t Case::Hash() const {
  // The id names everything the call depends on, and eps in the shortest text that reads back as
  // the same number.
  return HashText(Id());
}

LayoutKind Case::LayoutOf(const Param& param) const {
  const auto found = layout_of.find(param.name);
  return found == layout_of.end() ? layout : found->second;
}

DType Case::DTypeOf(const Param& param) const { return dtypes.at(DTypeColumn(*op, param)); }

Shape Case::ShapeOf(const Param& param) const { return Expand(param.pattern, dims); }

std::span<const std::string_view> CheckNames() {
  static constexpr std::array<std::string_view, 4> kNames = {"accuracy", "memory", "determinism",
                                                             "throughput"};
  return kNames;
}

std::span<const std::string_view> FillNames() {
  static constexpr std::array<std::string_view, 7> kNames = {
      "normal", "uniform", "positive", "offset", "tiny", "outlier", "wide"};
  return kNames;
}

}  // namespace normgrad
