// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace normgrad {

/// What to do where the folder of the reports exists.
enum class IfFolderExists {
  kReplaceReports,  // use it, and replace the reports in it
  kTakeAnother,     // append "-2", "-3", … to its name until it is new
};

/// The folder of a run, made for it: removed again while empty, with the folders above it that did
/// not exist either, unless Keep() is called.
class ReportFolder {
 public:
  /// Throws Error, and leaves everything as it was, if there is no such folder and none can be
  /// made.
  ReportFolder(std::filesystem::path folder, IfFolderExists if_exists);
  ReportFolder(const ReportFolder&) = delete;
  ReportFolder& operator=(const ReportFolder&) = delete;
  ~ReportFolder();

  const std::filesystem::path& path() const { return folder_; }

  void Keep() { missing_.clear(); }

 private:
  void Create(const std::filesystem::path& folder);
  [[noreturn]] void Refuse(const std::filesystem::path& folder, const std::string& reason);
  void Remove();

  std::filesystem::path folder_;
  std::vector<std::filesystem::path> missing_;  // deepest first
};

}  // namespace normgrad
