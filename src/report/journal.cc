// SPDX-License-Identifier: Apache-2.0
#include "report/journal.h"

#include <algorithm>
#include <charconv>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "base/random.h"
#include "report/json.h"

namespace normgrad {
namespace {

// A line is <text>,"hash":"0123456789abcdef"} where <text>} is the record.
constexpr std::string_view kHashField = ",\"hash\":\"";
constexpr std::size_t kHashDigits = 16;
constexpr std::string_view kLineEnd = "\"}\n";
constexpr std::size_t kTailSize = kHashField.size() + kHashDigits + kLineEnd.size();

/// The record of a line whose hash fits, as JSON; empty where it does not.
std::optional<std::string> CheckedRecord(std::string_view line, std::uint64_t* hash) {
  if (line.size() <= kTailSize || !line.ends_with(kLineEnd)) return std::nullopt;
  const std::string_view text = line.substr(0, line.size() - kTailSize);
  std::string_view tail = line.substr(text.size());
  if (!tail.starts_with(kHashField)) return std::nullopt;
  tail = tail.substr(kHashField.size(), kHashDigits);
  std::uint64_t written = 0;
  const auto [stop, error] =
      std::from_chars(tail.data(), tail.data() + tail.size(), written, /*base=*/16);
  if (error != std::errc() || stop != tail.data() + tail.size()) return std::nullopt;
  const std::uint64_t computed = HashText(text, *hash);
  if (written != computed) return std::nullopt;
  *hash = computed;
  return std::string(text) + '}';
}

/// The record in a line that was checked.
JournalRecord RecordAt(std::string_view text, const RecordPlace& place) {
  const std::string_view line = text.substr(place.offset, place.size);
  return RecordFromJson(std::string(line.substr(0, line.size() - kTailSize)) + '}');
}

/// Takes a journal's records one by one, and refuses what no run writes.
class Reader {
 public:
  JournalContents contents;

  void Take(JournalRecord record, const RecordPlace& place) {
    const bool header = std::holds_alternative<JournalHeader>(record);
    if (header != (lines_ == 0)) {
      throw Error("{} header: expected one, on the first line", header ? "a second" : "no");
    }
    ++lines_;
    if (!header && !std::holds_alternative<PlannedCase>(record) && !planned_) EndPlan();
    std::visit([&](auto& payload) { Take(payload, place); }, record);
  }

  void EndPlan() {
    planned_ = true;
    const RunInfo& run = contents.header.run;
    std::vector<std::uint64_t> questions;
    questions.reserve(contents.planned.size());
    std::uint64_t cases = 0, checks = 0;
    for (std::size_t i = 0; i < contents.planned.size(); ++i) {
      questions.push_back(HashText(contents.planned[i].question));
      if (!contents.IsMine(i)) continue;
      ++cases;
      checks += contents.planned[i].checks.size();
    }
    if (const std::string hash = PlanHash(std::move(questions)); hash != run.plan_hash) {
      throw Error("the plan hash of the cases above is {}, in the header {}", hash, run.plan_hash);
    }
    if (cases != run.planned_cases || checks != run.planned_checks) {
      throw Error("{} cases and {} checks are planned above, {} and {} in the header", cases,
                  checks, run.planned_cases, run.planned_checks);
    }
  }

  bool empty() const { return lines_ == 0; }
  bool planned() const { return planned_; }

 private:
  void Take(JournalHeader& header, const RecordPlace&) {
    if (header.version != kJournalVersion) {
      throw Error("version {} of the format: this program reads {}", header.version,
                  kJournalVersion);
    }
    if (header.run.shard < 1 || header.run.shard > header.run.shards) {
      throw Error("shard {} of {}", header.run.shard, header.run.shards);
    }
    contents.header = std::move(header);
  }

  void Take(PlannedCase& planned, const RecordPlace&) {
    if (planned_) throw Error("a planned case behind the plan");
    if (planned.shard < 1 || planned.shard > contents.header.run.shards) {
      throw Error("a case of shard {}: there are {}", planned.shard, contents.header.run.shards);
    }
    if (!index_of_.try_emplace(planned.case_id, contents.planned.size()).second) {
      throw Error("case {} is planned twice", planned.case_id);
    }
    contents.planned.push_back(std::move(planned));
    contents.states.push_back(CaseState::kOpen);
    contents.results.emplace_back();
  }

  void Take(const CaseStarted& started, const RecordPlace&) {
    contents.states[OpenCase(started.case_id)] = CaseState::kStarted;
  }

  void Take(const Result& result, const RecordPlace& place) {
    const std::size_t index = OpenCase(result.case_id);
    const auto& planned = contents.planned[index].checks;
    if (!std::ranges::equal(planned, result.checks, {}, {}, &CheckResult::check)) {
      throw Error("case {} was asked for {} and answers something else", result.case_id,
                  fmt::join(planned, ","));
    }
    contents.states[index] =
        result.outcome == Outcome::kNotRun ? CaseState::kNotRun : CaseState::kAnswered;
    contents.results[index] = place;
  }

  void Take(RunIncident& incident, const RecordPlace&) {
    contents.incidents.push_back(std::move(incident.what));
  }

  void Take(const RunResumed& resumed, const RecordPlace&) {
    contents.finished_utc.clear();
    std::ranges::replace(contents.states, CaseState::kNotRun, CaseState::kOpen);
    TakeMixed(resumed, &contents.header.run);
  }

  void Take(const RunFinished& finished, const RecordPlace&) {
    contents.finished_utc = finished.finished_utc;
  }

  /// The index of a case that may still be answered.
  std::size_t OpenCase(const std::string& id) const {
    const auto found = index_of_.find(id);
    if (found == index_of_.end()) throw Error("case {} is not planned", id);
    if (!contents.IsMine(found->second)) throw Error("case {} is another shard's", id);
    if (contents.states[found->second] == CaseState::kAnswered) {
      throw Error("case {} is answered twice", id);
    }
    return found->second;
  }

  std::size_t lines_ = 0;
  bool planned_ = false;                                   // the plan is complete
  std::unordered_map<std::string, std::size_t> index_of_;  // of planned cases, by id
};

}  // namespace

std::string JournalLine(const JournalRecord& record, std::uint64_t* hash) {
  std::string line = RecordToJson(record);
  line.pop_back();
  *hash = HashText(line, *hash);
  return line + fmt::format("{}{:016x}{}", kHashField, *hash, kLineEnd);
}

std::string PlanHash(std::vector<std::uint64_t> questions) {
  std::ranges::sort(questions);
  std::string text;
  for (const std::uint64_t question : questions) text += fmt::format("{:016x}", question);
  return fmt::format("0x{:016x}", HashText(text));
}

void TakeMixed(const RunResumed& resumed, RunInfo* run) {
  for (const std::string& what : resumed.mixed) {
    if (std::ranges::find(run->mixed, what) == run->mixed.end()) run->mixed.push_back(what);
  }
}

bool JournalContents::Complete() const {
  for (std::size_t i = 0; i < planned.size(); ++i) {
    if (IsMine(i) && states[i] != CaseState::kAnswered) return false;
  }
  return true;
}

JournalContents ReadJournal(std::string_view text, std::string_view path) {
  Reader reader;
  std::size_t line_number = 1;
  const auto refuse = [&](std::string_view what) {
    throw Error("{}:{}: {}: this is no journal that can be trusted; run again in another folder",
                path, line_number, what);
  };
  JournalContents& contents = reader.contents;
  while (contents.size < text.size()) {
    const std::size_t end = text.find('\n', contents.size);
    const RecordPlace place{contents.size, std::min(end, text.size() - 1) + 1 - contents.size};
    const auto record = CheckedRecord(text.substr(place.offset, place.size), &contents.hash);
    if (!record) {
      // What a run was writing when it was stopped is the end of the file.
      if (place.offset + place.size == text.size()) break;
      refuse("the line is damaged, and others follow");
    }
    try {
      reader.Take(RecordFromJson(*record), place);
    } catch (const Error& error) {
      refuse(error.what());
    }
    contents.size += place.size;
    ++line_number;
  }
  // The file appears under its name with its plan complete, never without.
  if (reader.empty()) refuse("there is no header");
  if (!reader.planned()) {
    try {
      reader.EndPlan();
    } catch (const Error& error) {
      refuse(error.what());
    }
  }
  return std::move(contents);
}

Result ResultAt(std::string_view text, const RecordPlace& place) {
  return std::get<Result>(RecordAt(text, place));
}

std::string IncidentAt(std::string_view text, const RecordPlace& place) {
  return std::get<RunIncident>(RecordAt(text, place)).what;
}

void WriteReports(const JournalContents& contents, std::string_view text, ReportFiles* reports) {
  for (const std::string& incident : contents.incidents) reports->AddIncident(incident);
  for (std::size_t i = 0; i < contents.planned.size(); ++i) {
    const CaseState state = contents.states[i];
    if (state == CaseState::kNotRun || state == CaseState::kAnswered) {
      reports->Add(ResultAt(text, contents.results[i]));
    }
  }
  if (!contents.finished_utc.empty()) reports->Finish(contents.finished_utc);
}

}  // namespace normgrad
