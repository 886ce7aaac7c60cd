// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "report/report_files.h"
#include "report/result.h"

namespace normgrad {

/// Version of the journal's format; reports/README.md defines it. A journal of another version is
/// refused.
inline constexpr std::uint64_t kJournalVersion = 1;

/// The file's name in the folder of the reports.
inline constexpr std::string_view kJournalName = "journal.jsonl";

/// The first record: what is run, and how, in full.
struct JournalHeader {
  std::uint64_t version = kJournalVersion;
  RunInfo run{};
  std::vector<std::string> args{};     // of `normgrad-bench run`, without shard and report folder
  std::vector<std::string> formats{};  // of the reports

  bool operator==(const JournalHeader&) const = default;
};

/// A case of the plan; the plan is in the journal whole, also that of a shard, so that what is
/// missing can be named from any of them.
struct PlannedCase {
  std::string case_id{};
  std::string question{};             // hash of the call, its checks, and what it must answer
  std::vector<std::string> checks{};  // in the order they are asked
  std::uint64_t shard = 1;            // which one answers it

  bool operator==(const PlannedCase&) const = default;
};

/// A case is about to be answered.
struct CaseStarted {
  std::string case_id{};

  bool operator==(const CaseStarted&) const = default;
};

/// Something happened to the device outside of any case.
struct RunIncident {
  std::string what{};

  bool operator==(const RunIncident&) const = default;
};

/// A run goes on that ended before all was answered.
struct RunResumed {
  std::string resumed_utc{};
  std::vector<std::string> mixed{};  // what is not as the header says, where that was allowed

  bool operator==(const RunResumed&) const = default;
};

/// The run ended of its own accord. Answers may be missing all the same: it was interrupted.
struct RunFinished {
  std::string finished_utc{};

  bool operator==(const RunFinished&) const = default;
};

/// One line of a journal. A Result is the answer to a case, or, when its outcome is not-run, says
/// that the run ended without one.
using JournalRecord = std::variant<JournalHeader, PlannedCase, CaseStarted, Result, RunIncident,
                                   RunResumed, RunFinished>;

/// The hash that the first line continues from.
inline constexpr std::uint64_t kJournalHashSeed = 0xcbf29ce484222325ULL;

/// `record` as one line of a journal, line end included: `{"<kind>":{…},"hash":"<16 hex digits>"}`.
///
/// The hash is FNV-1a of the line before `,"hash"`, continued from the hash of the line before, and
/// is left in `*hash`. A line that was damaged, left out, moved or put twice does not fit.
std::string JournalLine(const JournalRecord& record, std::uint64_t* hash);

/// "0x" and 16 hex digits over the questions of a plan, in whatever order: two plans with equal
/// hashes ask the same.
std::string PlanHash(std::vector<std::uint64_t> questions);

/// Notes in `*run` what a resumption says was not as before, once.
void TakeMixed(const RunResumed& resumed, RunInfo* run);

/// Where in the text of a journal a record lies, its line end included.
struct RecordPlace {
  std::size_t offset = 0;
  std::size_t size = 0;
};

/// What became of a planned case.
enum class CaseState {
  kOpen,      // nothing was said of it
  kStarted,   // and not answered: the process ended in it
  kNotRun,    // its run ended without answering it, and does not go on
  kAnswered,  // with any outcome but not-run
};

/// What a journal says, checked.
struct JournalContents {
  JournalHeader header{};
  std::vector<PlannedCase> planned{};  // the whole plan, in order
  std::vector<CaseState> states{};     // of each
  std::vector<RecordPlace> results{};  // of each that is not-run or answered: its last result
  std::vector<std::string> incidents{};
  std::string finished_utc{};  // empty: it goes on, or ended without saying so
  std::size_t size = 0;        // of what is whole; beyond it lies at most a piece of a line
  std::uint64_t hash = kJournalHashSeed;  // of the last line

  /// Whether this journal's shard answers planned case `index`.
  bool IsMine(std::size_t index) const { return planned[index].shard == header.run.shard; }

  /// Whether every case of this journal's shard is answered.
  bool Complete() const;
};

/// Reads the journal `text`, of the file `path` as messages call it.
///
/// The last line may be damaged or cut short, as a process or machine that stopped in the middle of
/// writing it leaves it: it counts as not written. Everything else that no run writes throws Error
/// "<path>:<line>: <what is wrong>": a damaged line with others behind it, another version, a plan
/// that its hash does not fit, answers to questions that were not asked, or twice.
JournalContents ReadJournal(std::string_view text, std::string_view path);

/// The result in the line at `place`.
Result ResultAt(std::string_view text, const RecordPlace& place);

/// What happened, of the line at `place`.
std::string IncidentAt(std::string_view text, const RecordPlace& place);

/// Adds every result of the journal `text`, read as `contents`, to `reports` in the order of the
/// plan, and every incident, and closes them if the run ended of its own accord.
void WriteReports(const JournalContents& contents, std::string_view text, ReportFiles* reports);

}  // namespace normgrad
