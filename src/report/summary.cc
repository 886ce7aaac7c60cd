// SPDX-License-Identifier: Apache-2.0
#include "report/summary.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/text.h"
#include "report/counted.h"
#include "report/escape.h"

namespace normgrad {
namespace {

constexpr std::size_t kListedFailures = 20;
constexpr std::size_t kListedReasons = 20;
constexpr std::size_t kListedTimings = 3;

/// One line per outcome that occurred, one column per check.
std::string Counts(const Totals& totals) {
  std::vector<CheckTotals> columns = {{.check = "cases", .outcomes = totals.cases}};
  columns.insert(columns.end(), totals.checks.begin(), totals.checks.end());
  static constexpr int kNameWidth = 15;  // "known-deviation"
  const auto line = [&](std::string_view name, auto cell) {
    std::string text = fmt::format("{:<{}}", name, kNameWidth);
    for (const CheckTotals& column : columns) {
      text += fmt::format("  {:>{}}", cell(column), std::max<std::size_t>(column.check.size(), 7));
    }
    return text + "\n";
  };
  std::string text = line("", [](const CheckTotals& column) { return column.check; });
  for (const Outcome outcome : Outcomes()) {
    const auto count = [&](const CheckTotals& column) { return column.outcomes.Of(outcome); };
    if (std::ranges::any_of(
            columns, [](std::uint64_t n) { return n > 0; }, count)) {
      text += line(Name(outcome), count);
    }
  }
  return text;
}

/// Why cases have no verdict, and how many for each reason.
std::string UnjudgedCases(const Overview& overview) {
  if (overview.unjudged().empty()) return "";
  std::string text = "\nCases without a verdict\n";
  std::size_t listed = 0;
  for (const Unjudged& unjudged : overview.unjudged()) {
    if (listed++ == kListedReasons) {
      return text + "  … for more reasons than are listed here\n";
    }
    text += fmt::format("  {:>9}  {:<11}  {}\n", unjudged.cases, Name(unjudged.outcome),
                        OneLine(unjudged.reason));
  }
  return text;
}

/// What happened to the device outside of any case.
std::string Incidents(const Overview& overview) {
  if (overview.incidents().empty()) return "";
  std::string text = "\nIncidents\n";
  std::size_t listed = 0;
  for (const std::string& incident : overview.incidents()) {
    if (listed++ == kListedReasons) break;
    text += fmt::format("  {}\n", OneLine(incident));
  }
  if (const std::uint64_t count = overview.totals().incidents; count > kListedReasons) {
    text += fmt::format("  … and {} more\n", count - kListedReasons);
  }
  return text;
}

std::string Margins(const Overview& overview) {
  if (overview.margins().empty()) return "";
  std::string text = "\nWorst margin of each output (at most 1 passes)\n";
  for (const WorstMargin& margin : overview.margins()) {
    const OutputResult& output = margin.output;
    text += fmt::format("  {:>9.3g}  {:<8}  {:<15}  {} at {}\n", output.margin, output.dtype,
                        output.name, margin.case_id, output.worst_index);
  }
  return text;
}

/// The standards that agree with the derived bound on every case in one line, the others one by
/// one.
std::string Standards(const Overview& overview) {
  std::vector<std::string_view> agreeing;
  std::string others;
  for (const StandardTally& tally : overview.standards()) {
    if (tally.standard_fails == 0 && tally.bound_fails == 0) {
      agreeing.push_back(tally.name);
    } else {
      others += fmt::format("  {:<15}fails {} and passes {} against the bound\n", tally.name,
                            Counted(tally.standard_fails, "case"), tally.bound_fails);
    }
  }
  if (overview.standards().empty()) return "";
  std::string text = "\nPublished standards beside the derived bound\n" + others;
  if (agreeing.empty()) return text;
  return text + fmt::format("  agree with it in every case: {}\n", fmt::join(agreeing, ", "));
}

std::string ShareText(const Share& share) {
  return fmt::format("{} of {}", share.shown, share.all);
}

std::string CoverageTable(const Overview& overview) {
  const auto operators = overview.coverage().Operators();
  if (operators.empty()) return "";
  std::string text = fmt::format("\n{:<28}{:<12}{:<14}{}\n", "Coverage of the documents",
                                 "products", "dtype rows", "documented rules");
  for (const OperatorCoverage& one : operators) {
    text += fmt::format("  {:<26}{:<12}{:<14}{}\n", one.op, ShareText(one.products),
                        ShareText(one.dtype_rows), ShareText(one.rules));
  }
  return text;
}

std::string Deviations(const Overview& overview) {
  if (overview.deviations().empty()) return "";
  std::string text = "\nKnown deviations of the vendor's implementation\n";
  for (const DeviationTally& tally : overview.deviations()) {
    text += fmt::format(
        "  {:<4} {} of {}: {}{}\n", tally.number, tally.seen, Counted(tally.cases, "case"),
        tally.text, tally.seen == 0 ? " - never seen on this device: is the row outdated?" : "");
  }
  return text;
}

std::string Throughput(const Overview& overview) {
  if (overview.throughput().empty()) return "";
  const auto line = [](const Result& result) -> std::string {
    const TimingResult* cold = FindTiming(result, "cold");
    if (cold == nullptr) return "";
    const std::string fraction =
        cold->copy_fraction > 0 ? fmt::format("{:.3g}", cold->copy_fraction) : "unknown";
    const std::string note = ReasonOf(result, "throughput");
    return fmt::format("  {:>7}  {:>8.4g} GB/s  {:>8}  {}\n{}", fraction, cold->gb_per_s,
                       HumanSeconds(cold->median_seconds), result.case_id,
                       note.empty() ? "" : fmt::format("{:>11}{}\n", "", OneLine(note)));
  };
  std::string text = fmt::format("\nThroughput of {}, cold, as a share of the device's copy\n",
                                 Counted(overview.throughput_results(), "case"));
  std::size_t listed = 0;
  for (const auto& [fraction, result] : overview.throughput()) {
    if (listed++ == kListedTimings) break;
    text += line(result);
  }
  if (overview.fastest() && overview.throughput_results() > kListedTimings) {
    text += "  …\n" + line(*overview.fastest());
  }
  return text;
}

std::string Failures(const Overview& overview, std::span<const std::filesystem::path> files) {
  const Totals& totals = overview.totals();
  const std::uint64_t count = totals.cases.Failures();
  const std::uint64_t listed =
      std::min<std::uint64_t>({count, overview.failures().size(), kListedFailures});
  std::string text;
  for (const Result& result : std::span(overview.failures()).first(listed)) {
    text += fmt::format("{}  {}: {}\n  rerun: {}\n", Name(result.outcome), OneLine(result.case_id),
                        OneLine(result.reason), OneLine(result.rerun));
  }
  if (count > listed) {
    text += fmt::format("… and {}: {}\n", Counted(count - listed, "more failure"),
                        files.empty() ? std::string("no report file was written that lists them")
                                      : "listed in " + files.front().string());
  }
  return text;
}

/// Whether the run is a pass, and if not, why.
std::string Verdict(const Totals& totals) {
  if (totals.planned_cases == 0) return "no case was selected: nothing was shown\n";
  std::string text;
  if (!totals.Complete()) {
    text = fmt::format("not a pass: {} of {} and {} of {} answered\n", totals.cases.Answered(),
                       Counted(totals.planned_cases, "case"), totals.AnsweredChecks(),
                       Counted(totals.planned_checks, "check"));
  }
  if (totals.incidents > 0) {
    text += fmt::format("not a pass: {}, listed above\n", Counted(totals.incidents, "incident"));
  }
  const std::string planned = Counted(totals.planned_cases, "case");
  const std::uint64_t passed = totals.cases.Of(Outcome::kPassed);
  const std::uint64_t failures = totals.cases.Failures();
  const std::uint64_t not_run = totals.cases.Of(Outcome::kNotRun);
  if (failures > 0) {
    const std::string rest = not_run > 0 ? fmt::format(", {} not run", not_run) : "";
    text += fmt::format("{} of {} failed{}:\n", failures, planned, rest);
  } else if (not_run > 0) {
    text += fmt::format("no case failed, {} of {} not run\n", not_run, planned);
  } else if (text.empty() && !totals.Judged()) {
    text = fmt::format("nothing was judged: {} without a verdict\n", planned);
  } else if (text.empty() && passed == totals.planned_cases) {
    text = passed == 1 ? "the case passed\n" : fmt::format("all {} passed\n", planned);
  } else if (text.empty()) {
    text = fmt::format("no case failed, {} of {} passed\n", passed, planned);
  }
  return text;
}

}  // namespace

std::string Summary(const Overview& overview, std::span<const std::filesystem::path> files) {
  const RunInfo& info = overview.info();
  const Totals& totals = overview.totals();
  std::string text = fmt::format(
      "\nnormgrad-bench {} on {}\n{} of {}, {} of {} answered{}\n\n", info.tool_version,
      OneLine(info.device_description), totals.cases.Answered(),
      Counted(totals.planned_cases, "case"), totals.AnsweredChecks(),
      Counted(totals.planned_checks, "check"),
      info.dropped_combinations == 0
          ? ""
          : fmt::format("; {} dropped", Counted(info.dropped_combinations, "combination")));
  if (info.shards > 1) {
    text += fmt::format("shard {} of {} of plan {}; merge makes one run of all\n\n", info.shard,
                        info.shards, info.plan_hash);
  }
  for (const std::string& what : info.mixed) {
    text += fmt::format("not all along: {}\n", OneLine(what));
  }
  if (!info.mixed.empty()) text += "\n";
  text += Counts(totals) + Incidents(overview) + UnjudgedCases(overview) + Margins(overview) +
          Standards(overview) + CoverageTable(overview) + Deviations(overview) +
          Throughput(overview);
  if (!info.roofline.empty())
    text += fmt::format("\nRoofline of this machine\n  {}\n", OneLine(info.roofline));
  if (!info.selftest.empty())
    text += fmt::format("\nSelf-test of this build\n  {}\n", info.selftest);
  if (!files.empty()) text += "\nReports\n";
  for (const auto& file : files) text += "  " + file.string() + "\n";
  return text + "\n" + Verdict(totals) + Failures(overview, files);
}

std::string ProgressLine(const Progress& progress) {
  const std::string planned = fmt::to_string(progress.planned);
  std::string line = fmt::format("[{:>{}}/{}]", progress.answered, planned.size(), planned);
  std::vector<std::string> facts;
  if (progress.failures > 0) facts.push_back(fmt::format("{} failed", progress.failures));
  if (progress.answered > 0 && progress.seconds > 0) {
    const double rate = static_cast<double>(progress.answered) / progress.seconds;
    facts.push_back(fmt::format("{:.3g} cases/s", rate));
    if (progress.planned > progress.answered) {
      const auto left = static_cast<double>(progress.planned - progress.answered);
      facts.push_back(HumanSeconds(left / rate) + " left");
    }
  }
  if (!facts.empty()) line += fmt::format(" {}", fmt::join(facts, ", "));
  if (!progress.check.empty()) line += (facts.empty() ? " " : ": ") + OneLine(progress.check);

  // Case ids are ASCII, so that bytes are columns.
  const std::string id = " " + OneLine(progress.case_id);
  if (line.size() + id.size() <= progress.columns) return id == " " ? line : line + id;
  static constexpr std::size_t kShortestId = 9;  // below that an id tells nothing
  if (line.size() + kShortestId > progress.columns) return line.substr(0, progress.columns);
  const std::size_t kept = progress.columns - line.size() - 1;
  return line + id.substr(0, kept / 2) + "…" + id.substr(id.size() - (kept - kept / 2));
}

}  // namespace normgrad
