// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "report/journal.h"

namespace normgrad {

/// The journal of a run that is going on, journal.jsonl in the folder of its reports. Records are
/// only ever appended, and one process at a time appends them.
///
/// What a stop of any kind leaves: every record is one write, behind everything written before, so
/// that a killed process leaves at most one piece of a line, at the end. A machine that loses power
/// may lose what it had not put on the disk. The header and the plan are there before the file has
/// its name; then everything up to an answer that is not a pass is put there at once, and anything
/// at least every kSyncEvery while answers come in. That a case was started waits for the next
/// answer. A full disk cuts the record off again, and leaves a journal that can be resumed.
class JournalFile {
 public:
  /// How much work a power failure may cost.
  static constexpr std::chrono::seconds kSyncEvery{1};

  /// Writes header and plan of a new journal in `folder` under another name, until Publish().
  /// Throws Error if it cannot be written.
  JournalFile(const std::filesystem::path& folder, const JournalHeader& header,
              std::span<const PlannedCase> plan);

  /// Opens the journal of `folder` to go on with it: reads it into `*text` and `*contents`, and
  /// cuts off the piece of a line that may stand at its end. Throws Error if there is none, if it
  /// cannot be trusted, or if another process is writing to it.
  JournalFile(const std::filesystem::path& folder, std::string* text, JournalContents* contents);

  JournalFile(const JournalFile&) = delete;
  JournalFile& operator=(const JournalFile&) = delete;
  ~JournalFile();

  /// Gives a new journal its name. Throws Error if another has it, unless that one, which this
  /// process holds open, may be replaced.
  void Publish(const JournalFile* replaced);

  /// Appends `record` and returns where it lies. Throws Error if it cannot be written; the journal
  /// then ends with the record before.
  RecordPlace Append(const JournalRecord& record);

  /// The line at `place`.
  std::string Read(const RecordPlace& place) const;

  /// Waits until everything appended is on the disk. Throws Error if it does not get there.
  void Sync();

 private:
  [[noreturn]] void Refuse(int error) const;

  std::filesystem::path path_;
  std::filesystem::path draft_;  // empty once published
  int descriptor_ = -1;
  std::size_t size_ = 0;
  std::uint64_t hash_ = kJournalHashSeed;
  std::chrono::steady_clock::time_point synced_{};
};

/// Reads the journal in `folder`, of a run that may be going on, into `*text`. Throws Error as
/// ReadJournal() does, or if there is none.
JournalContents ReadJournalIn(const std::filesystem::path& folder, std::string* text);

/// Throws Error if a run is writing to the journal in `folder`.
void RequireNobodyWrites(const std::filesystem::path& folder);

}  // namespace normgrad
