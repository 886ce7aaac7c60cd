// SPDX-License-Identifier: Apache-2.0
#include "sweep/case.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <stdexcept>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "abi/names.h"
#include "base/random.h"

namespace normgrad {
namespace {

/// "4x1"; "scalar" for no axes.
std::string ExtentsText(const Shape& shape) {
  return shape.empty() ? "scalar" : fmt::format("{}", fmt::join(shape, "x"));
}

std::string ChangeText(const Change& change) {
  if (change.null) return "null";
  std::vector<std::string> parts;
  if (change.shape) parts.push_back(ExtentsText(*change.shape));
  if (change.dtype) parts.push_back(DataTypeName(*change.dtype));
  if (change.format) parts.push_back(FormatName(*change.format));
  if (change.mask) {
    std::string bits = "bits";
    for (const bool bit : *change.mask) bits += bit ? '1' : '0';
    parts.push_back(bits);
  }
  return fmt::format("{}", fmt::join(parts, "+"));
}

std::vector<std::string> Variants(const Case& the_case) {
  std::vector<std::string> variants;
  if (the_case.masks.find_first_not_of('1') != std::string::npos) {
    variants.push_back("mask=" + the_case.masks);
  }
  const auto add = [&](std::string_view what, const auto& map, const auto& text) {
    if (map.empty()) return;
    std::vector<std::string> items;
    items.reserve(map.size());
    for (const auto& [name, value] : map) items.push_back(fmt::format("{}:{}", name, text(value)));
    variants.push_back(fmt::format("{}={}", what, fmt::join(items, ",")));
  };
  add("shape", the_case.reshaped, ExtentsText);
  add("with", the_case.changes, ChangeText);
  return variants;
}

CallArg ArgOf(const Case& the_case, const Param& param) {
  CallArg arg;
  arg.present = !param.IsTensor() || the_case.Passes(param);
  switch (param.kind) {
    case Param::Kind::kInput:
    case Param::Kind::kOutput:
      if (!arg.present) break;
      arg.shape = the_case.ShapeOf(param);
      arg.dtype = the_case.DTypeOf(param);
      arg.dtype_code = static_cast<std::int32_t>(*arg.dtype);
      break;
    case Param::Kind::kExtents: arg.shape = Expand(param.pattern, the_case.dims); break;
    case Param::Kind::kExtent:
      arg.shape = {static_cast<std::int64_t>(Count(param.pattern, the_case.dims))};
      break;
    case Param::Kind::kOutputMask:
      for (const Param& output : the_case.op->params) {
        if (output.kind != Param::Kind::kOutput) continue;
        arg.mask.push_back(the_case.MaskOf(output) == '1');
      }
      break;
  }
  return arg;
}

void Apply(const Change& change, CallArg* arg) {
  if (change.null) *arg = {};
  if (change.shape) arg->shape = *change.shape;
  if (change.format) arg->format = *change.format;
  if (change.mask) arg->mask = *change.mask;
  if (change.dtype) {
    arg->dtype_code = *change.dtype;
    arg->dtype.reset();
    for (const DType dtype : {DType::kFloat32, DType::kFloat16, DType::kBFloat16, DType::kInt32}) {
      if (static_cast<std::int32_t>(dtype) == *change.dtype) arg->dtype = dtype;
    }
  }
}

}  // namespace

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
  const bool uniform = std::ranges::all_of(params, [&](const Param& param) {
    return !param.IsTensor() || the_case.LayoutOf(param) == first;
  });
  if (uniform) return std::string(Name(first));
  std::string text;
  for (const Param& param : params) {
    const LayoutKind layout = the_case.LayoutOf(param);
    if (!param.IsTensor() || layout == LayoutKind::kContiguous) continue;
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
  for (const std::string& variant : Variants(*this)) fmt::format_to(out, "/{}", variant);
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

Shape Case::ShapeOf(const Param& param) const {
  if (const auto found = reshaped.find(param.name); found != reshaped.end()) return found->second;
  if (const auto other = FindParam(*op, param.same_shape_as); other && Passes(op->params[*other])) {
    return ShapeOf(op->params[*other]);
  }
  return Expand(param.pattern, dims);
}

char Case::MaskOf(const Param& output) const {
  if (masks.empty()) return '1';
  std::size_t index = 0;
  for (const Param& param : op->params) {
    if (param.name == output.name) return masks.at(index);
    if (param.kind == Param::Kind::kOutput) ++index;
  }
  throw std::logic_error("not an output of the operator");
}

bool Case::Passes(const Param& param) const {
  if (param.kind == Param::Kind::kOutput) return MaskOf(param) != '0';
  return param.kind == Param::Kind::kInput && DTypeOf(param) != DType::kNone;
}

bool Case::Uses(const Param& param) const {
  return Passes(param) && (param.kind == Param::Kind::kInput || MaskOf(param) == '1');
}

std::vector<CallArg> ArgsOf(const Case& the_case) {
  std::vector<CallArg> args;
  args.reserve(the_case.op->params.size());
  for (const Param& param : the_case.op->params) {
    CallArg& arg = args.emplace_back(ArgOf(the_case, param));
    const auto change = the_case.changes.find(param.name);
    if (change != the_case.changes.end()) Apply(change->second, &arg);
  }
  return args;
}

std::optional<Violation> ViolationOf(const Case& the_case) {
  for (const std::string_view pointer : {"workspaceSize", "executor"}) {
    if (!the_case.changes.contains(pointer)) continue;
    return Violation{Violation::Kind::kNullPointer, kAclnnParamNullptr, NotNullRule(pointer),
                     fmt::format("{}: is null", pointer)};
  }
  Dims dims;
  DTypes dtypes;
  return CheckContract(*the_case.op, the_case.product, ArgsOf(the_case), &dims, &dtypes);
}

std::string VariantText(const Case& the_case) {
  return fmt::format("{}", fmt::join(Variants(the_case), " "));
}

std::span<const std::string_view> CheckNames() {
  static constexpr std::array<std::string_view, 7> kNames = {
      "contract", "accuracy", "memory", "determinism", "batch", "invariants", "throughput"};
  return kNames;
}

std::span<const std::string_view> FillNames() {
  static constexpr std::array<std::string_view, 18> kNames = {
      "normal", "uniform", "positive",      "offset",     "tiny",        "outlier",
      "wide",   "exact",   "small_sum",     "ties",       "nonfinite",   "big_mean",
      "edges",  "probe",   "constant_rows", "free_stats", "pair_cancel", "collinear"};
  return kNames;
}

}  // namespace normgrad
