// SPDX-License-Identifier: Apache-2.0
#include "report/columns.h"

#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "report/overview.h"

namespace normgrad {
namespace {

/// Six significant digits: more than any timing has. JSON carries every digit.
std::string Number(double value) { return fmt::format("{:.6g}", value); }

std::string Micros(double seconds) { return Number(seconds * 1e6); }

std::string Checks(const Result& result) {
  std::vector<std::string> answers;
  for (const CheckResult& check : result.checks) {
    answers.push_back(fmt::format("{}={}", check.check, Name(check.outcome)));
  }
  return fmt::format("{}", fmt::join(answers, " "));
}

std::string Skips(const Result& result) {
  std::vector<std::string> skips;
  for (const CheckResult& check : result.checks) {
    if (check.skip == SkipReason::kNone) continue;
    skips.push_back(fmt::format("{}={}", check.check, Name(check.skip)));
  }
  return fmt::format("{}", fmt::join(skips, " "));
}

std::string Margins(const Result& result) {
  std::vector<std::string> margins;
  for (const OutputResult& output : result.outputs) {
    margins.push_back(fmt::format("{}={}", output.name, Number(output.margin)));
  }
  return fmt::format("{}", fmt::join(margins, " "));
}

std::string Standards(const Result& result) {
  std::vector<std::string> answers;
  for (const StandardResult& standard : StandardsOf(result)) {
    answers.push_back(fmt::format("{}={}", standard.name, standard.passed ? "pass" : "fail"));
  }
  return fmt::format("{}", fmt::join(answers, " "));
}

std::string OfWorst(const Result& result, std::string (*text)(const OutputResult& output)) {
  const OutputResult* worst = WorstOutput(result);
  return worst == nullptr ? "" : text(*worst);
}

std::string OfAll(const Result& result, std::uint64_t OutputResult::*count) {
  if (result.outputs.empty()) return "";
  std::uint64_t sum = 0;
  for (const OutputResult& output : result.outputs) sum += output.*count;
  return fmt::to_string(sum);
}

template <typename Text>
std::string OfRepeats(const Result& result, bool option, Text text) {
  const auto found = std::ranges::find(result.determinism, option, &DeterminismResult::option);
  return found == result.determinism.end() ? "" : text(*found);
}

std::string Runs(const DeterminismResult& repeats) { return fmt::to_string(repeats.runs); }

std::string Differing(const DeterminismResult& repeats) {
  return fmt::to_string(repeats.differing);
}

std::string Divergence(const DeterminismResult& repeats) {
  return Number(repeats.divergence_bound);
}

template <typename Text>
std::string OfTiming(const Result& result, std::string_view mode, Text text) {
  const TimingResult* timing = FindTiming(result, mode);
  return timing == nullptr ? "" : text(*timing);
}

std::string Median(const TimingResult& timing) { return Micros(timing.median_seconds); }
std::string LowerQuartile(const TimingResult& timing) { return Micros(timing.q1_seconds); }
std::string UpperQuartile(const TimingResult& timing) { return Micros(timing.q3_seconds); }
std::string Spread(const TimingResult& timing) { return Number(timing.spread); }
std::string Samples(const TimingResult& timing) { return fmt::to_string(timing.samples); }
std::string Rotated(const TimingResult& timing) { return fmt::to_string(timing.rotated_bytes); }
std::string Rate(const TimingResult& timing) { return Number(timing.gb_per_s); }

std::string CopyFraction(const TimingResult& timing) {
  return timing.copy_fraction == 0 ? "" : Number(timing.copy_fraction);
}

template <typename Text>
std::string OfThroughput(const Result& result, Text text) {
  return result.throughput ? text(*result.throughput) : "";
}

std::string RooflineFraction(const Result& result) {
  const TimingResult* cold = FindTiming(result, "cold");
  if (cold == nullptr || result.throughput->roofline_gb_per_s == 0) return "";
  return Number(cold->gb_per_s / result.throughput->roofline_gb_per_s);
}

constexpr Column kColumns[] = {
    {"case", "", "stable name of the case; `--case` reruns it",
     [](const Result& r) { return r.case_id; }},
    {"hash", "", "0x and 16 hex digits over everything that determines the call",
     [](const Result& r) { return r.case_hash; }},
    {"operator", "", "operator under test", [](const Result& r) { return r.op; }},
    {"product", "", "product whose limits and dtype table apply",
     [](const Result& r) { return r.product; }},
    {"shape", "", "extents of each symbol", [](const Result& r) { return r.shape; }},
    {"dtypes", "", "dtypes in the order of the operator's dtype table",
     [](const Result& r) { return r.dtypes; }},
    {"variant", "", "what else sets the call apart: output mask, free shapes, changed arguments",
     [](const Result& r) { return r.variant; }},
    {"rule", "", "the documented rule that the call breaks; empty for a legal call",
     [](const Result& r) { return r.rule; }},
    {"layout", "", "memory layout of the tensors", [](const Result& r) { return r.layout; }},
    {"fill", "", "how the inputs were drawn", [](const Result& r) { return r.fill; }},
    {"seed", "", "seed of the inputs", [](const Result& r) { return fmt::to_string(r.seed); }},
    {"eps", "1", "of the forward pass that made the statistics",
     [](const Result& r) { return fmt::to_string(r.eps); }},
    {"outcome", "", "outcome of the most serious check",
     [](const Result& r) { return std::string(Name(r.outcome)); }},
    {"reason", "", "what every check had to say, the most serious first: why, or a warning",
     [](const Result& r) { return r.reason; }},
    {"checks", "", "outcome of every check, `check=outcome`, separated by spaces", Checks},
    {"skips", "",
     "why checks were skipped, `check=reason`, separated by spaces; the reasons are listed below",
     Skips},
    {"elements", "elements", "output elements compared with the oracle",
     [](const Result& r) { return OfAll(r, &OutputResult::elements); }},
    {"violations", "elements", "of those, outside the derived bound",
     [](const Result& r) { return OfAll(r, &OutputResult::violations); }},
    {"margin_max", "1", "largest error beyond rounding over its allowance; at most 1 passes",
     [](const Result& r) {
       return OfWorst(r, [](const OutputResult& o) { return Number(o.margin); });
     }},
    {"margin_output", "", "output in which margin_max occurs",
     [](const Result& r) { return OfWorst(r, [](const OutputResult& o) { return o.name; }); }},
    {"margin_index", "", "element of that output in which margin_max occurs",
     [](const Result& r) {
       return OfWorst(r, [](const OutputResult& o) { return o.worst_index; });
     }},
    {"margin_term", "", "term that dominates the allowance there: local, sum or flush",
     [](const Result& r) { return OfWorst(r, [](const OutputResult& o) { return o.dominant; }); }},
    {"oracle_error", "1",
     "largest difference of the reference from a second opinion, over the allowance; above 2^-10 "
     "there is no verdict",
     [](const Result& r) {
       double worst = 0;
       for (const OutputResult& output : r.outputs) worst = std::max(worst, output.oracle_error);
       return r.outputs.empty() ? "" : Number(worst);
     }},
    {"margins", "1", "largest margin of every output, `output=margin`, separated by spaces",
     Margins},
    {"standards", "",
     "what published standards say of all outputs, whatever decides: `standard=pass` or "
     "`standard=fail`, separated by spaces",
     Standards},
    {"runs", "runs", "launches compared bit by bit, ACL_OPT_DETERMINISTIC off",
     [](const Result& r) { return OfRepeats(r, false, Runs); }},
    {"differing_runs", "runs", "of those, different from the first",
     [](const Result& r) { return OfRepeats(r, false, Differing); }},
    {"divergence_bound", "1", "95 % upper bound of the probability that a run differs",
     [](const Result& r) { return OfRepeats(r, false, Divergence); }},
    {"deterministic_runs", "runs", "launches compared bit by bit, ACL_OPT_DETERMINISTIC on",
     [](const Result& r) { return OfRepeats(r, true, Runs); }},
    {"deterministic_differing_runs", "runs", "of those, different from the first",
     [](const Result& r) { return OfRepeats(r, true, Differing); }},
    {"deterministic_divergence_bound", "1",
     "95 % upper bound of the probability that a run differs, ACL_OPT_DETERMINISTIC on",
     [](const Result& r) { return OfRepeats(r, true, Divergence); }},
    {"compulsory_bytes", "B", "each input read once, each output written once",
     [](const Result& r) {
       return OfThroughput(
           r, [](const ThroughputResult& t) { return fmt::to_string(t.compulsory_bytes); });
     }},
    {"kernel_cold_us", "us", "median device time of phase 2, inputs not in the last-level cache",
     [](const Result& r) { return OfTiming(r, "cold", Median); }},
    {"kernel_cold_q1_us", "us", "lower quartile of the same samples",
     [](const Result& r) { return OfTiming(r, "cold", LowerQuartile); }},
    {"kernel_cold_q3_us", "us", "upper quartile of the same samples",
     [](const Result& r) { return OfTiming(r, "cold", UpperQuartile); }},
    {"kernel_cold_spread", "1", "(q3 - q1) / median of the same samples",
     [](const Result& r) { return OfTiming(r, "cold", Spread); }},
    {"kernel_cold_samples", "samples", "repetitions behind these quartiles",
     [](const Result& r) { return OfTiming(r, "cold", Samples); }},
    {"rotated_bytes", "B", "memory that these launches rotate over, beyond the caches",
     [](const Result& r) { return OfTiming(r, "cold", Rotated); }},
    {"gb_per_s", "GB/s", "compulsory_bytes over kernel_cold_us; 1 GB is 10^9 bytes",
     [](const Result& r) { return OfTiming(r, "cold", Rate); }},
    {"copy_fraction", "1", "gb_per_s over copy_gb_per_s: 1 is as fast as the device copies",
     [](const Result& r) { return OfTiming(r, "cold", CopyFraction); }},
    {"copy_gb_per_s", "GB/s", "the device's own copy, measured beside this case, read plus written",
     [](const Result& r) {
       return OfThroughput(r, [](const ThroughputResult& t) {
         return t.copy_gb_per_s == 0 ? "" : Number(t.copy_gb_per_s);
       });
     }},
    {"roofline_fraction", "1",
     "gb_per_s over what normgrad-bench roofline measured for two reads and a write past the "
     "caches; empty if no such measurement is kept",
     RooflineFraction},
    {"kernel_hot_us", "us", "median device time of phase 2, the same buffers every time",
     [](const Result& r) { return OfTiming(r, "hot", Median); }},
    {"kernel_hot_spread", "1", "(q3 - q1) / median of the hot samples",
     [](const Result& r) { return OfTiming(r, "hot", Spread); }},
    {"phase_one_us", "us", "median host time of phase 1 (GetWorkspaceSize)",
     [](const Result& r) {
       return OfThroughput(r,
                           [](const ThroughputResult& t) { return Micros(t.phase_one_seconds); });
     }},
    {"workspace_bytes", "B", "workspace that phase 1 asked for",
     [](const Result& r) { return fmt::to_string(r.workspace_bytes); }},
    {"tensor_bytes", "B", "all tensors of the call",
     [](const Result& r) { return fmt::to_string(r.tensor_bytes); }},
    {"seconds", "s", "host wall time of the whole case",
     [](const Result& r) { return Number(r.seconds); }},
    {"source", "", "file, line and column of the sweep that asked for the case",
     [](const Result& r) { return r.source; }},
    {"rerun", "", "the command that reruns exactly this case",
     [](const Result& r) { return r.rerun; }},
};

}  // namespace

std::span<const Column> Columns() { return kColumns; }

const Column& FindColumn(std::string_view name) {
  const auto found = std::ranges::find(kColumns, name, &Column::name);
  if (found == std::end(kColumns)) {
    throw std::logic_error(fmt::format("no column is called '{}'", name));
  }
  return *found;
}

std::string ColumnsTable() {
  std::string table = "| name | unit | meaning |\n| --- | --- | --- |\n";
  for (const Column& column : kColumns) {
    table += fmt::format("| `{}` | {} | {} |\n", column.name, column.unit, column.meaning);
  }
  return table;
}

}  // namespace normgrad
