// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "report/journal.h"
#include "report/report_files.h"
#include "report/report_folder.h"
#include "run/journal_file.h"
#include "sweep/case.h"

namespace normgrad {

/// A journal that a run goes on with: locked, and what it holds already.
struct EarlierJournal {
  explicit EarlierJournal(std::filesystem::path of_folder);

  std::filesystem::path folder;
  JournalContents contents;
  std::unique_ptr<JournalFile> file;
};

/// What is not as it was when the journal of `then` was begun, and would mix answers of different
/// origin: another plan, tool, device library or host. One line each: "tool build 0x1, was 0x2".
std::vector<std::string> Differences(const RunInfo& then, const RunInfo& now);

/// Keeps the answers of a run: each in the journal first, in the order they come, then in the
/// reports, in the order of the plan. The reports get what the journal holds, read back from it
/// where a case had to wait for its turn, and so they are what WriteReports() makes of it.
/// Functions throw Error if a file cannot be written.
class Recorder {
 public:
  /// Begins a journal and reports in `folder`. Throws Error, and leaves everything as it was, if
  /// that cannot be, or if a journal is there of which answers are missing.
  Recorder(const std::filesystem::path& folder, IfFolderExists if_exists, JournalHeader header,
           std::vector<PlannedCase> plan);

  /// Goes on with a journal, and begins the reports anew with what it holds.
  Recorder(EarlierJournal earlier, const RunResumed& resumed);

  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  /// The planned case of that id if this run must answer it; null if another shard does, if it is
  /// answered, or if nobody asks it.
  const PlannedCase* FindOpen(std::string_view case_id) const;

  void Start(const Case& the_case);

  /// Takes the answer to a case that is open.
  void Add(Result result);

  /// Takes what happened to the device outside of any case.
  void AddIncident(const std::string& what);

  /// Closes the account: cases that are still open are not-run for `reason`.
  void Finish(const std::string& finished_utc, const std::string& reason);

  const ReportFiles& reports() const { return *reports_; }

 private:
  /// Adds to the reports every result whose turn it is. That of planned case `index` need not be
  /// read back where `newest` is it.
  void Advance(std::size_t index, const Result* newest);
  void IndexCases();

  JournalContents contents_;
  std::unique_ptr<JournalFile> journal_;
  std::unique_ptr<ReportFiles> reports_;
  std::unordered_map<std::string_view, std::size_t> index_of_;  // of this shard's cases, by id
  std::size_t next_ = 0;  // of the plan: what comes before it is in the reports
};

}  // namespace normgrad
