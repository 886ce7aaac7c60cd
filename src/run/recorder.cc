// SPDX-License-Identifier: Apache-2.0
#include "run/recorder.h"

#include <optional>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "base/error.h"
#include "report/json.h"

namespace normgrad {

EarlierJournal::EarlierJournal(std::filesystem::path of_folder) : folder(std::move(of_folder)) {
  std::string text;
  file = std::make_unique<JournalFile>(folder, &text, &contents);
}

std::vector<std::string> Differences(const RunInfo& then, const RunInfo& now) {
  std::vector<std::string> differences;
  const auto compare = [&](std::string_view what, const std::string& before,
                           const std::string& after) {
    if (before != after) differences.push_back(fmt::format("{} {}, was {}", what, after, before));
  };
  compare("plan", then.plan_hash, now.plan_hash);
  compare("tool version", then.tool_version, now.tool_version);
  compare("tool build", then.tool_build, now.tool_build);
  compare("device library", then.device_build, now.device_build);
  compare("host", then.host, now.host);
  return differences;
}

Recorder::Recorder(const std::filesystem::path& folder, IfFolderExists if_exists,
                   JournalHeader header, std::vector<PlannedCase> plan) {
  contents_.header = std::move(header);
  contents_.planned = std::move(plan);
  contents_.states.resize(contents_.planned.size());
  contents_.results.resize(contents_.planned.size());
  // Removed again, should one of the files fail.
  ReportFolder place(folder, if_exists);
  // Held until the new one has its place.
  std::optional<EarlierJournal> earlier;
  if (std::error_code ignored; std::filesystem::exists(place.path() / kJournalName, ignored)) {
    earlier.emplace(place.path());
    if (!earlier->contents.Complete()) {
      throw Error(
          "{}: holds a run of which answers are missing: go on with normgrad-bench run --resume "
          "{}, or name another folder",
          (place.path() / kJournalName).string(), place.path().string());
    }
  }
  journal_ = std::make_unique<JournalFile>(place.path(), contents_.header, contents_.planned);
  reports_ =
      std::make_unique<ReportFiles>(place.path(), contents_.header.formats, contents_.header.run);
  journal_->Publish(earlier ? earlier->file.get() : nullptr);
  place.Keep();
  IndexCases();
}

Recorder::Recorder(EarlierJournal earlier, const RunResumed& resumed)
    : contents_(std::move(earlier.contents)), journal_(std::move(earlier.file)) {
  journal_->Append(resumed);
  TakeMixed(resumed, &contents_.header.run);
  reports_ =
      std::make_unique<ReportFiles>(earlier.folder, contents_.header.formats, contents_.header.run);
  for (CaseState& state : contents_.states) {
    if (state != CaseState::kAnswered) state = CaseState::kOpen;
  }
  IndexCases();
  for (const std::string& incident : contents_.incidents) reports_->AddIncident(incident);
  Advance(0, nullptr);
}

void Recorder::IndexCases() {
  for (std::size_t i = 0; i < contents_.planned.size(); ++i) {
    if (contents_.IsMine(i)) index_of_.emplace(contents_.planned[i].case_id, i);
  }
}

const PlannedCase* Recorder::FindOpen(std::string_view case_id) const {
  const auto found = index_of_.find(case_id);
  const bool open = found != index_of_.end() && contents_.states[found->second] == CaseState::kOpen;
  return open ? &contents_.planned[found->second] : nullptr;
}

void Recorder::Start(const Case& the_case) { journal_->Append(CaseStarted{the_case.Id()}); }

void Recorder::Add(Result result) {
  if (result.throughput) {
    result.throughput->roofline_gb_per_s = contents_.header.run.roofline_gb_per_s;
  }
  const std::size_t index = index_of_.at(result.case_id);
  const JournalRecord record = AsWritten(std::move(result));
  const auto& written = std::get<Result>(record);
  contents_.results[index] = journal_->Append(record);
  contents_.states[index] =
      written.outcome == Outcome::kNotRun ? CaseState::kNotRun : CaseState::kAnswered;
  Advance(index, &written);
}

void Recorder::AddIncident(const std::string& what) {
  // As the journal holds it, like results.
  const RecordPlace place = journal_->Append(RunIncident{what});
  const std::string line = journal_->Read(place);
  reports_->AddIncident(IncidentAt(line, {0, line.size()}));
}

void Recorder::Finish(const std::string& finished_utc, const std::string& reason) {
  for (std::size_t i = next_; i < contents_.planned.size(); ++i) {
    if (!contents_.IsMine(i) || contents_.states[i] != CaseState::kOpen) continue;
    Result result{.case_id = contents_.planned[i].case_id, .reason = reason};
    for (const std::string& check : contents_.planned[i].checks) {
      result.checks.push_back({.check = check});
    }
    Add(result);
  }
  journal_->Append(RunFinished{finished_utc});
  reports_->Finish(finished_utc);
}

void Recorder::Advance(std::size_t index, const Result* newest) {
  for (; next_ < contents_.planned.size(); ++next_) {
    if (!contents_.IsMine(next_)) continue;
    if (contents_.states[next_] == CaseState::kOpen) return;
    if (newest != nullptr && next_ == index) {
      reports_->Add(*newest);
      continue;
    }
    const std::string line = journal_->Read(contents_.results[next_]);
    reports_->Add(ResultAt(line, {0, line.size()}));
  }
}

}  // namespace normgrad
