// SPDX-License-Identifier: Apache-2.0
// Does the gradient of a row depend on the rest of the batch, or on the order of rows? No document
// promises that it does not; a device may.
#include <algorithm>
#include <numeric>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "checks/check.h"
#include "checks/derived.h"

namespace normgrad {
namespace {

constexpr std::string_view kNoPromise = "no promise", kPromised = "promised";

/// The outputs that are `role`'s; the others are empty.
DenseTensors OnlyOf(const Operator& op, DenseTensors outputs, Role role) {
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (op.params[i].role != role) outputs[i].clear();
  }
  return outputs;
}

std::uint64_t ElementsOf(const Case& the_case, const DenseTensors& outputs) {
  std::uint64_t elements = 0;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i].empty()) continue;
    elements += outputs[i].size() / SizeOf(the_case.DTypeOf(the_case.op->params[i]));
  }
  return elements;
}

/// Elements of `actual` that differ from `expected` in any bit.
std::uint64_t Differing(const Case& the_case, const DenseTensors& expected,
                        const DenseTensors& actual) {
  std::uint64_t differing = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (expected[i].empty()) continue;
    const std::size_t bytes = SizeOf(the_case.DTypeOf(the_case.op->params[i]));
    for (std::size_t at = 0; at < expected[i].size(); at += bytes) {
      const auto first = expected[i].begin() + static_cast<std::ptrdiff_t>(at);
      const bool equal = std::equal(first, first + static_cast<std::ptrdiff_t>(bytes),
                                    actual[i].begin() + static_cast<std::ptrdiff_t>(at));
      if (!equal) ++differing;
    }
  }
  return differing;
}

void Compare(const Case& the_case, const DenseTensors& expected, const DenseTensors& actual,
             std::string_view run, PropertyResult* property) {
  property->compared += ElementsOf(the_case, expected);
  property->violations += Differing(the_case, expected, actual);
  if (property->first.empty()) {
    property->first = FirstDifference(the_case, expected, actual, run);
  }
}

std::vector<std::size_t> Range(std::size_t first, std::size_t end) {
  std::vector<std::size_t> rows(end - first);
  std::iota(rows.begin(), rows.end(), first);
  return rows;
}

/// Runs a part of the batch alone and compares the gradients of its rows with those of `whole`.
void CompareSubset(const CaseRun& run, const DenseTensors& whole,
                   const std::vector<std::size_t>& rows, PropertyResult* property) {
  const DerivedCase part = SelectRows(run.the_case(), *run.inputs(), rows);
  CaseRun alone(part.the_case, run.device(), part.inputs);
  alone.Launch(Poison::kFirst, /*deterministic=*/true);
  DenseTensors expected = OnlyOf(run.op(), whole, Role::kData);
  for (Bytes& output : expected) {
    if (!output.empty()) output = RowsOf(output, BatchRows(run.the_case()), rows);
  }
  Compare(part.the_case, expected, OnlyOf(run.op(), alone.Outputs(), Role::kData),
          fmt::format("the batch of rows {} to {} alone", rows.front(), rows.back()), property);
}

}  // namespace

Answer CheckBatch(CaseRun& run, const CheckOptions& options, Result* result) {
  const std::size_t rows = BatchRows(run.the_case());
  if (rows < 2) return Skipped(SkipReason::kFewRows, "the batch has no rows to take apart");
  if (!HasRoomForAnother(run))
    return Skipped(SkipReason::kMemory, "there is no room for a second batch");
  run.Launch(Poison::kFirst, /*deterministic=*/true);
  const DenseTensors whole = run.Outputs();
  if (ElementsOf(run.the_case(), whole) == 0) {
    return Skipped(SkipReason::kNoElements, "no output has an element to compare");
  }
  run.Launch(Poison::kFirst, /*deterministic=*/true);
  if (run.Outputs() != whole) {
    return {Outcome::kMistrusted, "two launches on equal inputs differ: nothing can be compared"};
  }
  const std::string label(options.batch_invariant ? kPromised : kNoPromise);
  PropertyResult invariance{.name = "batch invariance", .label = label};
  CompareSubset(run, whole, Range(0, (rows + 1) / 2), &invariance);
  CompareSubset(run, whole, Range(rows - 1, rows), &invariance);

  PropertyResult equivariance{.name = "row order", .label = label};
  PropertyResult scales{.name = "row order of scale gradients", .label = std::string(kNoPromise)};
  std::vector<std::size_t> reversed = Range(0, rows);
  std::ranges::reverse(reversed);
  const DerivedCase turned = SelectRows(run.the_case(), *run.inputs(), reversed);
  {
    const InputsRestorer restorer(run);
    run.UseInputs(turned.inputs);
    run.Launch(Poison::kFirst, /*deterministic=*/true);
  }
  const DenseTensors outputs = run.Outputs();
  DenseTensors expected = OnlyOf(run.op(), whole, Role::kData);
  for (Bytes& output : expected) {
    if (!output.empty()) output = RowsOf(output, rows, reversed);
  }
  const std::string_view what = "the reversed batch";
  Compare(run.the_case(), expected, OnlyOf(run.op(), outputs, Role::kData), what, &equivariance);
  Compare(run.the_case(), OnlyOf(run.op(), whole, Role::kScaleGrad),
          OnlyOf(run.op(), outputs, Role::kScaleGrad), what, &scales);

  std::vector<std::string> notes;
  for (PropertyResult& property : {std::ref(invariance), std::ref(equivariance)}) {
    if (property.violations > 0) {
      notes.push_back(fmt::format("{} does not hold for {} of {} elements: {}", property.name,
                                  property.violations, property.compared, property.first));
    }
  }
  for (PropertyResult& property :
       {std::ref(invariance), std::ref(equivariance), std::ref(scales)}) {
    if (property.compared > 0) result->properties.push_back(std::move(property));
  }
  if (notes.empty()) return {};
  if (options.batch_invariant) return {Outcome::kFailed, fmt::format("{}", fmt::join(notes, "; "))};
  return {Outcome::kPassed, fmt::format("{}; a property, no promise", fmt::join(notes, "; "))};
}

}  // namespace normgrad
