// SPDX-License-Identifier: Apache-2.0
#include "report/report_files.h"

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"
#include "report/format.h"

namespace normgrad {
namespace {

std::string ErrorText(int error) { return std::generic_category().message(error); }

}  // namespace

class ReportFiles::File {
 public:
  /// Writes an empty report beside the file's final place.
  File(const std::filesystem::path& folder, const Format& format, const Overview& overview)
      : format_(format), path_(folder / ("report." + std::string(format.extension))) {
    if (std::error_code ignored; std::filesystem::is_directory(path_, ignored)) {
      throw Error("{}: a folder is in the way: name another folder for reports", path_.string());
    }
    OpenDraft();
    try {
      Append(format_.head(overview.info()), overview);
    } catch (...) {
      Discard();
      throw;
    }
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() { Discard(); }

  /// Moves the file to its place, over one of an earlier run.
  void Publish() {
    std::error_code error;
    std::filesystem::rename(draft_, path_, error);
    if (error) {
      throw Error("{}: cannot replace this file: {}: name another folder for reports",
                  path_.string(), error.message());
    }
    draft_.clear();
  }

  const std::filesystem::path& path() const { return path_; }

  void Add(const Result& result, const Overview& overview) {
    Append(format_.row(result, overview.results() == 1), overview);
  }

  /// Puts `text` and the tail of `overview` where the tail was.
  void Append(const std::string& text, const Overview& overview) {
    std::string tail = format_.tail(overview);
    std::string bytes = text + tail;
    const std::size_t size = bytes.size();
    // Remains of a longer tail would make the file invalid until they are cut off; line ends at
    // the end of a file do not.
    if (size < tail_.size()) bytes.resize(tail_.size(), '\n');
    if (const int error = WriteAt(position_, bytes); error != 0) {
      WriteAt(position_, tail_);
      Truncate(position_ + tail_.size());
      throw Error(
          "{}: {}: the report ends before this case; make room, then resume the run or make its "
          "reports again",
          path_.string(), ErrorText(error));
    }
    if (size < bytes.size()) Truncate(position_ + size);
    position_ += text.size();
    tail_ = std::move(tail);
  }

 private:
  /// Creates a file that nobody else has: what is there already, a file of the user's, a link or
  /// the draft of another run, is left alone.
  void OpenDraft() {
    constexpr int kMostDrafts = 1000;
    for (int n = 1; n <= kMostDrafts; ++n) {
      draft_ = path_.string() + ".new" + (n > 1 ? std::to_string(n) : "");
      descriptor_ =
          ::open(draft_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
      if (descriptor_ >= 0) return;
      if (errno != EEXIST) break;
    }
    throw Error("{}: cannot create this file: {}: name a folder that can be written",
                draft_.string(), ErrorText(errno));
  }

  /// Returns 0 or the errno of what kept it from writing everything.
  int WriteAt(std::size_t position, std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t written =
          ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(position));
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return written < 0 ? errno : ENOSPC;
      position += static_cast<std::size_t>(written);
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return 0;
  }

  void Truncate(std::size_t size) const {
    // A failure leaves line ends at the end of the file: not worth losing a run over.
    static_cast<void>(::ftruncate(descriptor_, static_cast<off_t>(size)) == 0);
  }

  void Discard() {
    ::close(descriptor_);
    std::error_code ignored;
    if (!draft_.empty()) std::filesystem::remove(draft_, ignored);
  }

  const Format& format_;
  std::filesystem::path path_;
  std::filesystem::path draft_;  // empty once published
  int descriptor_ = -1;
  std::size_t position_ = 0;  // where the tail begins
  std::string tail_;          // as last written
};

ReportFiles::ReportFiles(const std::filesystem::path& folder, std::span<const std::string> formats,
                         RunInfo info)
    : overview_(std::move(info)) {
  if (formats.empty()) return;
  std::vector<const Format*> wanted;
  for (const std::string& name : formats) {
    const Format* format = &FindFormat(name);
    if (std::ranges::find(wanted, format) != wanted.end()) {
      throw Error("report format '{}' is given twice: name each format once", name);
    }
    wanted.push_back(format);
  }
  // Local: should one fail, the drafts of the others go with it.
  std::vector<std::unique_ptr<File>> files;
  files.reserve(wanted.size());
  for (const Format* format : wanted) {
    files.push_back(std::make_unique<File>(folder, *format, overview_));
  }
  for (const auto& file : files) file->Publish();
  files_ = std::move(files);
}

ReportFiles::~ReportFiles() = default;

void ReportFiles::Add(const Result& result) {
  overview_.Add(result);
  for (const auto& file : files_) file->Add(result, overview_);
}

void ReportFiles::AddIncident(std::string what) {
  overview_.AddIncident(std::move(what));
  for (const auto& file : files_) file->Append("", overview_);
}

void ReportFiles::Finish(std::string finished_utc) {
  overview_.Finish(std::move(finished_utc));
  for (const auto& file : files_) file->Append("", overview_);
}

std::vector<std::filesystem::path> ReportFiles::paths() const {
  std::vector<std::filesystem::path> paths;
  paths.reserve(files_.size());
  for (const auto& file : files_) paths.push_back(file->path());
  return paths;
}

}  // namespace normgrad
