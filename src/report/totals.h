// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "report/result.h"

namespace normgrad {

/// How many of something ended in each way.
class OutcomeCounts {
 public:
  void Add(Outcome outcome) { ++counts_.at(static_cast<std::size_t>(outcome)); }
  std::uint64_t Of(Outcome outcome) const { return counts_.at(static_cast<std::size_t>(outcome)); }

  /// All but not-run: not-run says that there is no answer.
  std::uint64_t Answered() const;

  /// Those for which IsFailure() holds, but for not-run, which is no answer.
  std::uint64_t Failures() const;

  /// Those for which HasVerdict() holds.
  std::uint64_t Verdicts() const;

  bool operator==(const OutcomeCounts&) const = default;

 private:
  std::array<std::uint64_t, static_cast<std::size_t>(Outcome::kNotRun) + 1> counts_{};
};

/// How one check ended over all cases that asked for it.
struct CheckTotals {
  std::string check{};
  OutcomeCounts outcomes{};

  bool operator==(const CheckTotals&) const = default;
};

/// The account of a run: what was planned and what was answered, how.
struct Totals {
  std::uint64_t planned_cases = 0;
  std::uint64_t planned_checks = 0;
  OutcomeCounts cases{};
  std::vector<CheckTotals> checks{};  // in the order first seen
  std::uint64_t incidents = 0;        // what happened to the device outside of any case

  /// The account of a run of which nothing has been answered yet.
  static Totals Of(const RunInfo& info);

  /// Counts one case and its checks.
  void Add(const Result& result);

  /// Checks of all names that have an answer.
  std::uint64_t AnsweredChecks() const;

  /// True when some case or check has a verdict: HasVerdict().
  bool Judged() const;

  /// True when every planned case and every planned check has an answer, and nothing else has.
  bool Complete() const;

  bool operator==(const Totals&) const = default;
};

/// The exit code of a run: 0 nothing failed; 1 a verdict failed (failed, mistrusted); 2 nothing was
/// planned, or all of it was skipped or is unsupported, so nothing was shown; 5 device fault
/// (crashed, timed-out, error, an incident), or answers are missing, which is never a pass. The
/// most serious wins, see MoreSeriousExitCode().
int ExitCode(const Totals& totals);

/// The more serious of two exit codes: 2 user error, 5 device fault, 1 verdict, then the reserved 3
/// (performance regression) and 4 (inconclusive), 0 nothing failed; any other number outweighs
/// these.
int MoreSeriousExitCode(int a, int b);

}  // namespace normgrad
