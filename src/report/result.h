// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace normgrad {

/// How a case, or one check of it, ended. See IsFailure() for which are failures. Nothing produces
/// the reserved one yet.
enum class Outcome {
  kPassed,
  kFailed,          // a verdict is negative: accuracy, memory, determinism, contract, invariant
  kMistrusted,      // it agreed, but the data prove nothing, e.g. the reference is all zero
  kKnownDeviation,  // differs as cases/deviations.csv says
  kWaived,          // reserved: fails, and somebody has accepted that
  kUnsupported,     // the product or device does not offer it
  kSkipped,         // not run on purpose; the reason says why
  kCrashed,         // the process died in it
  kTimedOut,        // a phase exceeded its time limit
  kError,           // the device library reported an error the contract does not allow
  kNotRun,          // planned and never answered: the run was interrupted or the device is lost
};

/// Every outcome, in the order above.
std::span<const Outcome> Outcomes();

/// "passed", "failed", …, "known-deviation", "timed-out", "not-run".
std::string_view Name(Outcome outcome);

/// The inverse of Name(); empty for any other text.
std::optional<Outcome> ParseOutcome(std::string_view name);

/// Only passed, known-deviation, waived, unsupported and skipped are not failures.
bool IsFailure(Outcome outcome);

/// False for skipped, unsupported and not-run, which say nothing about the operator.
bool HasVerdict(Outcome outcome);

/// Why a check was not asked of a case on purpose. The list is closed: an answer that is skipped
/// without one of these reasons, or has one without being skipped, is a bug.
enum class SkipReason {
  kNone,        // it was not skipped
  kMemory,      // the tensors, or a second set of them, do not fit the host or the device
  kFill,        // the case cannot give its fill what the fill promises
  kNoElements,  // there is nothing to compare or to time
  kFewRows,     // the batch has no rows to take apart
};

/// Every reason but kNone, in the order above.
std::span<const SkipReason> SkipReasons();

/// "memory", "fill", "no-elements", "few-rows"; "" for kNone.
std::string_view Name(SkipReason reason);

/// What it means, one line.
std::string_view Meaning(SkipReason reason);

/// The inverse of Name(); empty for any other text.
std::optional<SkipReason> ParseSkipReason(std::string_view name);

/// The more serious of two: what a case is called after several checks.
///
/// From harmless to serious: passed, skipped, unsupported, waived, known-deviation, mistrusted,
/// not-run, failed, error, timed-out, crashed. A check that failed outweighs one that was never
/// run, because it is evidence.
Outcome MoreSerious(Outcome a, Outcome b);

/// The process's exit code if a case with this outcome were the only one: 0, 1 or 5, see
/// ExitCode() in totals.h.
int ExitCode(Outcome outcome);

/// The answer to one check of a case.
struct CheckResult {
  std::string check{};  // "contract", "accuracy", "memory", …
  Outcome outcome = Outcome::kNotRun;
  std::string reason{};  // one line; empty when passed, but for what a reader must know
  SkipReason skip = SkipReason::kNone;  // kNone unless the outcome is skipped
  double seconds = 0;                   // host wall time it took

  bool operator==(const CheckResult&) const = default;
};

/// One output of a case under one published standard.
struct StandardResult {
  std::string name{};  // "cann-mixed"
  bool passed = false;
  std::string statistic{};  // what decided: "mismatched share", "mean relative error", …
  double value = 0;         // of it
  double limit = 0;         // what the standard allows it

  bool operator==(const StandardResult&) const = default;
};

/// One output of a case against the float64 oracle.
struct OutputResult {
  std::string name{};  // the vendor's spelling
  std::string dtype{};
  std::uint64_t elements = 0;
  std::uint64_t violations = 0;  // elements outside the derived bound
  double margin = 0;             // largest (error beyond rounding) / allowance; <= 1 passes
  std::string worst_index{};     // "[2, 17]"
  double worst_actual = 0;
  double worst_golden = 0;
  double worst_allowance = 0;
  std::string dominant{};  // term that dominates the allowance there: local, sum, flush
  double max_abs_error = 0;
  std::uint64_t oracle_samples = 0;  // elements at which the oracle was asked for a second opinion
  double oracle_error = 0;           // largest difference of the two there, over the allowance
  std::vector<StandardResult> standards{};  // every one, whatever decides

  bool operator==(const OutputResult&) const = default;
};

/// Runs that one thing sets apart from the first run of a determinism mode.
struct PerturbationResult {
  std::string name{};              // "repeat" is nothing; "moved", "unaligned", "load", …
  std::uint64_t runs = 0;          // compared with the first run
  std::uint64_t differing = 0;     // of those
  std::string first_difference{};  // empty if none
  std::string note{};              // why it was not tried

  bool operator==(const PerturbationResult&) const = default;
};

/// A relation between runs, or between the elements of one, that needs no oracle.
struct PropertyResult {
  std::string name{};
  std::string label{};  // "exact": bit for bit; "bound"; "promised"; "no promise": nobody asks it
  std::uint64_t compared = 0;    // elements, or sums of them
  std::uint64_t violations = 0;  // of those
  std::string first{};           // the first violation; empty if none
  std::string note{};            // why it was not tried

  bool operator==(const PropertyResult&) const = default;
};

/// Repeated runs with equal inputs, option off or on.
struct DeterminismResult {
  bool option = false;             // ACL_OPT_DETERMINISTIC
  bool promised = false;           // the document promises equal bits in this mode
  std::uint64_t runs = 0;          // compared, the first included, whatever sets them apart
  std::uint64_t differing = 0;     // of those: runs that differ from the first
  std::string first_difference{};  // "dxOut[2, 17]: run 3 has 0x3c01, run 1 0x3c00"; empty if none
  double divergence_bound = 0;  // 95 % upper bound of the probability that a run differs, 3/(n-1)
  std::vector<PerturbationResult> perturbations{};

  bool operator==(const DeterminismResult&) const = default;
};

/// One way of timing. Seconds of device time per launch of phase 2.
struct TimingResult {
  std::string mode{};  // "cold": inputs rotate beyond the last-level cache; "hot": the same buffers
  double median_seconds = 0;
  double q1_seconds = 0;
  double q3_seconds = 0;
  double spread = 0;          // (q3 - q1) / median
  std::uint64_t samples = 0;  // repetitions behind the quartiles
  std::uint64_t launches = 0;
  std::uint64_t rotated_bytes = 0;  // memory the launches rotate over; beyond the caches is cold
  double gb_per_s = 0;              // compulsory bytes / median
  double copy_fraction = 0;  // gb_per_s / copy bandwidth measured beside it; 0 if not measured

  bool operator==(const TimingResult&) const = default;
};

struct ThroughputResult {
  std::uint64_t compulsory_bytes = 0;  // each input read once, each output written once
  double copy_gb_per_s = 0;            // the device's own copy, measured beside this case
  double roofline_gb_per_s = 0;        // RunInfo's, with which it is recorded
  double phase_one_seconds = 0;        // median host time of GetWorkspaceSize
  std::vector<TimingResult> timings{};

  bool operator==(const ThroughputResult&) const = default;
};

/// A known deviation of the vendor's implementation that is about a case.
struct DeviationResult {
  std::string number{};  // "D7"
  std::string text{};
  bool seen = false;  // the device deviated so

  bool operator==(const DeviationResult&) const = default;
};

/// Everything the reports may say about one case. Times in seconds, sizes in bytes.
struct Result {
  std::string case_id{};    // stable and readable; --case <id> reruns it
  std::string case_hash{};  // "0x" and 16 hex digits over everything that determines the call
  std::string op{};
  std::string product{};
  std::string shape{};    // "A=[4, 512], R=[4096]"
  std::string dtypes{};   // "float16-float32-float16-float32"
  std::string variant{};  // what else sets the call apart: "mask=110 with=x:null"
  std::string layout{};
  std::string fill{};
  std::uint64_t seed = 0;
  double eps = 0;        // of the forward pass that made the statistics
  std::string source{};  // "cases/rms.yaml:12:5"
  std::string rerun{};   // the command that reruns exactly this case
  Outcome outcome = Outcome::kNotRun;
  std::string reason{};  // what every check had to say, the most serious first; one line
  std::vector<CheckResult> checks{};
  std::vector<OutputResult> outputs{};
  std::vector<DeterminismResult> determinism{};
  std::vector<PropertyResult> properties{};  // of the batch and of invariants
  std::optional<ThroughputResult> throughput{};
  std::vector<DeviationResult> deviations{};  // empty on devices of ours
  std::uint64_t workspace_bytes = 0;
  std::uint64_t tensor_bytes = 0;
  double seconds = 0;         // host wall time of the whole case
  std::string predecessor{};  // the case without which it passes, where a rerun has shown that
  std::string rule{};  // the rule of the contract that the call breaks; empty for a legal call

  bool operator==(const Result&) const = default;
};

/// What was run, where, with what: the head of every report.
struct RunInfo {
  std::string tool_version{};
  std::string started_utc{};  // "2026-11-20T16:19:00Z"
  std::string command_line{};
  std::vector<std::string> sweeps{};  // files
  std::string device_library{};       // path(s)
  std::string device_description{};   // SoC name, version, memory: what the library says of itself
  std::string host{};                 // CPU model, cores, memory, kernel
  std::string profile{};              // rounding profile of the bound: "expanded" or "centred"
  std::string standard = "derived";   // decides accuracy: the derived bound, or a published one
  std::string arithmetic{};           // what the device may do: "ftz allow, rounding rne"
  std::string selftest{};             // score of this build; empty where it has none
  std::string roofline{};             // of this machine, if one is kept; empty if nothing is timed
  double roofline_gb_per_s = 0;       // RooflineRate() of it; 0 if none is kept
  double oracle_gradient_error = 0;   // oracle against differences of its forward pass, relative
  std::uint64_t repeats = 0;          // plain launches per determinism mode
  std::uint64_t threads = 0;          // of the oracle and of a CPU device
  double timeout_seconds = 0;         // that one launch may take
  std::string plan_hash{};            // over every question of the whole plan, see PlanHash()
  std::uint64_t shard = 1;            // which part of that plan, from 1 …
  std::uint64_t shards = 1;           // … of this many
  std::string tool_build{};           // BuildId() of the executable
  std::string device_build{};         // hash of the device library's files
  std::vector<std::string> mixed{};   // what was not the same all along, where that was allowed
  std::uint64_t planned_cases = 0;
  std::uint64_t planned_checks = 0;
  std::uint64_t dropped_combinations = 0;

  bool operator==(const RunInfo&) const = default;
};

}  // namespace normgrad
