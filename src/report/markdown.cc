// SPDX-License-Identifier: Apache-2.0
// A page whose head never changes, whose rows are appended inside <details>, and whose summary is
// the tail: folded, the table of all cases is one line, so the summary follows the head at once.
// While the run goes on the tail lists kWhileRunning entries per table, to stay small enough to be
// rewritten after every case; finished, it lists all that Overview keeps.
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "report/columns.h"
#include "report/counted.h"
#include "report/escape.h"
#include "report/format.h"

namespace normgrad {
namespace {

constexpr std::size_t kWhileRunning = 10;

constexpr std::array<std::string_view, 8> kCaseColumns = {
    "case", "outcome", "checks", "margins", "kernel_cold_us", "gb_per_s", "copy_fraction", "reason",
};

constexpr std::array<std::string_view, 10> kThroughputColumns = {
    "case",
    "kernel_cold_us",
    "kernel_cold_spread",
    "gb_per_s",
    "copy_gb_per_s",
    "copy_fraction",
    "roofline_fraction",
    "kernel_hot_us",
    "kernel_hot_spread",
    "phase_one_us",
};

std::string TableHead(std::span<const std::string_view> names) {
  std::string head = "|";
  std::string rule = "|";
  for (const std::string_view name : names) {
    head.append(" ").append(name).append(" |");
    rule += " --- |";
  }
  return head + "\n" + rule + "\n";
}

std::string TableRow(std::span<const std::string> cells) {
  std::string row = "|";
  for (const std::string& cell : cells) row += " " + MarkdownCell(cell) + " |";
  return row + "\n";
}

std::string TableRow(const Result& result, std::span<const std::string_view> columns) {
  std::vector<std::string> cells;
  for (const std::string_view name : columns) cells.push_back(FindColumn(name).text(result));
  return TableRow(cells);
}

/// "12 more are not listed here: …", or nothing.
std::string More(std::uint64_t total, std::size_t listed) {
  if (total <= listed) return "";
  return fmt::format("\n{} more are not listed here; the table of all cases has them.\n",
                     total - listed);
}

std::string TotalsSection(const Overview& overview) {
  const Totals& totals = overview.totals();
  std::string text = "## Totals\n\n";
  if (!overview.finished()) text += "**The run goes on, or ended before its time.**\n\n";
  text +=
      fmt::format("Answered: {} of {} and {} of {}; exit code {}.{}\n\n", totals.cases.Answered(),
                  Counted(totals.planned_cases, "case"), totals.AnsweredChecks(),
                  Counted(totals.planned_checks, "check"), ExitCode(totals),
                  overview.finished() ? fmt::format(" Finished {}.", overview.finished_utc()) : "");
  std::vector<std::string_view> names = {"outcome", "cases"};
  for (const CheckTotals& check : totals.checks) names.push_back(check.check);
  text += TableHead(names);
  for (const Outcome outcome : Outcomes()) {
    std::vector<std::string> cells = {std::string(Name(outcome)),
                                      fmt::to_string(totals.cases.Of(outcome))};
    for (const CheckTotals& check : totals.checks) {
      cells.push_back(fmt::to_string(check.outcomes.Of(outcome)));
    }
    const auto counts = std::span(cells).subspan(1);
    if (std::ranges::any_of(counts, [](const std::string& n) { return n != "0"; })) {
      text += TableRow(cells);
    }
  }
  if (overview.info().dropped_combinations > 0) {
    text += fmt::format(
        "\nDropped: {} that the sweeps describe but the operator's contract or the product rules "
        "out, and that are not among the planned cases.\n",
        Counted(overview.info().dropped_combinations, "combination"));
  }
  return text;
}

std::string FailuresSection(const Overview& overview, std::size_t limit) {
  const std::uint64_t count = overview.totals().cases.Failures();
  std::string text = "\n## Failures\n\n";
  if (count == 0) return text + "No case has failed.\n";
  static constexpr std::array<std::string_view, 3> kColumns = {"case", "outcome", "reason"};
  text += TableHead(kColumns);
  std::string commands;
  std::size_t listed = 0;
  for (const Result& result : overview.failures()) {
    if (listed == limit) break;
    ++listed;
    text += TableRow(result, kColumns);
    commands += OneLine(result.rerun) + "\n";
  }
  text += More(count, listed);
  return text + "\nTo run them again, one by one:\n\n" + MarkdownFence("sh", commands);
}

std::string MarginsSection(const Overview& overview) {
  std::string text = "\n## Margins\n\n";
  if (overview.margins().empty()) return text + "No output was judged.\n";
  text +=
      "The largest error beyond rounding, in units of what the derived bound allows for that "
      "element: at most 1 passes, 0 is correctly rounded.\n\n";
  static constexpr std::array<std::string_view, 13> kNames = {
      "operator", "output", "dtype",  "cases",  "elements",  "violations", "margin",
      "case",     "index",  "actual", "golden", "allowance", "term",
  };
  text += TableHead(kNames);
  for (const WorstMargin& margin : overview.margins()) {
    const OutputResult& output = margin.output;
    const std::string cells[] = {
        margin.op,
        output.name,
        output.dtype,
        fmt::to_string(margin.cases),
        fmt::to_string(margin.elements),
        fmt::to_string(margin.violations),
        fmt::format("{:.4g}", output.margin),
        margin.case_id,
        output.worst_index,
        fmt::format("{:.9g}", output.worst_actual),
        fmt::format("{:.9g}", output.worst_golden),
        fmt::format("{:.3g}", output.worst_allowance),
        output.dominant,
    };
    text += TableRow(cells);
  }
  return text;
}

std::string StandardsSection(const Overview& overview) {
  std::string text = "\n## Published standards\n\n";
  if (overview.standards().empty()) return text + "No output was judged.\n";
  text += fmt::format(
      "What published standards of accuracy say of the same outputs, in cases, beside the bound "
      "derived for every element. Decisive in this run: {}.\n\n",
      overview.info().standard == "derived" ? "the derived bound"
                                            : "standard " + overview.info().standard);
  static constexpr std::array<std::string_view, 5> kNames = {
      "standard", "both pass", "both fail", "only the standard fails", "only the bound fails"};
  text += TableHead(kNames);
  for (const StandardTally& tally : overview.standards()) {
    const std::string cells[] = {
        tally.name, fmt::to_string(tally.both_pass), fmt::to_string(tally.both_fail),
        fmt::to_string(tally.standard_fails), fmt::to_string(tally.bound_fails)};
    text += TableRow(cells);
  }
  return text;
}

std::string CoverageSection(const Overview& overview) {
  std::string text = "\n## Coverage\n\n";
  if (!overview.finished()) return text + "Worked out when the run has finished.\n";
  const auto operators = overview.coverage().Operators();
  if (operators.empty()) return text + "No operator has a case.\n";
  text +=
      "What the cases of this run have shown of the operators' documents. A dtype row with "
      "alternatives counts once every pair of dtypes that it allows has passed; a rule counts once "
      "a call that breaks it was refused as documented.\n\n";
  static constexpr std::array<std::string_view, 4> kNames = {"operator", "products", "dtype rows",
                                                             "documented rules"};
  text += TableHead(kNames);
  const auto share = [](const Share& part) {
    return fmt::format("{} of {}", part.shown, part.all);
  };
  std::string missing;
  for (const OperatorCoverage& one : operators) {
    const std::string cells[] = {one.op, share(one.products), share(one.dtype_rows),
                                 share(one.rules)};
    text += TableRow(cells);
    for (const std::string& line : one.missing) {
      missing += fmt::format("- {}: {}\n", one.op, MarkdownCell(line));
    }
  }
  if (missing.empty()) return text;
  return text + "\n<details>\n<summary>Not shown</summary>\n\n" + missing + "\n</details>\n";
}

/// Nothing of a run without any.
std::string IncidentsSection(const Overview& overview) {
  if (overview.incidents().empty()) return "";
  std::string text = "\n## Incidents\n\nWhat happened to the device outside of any case.\n\n";
  for (const std::string& incident : overview.incidents()) {
    text += fmt::format("- {}\n", MarkdownCell(incident));
  }
  return text + More(overview.totals().incidents, overview.incidents().size());
}

/// Nothing on a device that none is about.
std::string DeviationsSection(const Overview& overview) {
  if (overview.deviations().empty()) return "";
  static constexpr std::array<std::string_view, 4> kNames = {"deviation", "cases", "seen", ""};
  std::string text =
      "\n## Known deviations\n\n"
      "What the vendor's published implementation is known to do otherwise than its documents say. "
      "One that is never seen may be outdated.\n\n" +
      TableHead(kNames);
  for (const DeviationTally& tally : overview.deviations()) {
    const std::string cells[] = {tally.number, fmt::to_string(tally.cases),
                                 fmt::to_string(tally.seen), tally.text};
    text += TableRow(cells);
  }
  return text;
}

std::string ThroughputSection(const Overview& overview, std::size_t limit) {
  std::string text = "\n## Throughput\n\n";
  if (overview.throughput().empty()) return text + "No case was timed.\n";
  text += "Lowest share of the device's own copy first.\n\n" + TableHead(kThroughputColumns);
  std::string notes;
  std::size_t listed = 0;
  for (const auto& [fraction, result] : overview.throughput()) {
    if (listed == limit) break;
    ++listed;
    text += TableRow(result, kThroughputColumns);
    if (const std::string note = ReasonOf(result, "throughput"); !note.empty()) {
      notes += fmt::format("- {}: {}\n", MarkdownCell(result.case_id), MarkdownCell(note));
    }
  }
  if (!notes.empty()) text += "\nNotes:\n\n" + notes;
  return text + More(overview.throughput_results(), listed);
}

}  // namespace

std::string MarkdownHead(const RunInfo& info) {
  std::string text = "# normgrad-bench report\n\n";
  static constexpr std::array<std::string_view, 2> kNames = {"run", ""};
  text += TableHead(kNames);
  const auto row = [&](std::string_view name, const std::string& value) {
    const std::string cells[] = {std::string(name), value};
    text += TableRow(cells);
  };
  row("version", info.tool_version);
  row("started", info.started_utc);
  row("command", info.command_line);
  for (const std::string& sweep : info.sweeps) row("sweep", sweep);
  row("device library", info.device_library);
  row("device", info.device_description);
  row("host", info.host);
  row("settings", fmt::format("profile {}, standard {}, {}, {}, timeout {} s", info.profile,
                              info.standard, Counted(info.repeats, "repeat"),
                              Counted(info.threads, "thread"), info.timeout_seconds));
  row("arithmetic", info.arithmetic);
  row("oracle",
      fmt::format("gradients differ from its forward pass by {:.2g}", info.oracle_gradient_error));
  row("self-test", info.selftest.empty() ? "none of this build" : info.selftest);
  if (!info.roofline.empty()) row("roofline", info.roofline);
  row("plan", info.shards > 1
                  ? fmt::format("{}, shard {} of {}", info.plan_hash, info.shard, info.shards)
                  : info.plan_hash);
  row("builds", fmt::format("tool {}, device library {}", info.tool_build, info.device_build));
  for (const std::string& what : info.mixed) row("not all along", what);
  row("planned", fmt::format("{}, {}", Counted(info.planned_cases, "case"),
                             Counted(info.planned_checks, "check")));
  text +=
      "\n[Totals](#totals) · [Failures](#failures) · [Margins](#margins) · "
      "[Published standards](#published-standards) · [Coverage](#coverage) · "
      "[Throughput](#throughput)\n\n<details>\n<summary>All "
      "cases</summary>\n\n";
  return text + TableHead(kCaseColumns);
}

std::string MarkdownRow(const Result& result, bool /*first*/) {
  return TableRow(result, kCaseColumns);
}

std::string MarkdownTail(const Overview& overview) {
  const std::size_t limit = overview.finished() ? Overview::kKept : kWhileRunning;
  return "\n</details>\n\n" + TotalsSection(overview) + IncidentsSection(overview) +
         FailuresSection(overview, limit) + MarginsSection(overview) + StandardsSection(overview) +
         CoverageSection(overview) + DeviationsSection(overview) +
         ThroughputSection(overview, limit);
}

}  // namespace normgrad
