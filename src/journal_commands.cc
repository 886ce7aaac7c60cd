// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "commands.h"
#include "console.h"
#include "report/counted.h"
#include "report/journal.h"
#include "report/report_folder.h"
#include "report/summary.h"
#include "report/totals.h"
#include "run/journal_file.h"
#include "run/recorder.h"
#include "utc.h"

namespace normgrad {
namespace {

/// The journal of one shard.
struct Part {
  std::filesystem::path folder;
  std::string text;
  JournalContents contents;
};

/// Throws unless `other` is of the same run as `first`.
void RequireSameRun(const Part& first, const Part& other) {
  const JournalHeader &one = first.contents.header, &two = other.contents.header;
  std::vector<std::string> differences = Differences(one.run, two.run);
  // A cluster's machines may differ; the report says so.
  std::erase_if(differences, [](const std::string& text) { return text.starts_with("host"); });
  if (one.run.shards != two.run.shards) {
    differences.push_back(fmt::format("a shard of {}, was of {}", two.run.shards, one.run.shards));
  }
  if (one.args != two.args) {
    differences.push_back(
        fmt::format("command {}, was {}", fmt::join(two.args, " "), fmt::join(one.args, " ")));
  }
  if (differences.empty() && first.contents.planned != other.contents.planned) {
    differences.emplace_back("the cases are shared out in another way");
  }
  if (differences.empty()) return;
  throw Error("{}: no shard of the run in {}: {}", other.folder.string(), first.folder.string(),
              fmt::join(differences, "; "));
}

/// For every planned case the part that answers it. Lists the cases that none does, or several do,
/// and throws if there are any.
std::vector<const Part*> WhoAnswers(const std::vector<Part>& parts) {
  const std::vector<PlannedCase>& planned = parts.front().contents.planned;
  const std::uint64_t shards = parts.front().contents.header.run.shards;
  std::vector<const Part*> answering(planned.size(), nullptr);
  std::uint64_t missing = 0, doubled = 0;
  for (std::size_t i = 0; i < planned.size(); ++i) {
    for (const Part& part : parts) {
      if (part.contents.states[i] != CaseState::kAnswered) continue;
      if (answering[i] == nullptr) {
        answering[i] = &part;
        continue;
      }
      ++doubled;
      Print("doubled  {}  in {} and {}\n", planned[i].case_id, answering[i]->folder.string(),
            part.folder.string());
    }
    if (answering[i] != nullptr) continue;
    ++missing;
    Print("missing  {}  of shard {} of {}\n", planned[i].case_id, planned[i].shard, shards);
  }
  if (missing == 0 && doubled == 0) return answering;
  throw Error(
      "{} of the plan's {} missing and {} answered twice, as listed: expected every shard of 1 to "
      "{} once, and each complete",
      Counted(missing, "case"), planned.size(), doubled, shards);
}

/// The header of the whole run.
JournalHeader WholeHeader(const std::vector<Part>& parts, const Options& options) {
  JournalHeader header = parts.front().contents.header;
  RunInfo& run = header.run;
  run.command_line = options.command_line;
  run.shard = run.shards = 1;
  run.planned_cases = run.planned_checks = 0;
  for (const Part& part : parts) {
    const RunInfo& other = part.contents.header.run;
    run.started_utc = std::min(run.started_utc, other.started_utc);
    run.planned_cases += other.planned_cases;
    run.planned_checks += other.planned_checks;
    std::vector<std::string> mixed = other.mixed;
    if (other.host != run.host) mixed.push_back("host " + other.host);
    TakeMixed({.mixed = std::move(mixed)}, &run);
  }
  if (!options.report_formats.empty()) header.formats = options.report_formats;
  return header;
}

}  // namespace

int RebuildReports(const Options& options) {
  const std::filesystem::path from = options.folders.front();
  const std::filesystem::path to =
      options.report_folder.empty() ? from : std::filesystem::path(options.report_folder);
  std::string text;
  const JournalContents contents = ReadJournalIn(from, &text);
  if (std::error_code ignored; std::filesystem::equivalent(from, to, ignored)) {
    RequireNobodyWrites(from);
  }
  ReportFolder place(to, IfFolderExists::kReplaceReports);
  ReportFiles reports(
      place.path(),
      options.report_formats.empty() ? contents.header.formats : options.report_formats,
      contents.header.run);
  place.Keep();
  WriteReports(contents, text, &reports);
  WriteOutput(Summary(reports.overview(), reports.paths()));
  return ExitCode(reports.overview().totals());
}

int MergeShards(const Options& options) {
  std::vector<Part> parts;
  for (const std::string& folder : options.folders) {
    Part& part = parts.emplace_back();
    part.folder = folder;
    part.contents = ReadJournalIn(part.folder, &part.text);
    RequireSameRun(parts.front(), part);
  }
  const std::vector<const Part*> answering = WhoAnswers(parts);
  std::vector<PlannedCase> plan = parts.front().contents.planned;
  for (PlannedCase& planned : plan) planned.shard = 1;
  Recorder recorder(options.report_folder, IfFolderExists::kReplaceReports,
                    WholeHeader(parts, options), std::move(plan));
  for (std::size_t i = 0; i < answering.size(); ++i) {
    recorder.Add(ResultAt(answering[i]->text, answering[i]->contents.results[i]));
  }
  for (const Part& part : parts) {
    for (const std::string& incident : part.contents.incidents) recorder.AddIncident(incident);
  }
  std::string finished_utc;
  for (const Part& part : parts) finished_utc = std::max(finished_utc, part.contents.finished_utc);
  recorder.Finish(finished_utc.empty() ? UtcNow() : finished_utc, "");
  const ReportFiles& reports = recorder.reports();
  WriteOutput(Summary(reports.overview(), reports.paths()));
  return ExitCode(reports.overview().totals());
}

}  // namespace normgrad
