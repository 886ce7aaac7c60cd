// SPDX-License-Identifier: Apache-2.0
#include "report/report_folder.h"

#include <system_error>
#include <utility>

#include "base/error.h"

namespace normgrad {

ReportFolder::ReportFolder(std::filesystem::path folder, IfFolderExists if_exists)
    : folder_(std::move(folder)) {
  if (if_exists == IfFolderExists::kReplaceReports) {
    Create(folder_);
    return;
  }
  Create(folder_.parent_path());
  const std::string wanted = folder_.string();
  std::error_code error;
  // Only the process that creates the folder gets it, however many start at once.
  for (int n = 2; !std::filesystem::create_directory(folder_, error); ++n) {
    if (error) Refuse(folder_, error.message());
    folder_ = wanted + "-" + std::to_string(n);
  }
  missing_.insert(missing_.begin(), folder_);
}

ReportFolder::~ReportFolder() { Remove(); }

void ReportFolder::Create(const std::filesystem::path& folder) {
  if (folder.empty()) return;
  std::error_code error;
  for (auto path = folder; !path.empty() && !std::filesystem::exists(path, error);
       path = path.parent_path()) {
    missing_.push_back(path);
  }
  std::filesystem::create_directories(folder, error);
  if (error || !std::filesystem::is_directory(folder, error)) {
    Refuse(folder, error ? error.message() : "a file of that name is in the way");
  }
}

void ReportFolder::Refuse(const std::filesystem::path& folder, const std::string& reason) {
  Remove();
  throw Error("{}: cannot create this folder: {}: name a folder that can be written",
              folder.string(), reason);
}

void ReportFolder::Remove() {
  std::error_code ignored;
  for (const auto& path : missing_) std::filesystem::remove(path, ignored);
}

}  // namespace normgrad
