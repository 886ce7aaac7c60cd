// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "report/coverage.h"
#include "report/result.h"
#include "report/totals.h"

namespace normgrad {

/// The largest margin that one output of one operator reached in one dtype, over all cases.
struct WorstMargin {
  std::string op{};
  OutputResult output{};  // of the case below
  std::string case_id{};
  std::uint64_t cases = 0;       // that judged this output in this dtype
  std::uint64_t elements = 0;    // of all these cases
  std::uint64_t violations = 0;  // of all these cases
};

/// How often a known deviation was to be expected of the device, and how often it was seen.
struct DeviationTally {
  std::string number{};
  std::string text{};
  std::uint64_t cases = 0;  // that it is about
  std::uint64_t seen = 0;
};

/// How a published standard and the derived bound judge the same cases.
struct StandardTally {
  std::string name{};
  std::uint64_t both_pass = 0;
  std::uint64_t both_fail = 0;
  std::uint64_t standard_fails = 0;  // and the bound passes
  std::uint64_t bound_fails = 0;     // and the standard passes
};

/// Cases that have no verdict, and why.
struct Unjudged {
  Outcome outcome = Outcome::kSkipped;  // skipped, unsupported or not-run
  std::string reason{};
  std::uint64_t cases = 0;
};

/// What every summary of a run tells: filled case by case, in memory that does not grow with the
/// number of cases.
class Overview {
 public:
  /// Failures, throughput results and reasons kept whole; the counts know about the others.
  static constexpr std::size_t kKept = 1000;

  /// Throughput results by copy_fraction, lowest first; those without a copy fraction last.
  using Throughput = std::multimap<double, Result>;

  explicit Overview(RunInfo info);

  void Add(const Result& result);

  /// What happened to the device outside of any case.
  void AddIncident(std::string what);

  /// Says that no more results follow, and when that was: "2026-11-20T16:20:00Z".
  void Finish(std::string finished_utc);

  const RunInfo& info() const { return info_; }
  const Totals& totals() const { return totals_; }

  /// The first kKept cases that failed, in the order they were added; none that were not run.
  const std::vector<Result>& failures() const { return failures_; }

  /// The first kKept reasons for having no verdict, in the order they were first given.
  const std::vector<Unjudged>& unjudged() const { return unjudged_; }

  /// The first kKept, in the order they happened.
  const std::vector<std::string>& incidents() const { return incidents_; }

  /// Ordered by operator, output and dtype.
  const std::vector<WorstMargin>& margins() const { return margins_; }

  /// The kKept throughput results of lowest copy fraction. Cold timing counts, hot is a footnote.
  const Throughput& throughput() const { return throughput_; }

  /// The result of highest copy fraction, if any was measured.
  const std::optional<Result>& fastest() const { return fastest_; }

  /// By number; those that are about no case are left out.
  const std::vector<DeviationTally>& deviations() const { return deviations_; }

  /// One per published standard, in their order; empty if no output was judged.
  const std::vector<StandardTally>& standards() const { return standards_; }

  /// What has been shown of the operators' documents.
  const Coverage& coverage() const { return coverage_; }

  std::uint64_t results() const { return results_; }
  std::uint64_t throughput_results() const { return throughput_results_; }

  /// True after Finish(): otherwise the run goes on, or ended without saying so.
  bool finished() const { return finished_; }

  /// What Finish() was told; empty before.
  const std::string& finished_utc() const { return finished_utc_; }

 private:
  void AddUnjudged(const Result& result);
  void AddMargins(const Result& result);
  void AddStandards(const Result& result);
  void AddThroughput(const Result& result);
  void AddDeviations(const Result& result);

  RunInfo info_;
  Totals totals_;
  std::vector<Result> failures_;
  std::vector<Unjudged> unjudged_;
  std::vector<std::string> incidents_;
  std::vector<WorstMargin> margins_;
  std::vector<StandardTally> standards_;
  Coverage coverage_;
  std::vector<DeviationTally> deviations_;
  Throughput throughput_;
  std::optional<Result> fastest_;
  std::uint64_t results_ = 0;
  std::uint64_t throughput_results_ = 0;
  bool finished_ = false;
  std::string finished_utc_;
};

/// The timing of `mode`, "cold" or "hot"; null if the case has none.
const TimingResult* FindTiming(const Result& result, std::string_view mode);

/// What the check of this name had to say; empty if it said nothing or was not asked.
std::string ReasonOf(const Result& result, std::string_view check);

/// The output with the largest margin, NaN being larger than anything; null if there is none.
const OutputResult* WorstOutput(const Result& result);

/// What each standard says of all outputs of a case: one that failed, else the first; empty if no
/// output was judged.
std::vector<StandardResult> StandardsOf(const Result& result);

}  // namespace normgrad
