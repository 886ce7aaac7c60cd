// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "report/overview.h"
#include "report/result.h"

namespace normgrad {

/// The report files of one run, report.json, report.csv, …: complete after every case.
///
/// Each case is one write per file: its row and the new tail go over the old tail, so a process
/// that is killed leaves files that parse and hold every case before. The operating system may cut
/// a write that it is in the middle of copying when SIGKILL arrives, and may lose what it had not
/// put on the disk when the power fails; nothing else can leave half a row.
class ReportFiles {
 public:
  /// Creates one file in `folder` per name in `formats` ("json", "csv", "md"; none is fine and
  /// touches nothing). Files of an earlier run are replaced once every new one is written; of two
  /// runs into one folder, the one that starts last has its files there. Throws Error, and leaves
  /// everything as it was, if one cannot be.
  ReportFiles(const std::filesystem::path& folder, std::span<const std::string> formats,
              RunInfo info);

  ReportFiles(const ReportFiles&) = delete;
  ReportFiles& operator=(const ReportFiles&) = delete;
  ~ReportFiles();

  /// Adds one case to every file, at a cost that does not depend on how many there are. Throws
  /// Error if a file cannot be written, e.g. on a full disk: that file then still ends, complete,
  /// with the case before.
  void Add(const Result& result);

  /// Adds what happened to the device outside of any case. Throws as Add() does.
  void AddIncident(std::string what);

  /// Closes the account: no more results follow. See Overview::Finish(); throws as Add() does.
  void Finish(std::string finished_utc);

  /// What the files tell so far.
  const Overview& overview() const { return overview_; }

  /// The files, in the order of `formats`.
  std::vector<std::filesystem::path> paths() const;

 private:
  class File;

  Overview overview_;
  std::vector<std::unique_ptr<File>> files_;
};

}  // namespace normgrad
