// SPDX-License-Identifier: Apache-2.0
// Do repeated launches agree byte for byte wherever the document promises it?
#include <algorithm>

#include <fmt/format.h>

#include "checks/check.h"

namespace normgrad {
namespace {

bool HasElements(const DenseTensors& outputs) {
  return std::ranges::any_of(outputs, [](const auto& output) { return !output.empty(); });
}

}  // namespace

Answer CheckDeterminism(CaseRun& run, const CheckOptions& options, Result* result) {
  const Promise promise = SupportOn(run.op(), run.the_case().product).deterministic;
  Answer answer;
  result->determinism.clear();
  for (const bool option : {false, true}) {
    DeterminismResult mode;
    mode.option = option;
    mode.promised = option || promise == Promise::kAlways;
    mode.runs = static_cast<std::uint64_t>(options.repeats);
    run.Launch(Poison::kFirst, option);
    const DenseTensors first = run.Outputs();
    if (!HasElements(first)) {
      return {Outcome::kMistrusted, "no output has an element to compare"};
    }
    for (int repeat = 2; repeat <= options.repeats; ++repeat) {
      run.Launch(Poison::kFirst, option);
      const std::string difference = FirstDifference(run.the_case(), first, run.Outputs(), repeat);
      if (difference.empty()) continue;
      if (mode.differing++ == 0) mode.first_difference = difference;
    }
    if (mode.differing == 0) {
      // Rule of three: n - 1 agreeing comparisons bound the chance of a differing run, 95 %.
      mode.divergence_bound = std::min(1.0, 3.0 / (options.repeats - 1));
    } else {
      std::string what =
          fmt::format("{} of {} runs differ from the first with the option {}: {}", mode.differing,
                      mode.runs, option ? "on" : "off", mode.first_difference);
      if (mode.promised) {
        answer = {Outcome::kFailed, std::move(what)};
      } else if (answer.outcome == Outcome::kPassed) {
        answer.reason = what + "; the document promises no more";
      }
    }
    result->determinism.push_back(std::move(mode));
  }
  return answer;
}

}  // namespace normgrad
