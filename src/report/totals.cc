// SPDX-License-Identifier: Apache-2.0
#include "report/totals.h"

#include <algorithm>

namespace normgrad {

std::uint64_t OutcomeCounts::Answered() const {
  std::uint64_t answered = 0;
  for (const Outcome outcome : Outcomes()) {
    if (outcome != Outcome::kNotRun) answered += Of(outcome);
  }
  return answered;
}

std::uint64_t OutcomeCounts::Failures() const {
  std::uint64_t failures = 0;
  for (const Outcome outcome : Outcomes()) {
    if (IsFailure(outcome) && outcome != Outcome::kNotRun) failures += Of(outcome);
  }
  return failures;
}

std::uint64_t OutcomeCounts::Verdicts() const {
  std::uint64_t verdicts = 0;
  for (const Outcome outcome : Outcomes()) {
    if (HasVerdict(outcome)) verdicts += Of(outcome);
  }
  return verdicts;
}

Totals Totals::Of(const RunInfo& info) {
  return {.planned_cases = info.planned_cases, .planned_checks = info.planned_checks};
}

void Totals::Add(const Result& result) {
  cases.Add(result.outcome);
  for (const CheckResult& answer : result.checks) {
    auto entry = std::ranges::find(checks, answer.check, &CheckTotals::check);
    if (entry == checks.end()) entry = checks.insert(entry, {.check = answer.check});
    entry->outcomes.Add(answer.outcome);
  }
}

std::uint64_t Totals::AnsweredChecks() const {
  std::uint64_t answered = 0;
  for (const CheckTotals& check : checks) answered += check.outcomes.Answered();
  return answered;
}

bool Totals::Judged() const {
  return cases.Verdicts() > 0 || std::ranges::any_of(checks, [](const CheckTotals& check) {
           return check.outcomes.Verdicts() > 0;
         });
}

bool Totals::Complete() const {
  return cases.Answered() == planned_cases && AnsweredChecks() == planned_checks;
}

int ExitCode(const Totals& totals) {
  const bool vacuous = totals.planned_cases == 0 || (totals.Complete() && !totals.Judged());
  int code = vacuous ? 2 : 0;
  for (const Outcome outcome : Outcomes()) {
    if (totals.cases.Of(outcome) > 0) code = MoreSeriousExitCode(code, ExitCode(outcome));
  }
  if (totals.incidents > 0) code = MoreSeriousExitCode(code, ExitCode(Outcome::kCrashed));
  // Only the cases' outcomes are judged above: a waiver covers a case whose check failed.
  return totals.Complete() ? code : MoreSeriousExitCode(code, ExitCode(Outcome::kNotRun));
}

int MoreSeriousExitCode(int a, int b) {
  static constexpr std::array kHarmlessToSerious = {0, 4, 3, 1, 5, 2};
  const auto rank = [](int code) { return std::ranges::find(kHarmlessToSerious, code); };
  return rank(a) >= rank(b) ? a : b;
}

}  // namespace normgrad
