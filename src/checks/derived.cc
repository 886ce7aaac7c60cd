// SPDX-License-Identifier: Apache-2.0
#include "checks/derived.h"

#include <algorithm>
#include <string_view>

#include "ops/shape_pattern.h"

namespace normgrad {
namespace {

/// The symbol that the data's shape begins with.
std::string_view BatchSymbol(const Operator& op) {
  const auto data = std::ranges::find_if(op.params, [](const Param& param) {
    return param.kind == Param::Kind::kInput && param.role == Role::kData;
  });
  return ParsePattern(data->pattern).front().symbol;
}

bool HasBatch(const Param& param, std::string_view symbol) {
  const std::vector<PatternAxis> axes = ParsePattern(param.pattern);
  return !axes.empty() && axes.front().symbol == symbol;
}

}  // namespace

std::vector<Part> PartsOf(const Operator& op) {
  std::vector<Part> parts(op.params.size(), Part::kNone);
  const auto assign = [&](Param::Kind kind, Role role, Part first, Part last) {
    std::vector<std::size_t> found;
    for (std::size_t i = 0; i < op.params.size(); ++i) {
      if (op.params[i].kind == kind && op.params[i].role == role) found.push_back(i);
    }
    if (found.empty()) return;
    parts[found.front()] = first;
    if (last != Part::kNone && found.size() > 1) parts[found.back()] = last;
  };
  assign(Param::Kind::kInput, Role::kData, Part::kDy, Part::kX);
  assign(Param::Kind::kInput, Role::kStatistic, Part::kMean, Part::kDeviation);
  assign(Param::Kind::kInput, Role::kScale, Part::kGamma, Part::kNone);
  assign(Param::Kind::kInput, Role::kChannelSum, Part::kSumDy, Part::kSumDyXmu);
  assign(Param::Kind::kOutput, Role::kData, Part::kDx, Part::kNone);
  assign(Param::Kind::kOutput, Role::kScaleGrad, Part::kDgamma, Part::kDbeta);
  // An only statistic is the deviation: such an operator subtracts no mean.
  if (std::ranges::find(parts, Part::kDeviation) == parts.end()) {
    std::ranges::replace(parts, Part::kMean, Part::kDeviation);
  }
  return parts;
}

std::optional<std::size_t> FindPart(const Case& the_case, Part part) {
  const std::vector<Part> parts = PartsOf(*the_case.op);
  const auto found = std::ranges::find(parts, part);
  if (found == parts.end()) return std::nullopt;
  const auto index = static_cast<std::size_t>(found - parts.begin());
  return the_case.Uses(the_case.op->params[index]) ? std::optional(index) : std::nullopt;
}

std::size_t BatchRows(const Case& the_case) {
  return ElementCount(the_case.dims.find(BatchSymbol(*the_case.op))->second);
}

Bytes RowsOf(const Bytes& elements, std::size_t count, std::span<const std::size_t> rows) {
  const std::size_t bytes = elements.size() / count;
  Bytes selected;
  selected.reserve(rows.size() * bytes);
  for (const std::size_t row : rows) {
    const auto first = elements.begin() + static_cast<std::ptrdiff_t>(row * bytes);
    selected.insert(selected.end(), first, first + static_cast<std::ptrdiff_t>(bytes));
  }
  return selected;
}

DerivedCase SelectRows(const Case& the_case, const CaseInputs& inputs,
                       std::span<const std::size_t> rows) {
  DerivedCase derived{the_case, nullptr};
  const std::string_view symbol = BatchSymbol(*the_case.op);
  derived.the_case.dims[std::string(symbol)] = {static_cast<std::int64_t>(rows.size())};
  // A shape that the contract leaves free says something about the old extents.
  derived.the_case.reshaped.clear();
  auto selected = std::make_shared<CaseInputs>(inputs);
  const std::size_t count = BatchRows(the_case);
  for (std::size_t i = 0; i < selected->tensors.size(); ++i) {
    if (!HasBatch(the_case.op->params[i], symbol)) continue;
    selected->tensors[i] = RowsOf(inputs.tensors[i], count, rows);
  }
  derived.inputs = std::move(selected);
  return derived;
}

bool HasRoomForAnother(const CaseRun& run) {
  // A quarter: on a CPU device the host's images of the buffers come out of the same memory.
  return run.tensor_bytes() + run.workspace_bytes() <= run.device().FreeBytes() / 4;
}

}  // namespace normgrad
