// SPDX-License-Identifier: Apache-2.0
#include "run/journal_file.h"

#include <cerrno>
#include <string_view>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

namespace normgrad {
namespace {

std::string ErrorText(int error) { return std::generic_category().message(error); }

/// Writes all of `text` at `offset`; 0 or the errno of what kept it from that.
int WriteAt(int descriptor, std::string_view text, std::size_t offset) {
  while (!text.empty()) {
    const ssize_t written =
        ::pwrite(descriptor, text.data(), text.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return written < 0 ? errno : ENOSPC;
    offset += static_cast<std::size_t>(written);
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

/// Reads up to `size` bytes from `offset`. Throws Error with `path` if that fails.
std::string ReadAt(int descriptor, std::size_t offset, std::size_t size,
                   const std::filesystem::path& path) {
  std::string text(size, '\0');
  std::size_t read = 0;
  while (read < size) {
    const ssize_t count =
        ::pread(descriptor, text.data() + read, size - read, static_cast<off_t>(offset + read));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw Error("{}: cannot be read: {}", path.string(), ErrorText(errno));
    if (count == 0) break;
    read += static_cast<std::size_t>(count);
  }
  text.resize(read);
  return text;
}

std::string ReadAll(int descriptor, const std::filesystem::path& path) {
  const off_t end = ::lseek(descriptor, 0, SEEK_END);
  if (end < 0) throw Error("{}: cannot be read: {}", path.string(), ErrorText(errno));
  return ReadAt(descriptor, 0, static_cast<std::size_t>(end), path);
}

/// A file that is closed at the end of a scope.
class OpenFile {
 public:
  OpenFile(const std::filesystem::path& path, int flags)
      : descriptor_(::open(path.c_str(), flags | O_CLOEXEC)) {}
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  ~OpenFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
};

/// The lock goes with the open file: the kernel takes it back however the process ends. A child
/// that only runs another program does not inherit it.
bool Lock(int descriptor) { return ::flock(descriptor, LOCK_EX | LOCK_NB) == 0; }

/// Whether `path` is the open file's name, and not, by now, another file's.
bool IsStill(const std::filesystem::path& path, int descriptor) {
  struct stat named {
  }, open{};
  return ::stat(path.c_str(), &named) == 0 && ::fstat(descriptor, &open) == 0 &&
         named.st_dev == open.st_dev && named.st_ino == open.st_ino;
}

/// A folder's entry is on the disk only once the folder is.
void SyncFolder(const std::filesystem::path& folder) {
  const OpenFile file(folder.empty() ? "." : folder, O_RDONLY | O_DIRECTORY);
  // Some file systems do not do this for folders; none of them can do more.
  if (file.descriptor() >= 0) static_cast<void>(::fsync(file.descriptor()) == 0);
}

[[noreturn]] void RefuseMissing(const std::filesystem::path& path, int error) {
  throw Error("{}: {}: expected the folder of a run that was started", path.string(),
              error == ENOENT ? "there is no journal here" : ErrorText(error));
}

}  // namespace

JournalFile::JournalFile(const std::filesystem::path& folder, const JournalHeader& header,
                         std::span<const PlannedCase> plan)
    : path_(folder / kJournalName) {
  constexpr int kMostDrafts = 1000;
  for (int n = 1; descriptor_ < 0 && n <= kMostDrafts; ++n) {
    draft_ = path_.string() + fmt::format(".new{}", n);
    descriptor_ = ::open(draft_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (descriptor_ < 0 && errno != EEXIST) break;
  }
  if (descriptor_ < 0 || !Lock(descriptor_)) {
    throw Error("{}: cannot create this file: {}: name a folder that can be written",
                path_.string(), ErrorText(errno));
  }
  std::string text = JournalLine(header, &hash_);
  for (const PlannedCase& planned : plan) text += JournalLine(planned, &hash_);
  int error = WriteAt(descriptor_, text, 0);
  if (error == 0 && ::fsync(descriptor_) != 0) error = errno;
  if (error != 0) {
    ::close(descriptor_);
    std::error_code ignored;
    std::filesystem::remove(draft_, ignored);
    throw Error("{}: cannot write this file: {}: make room, or name another folder", path_.string(),
                ErrorText(error));
  }
  size_ = text.size();
}

JournalFile::JournalFile(const std::filesystem::path& folder, std::string* text,
                         JournalContents* contents)
    : path_(folder / kJournalName), descriptor_(::open(path_.c_str(), O_RDWR | O_CLOEXEC)) {
  if (descriptor_ < 0) RefuseMissing(path_, errno);
  try {
    if (!Lock(descriptor_) || !IsStill(path_, descriptor_)) {
      throw Error("{}: another process is writing to it: wait for its end, or stop it",
                  path_.string());
    }
    *text = ReadAll(descriptor_, path_);
    *contents = ReadJournal(*text, path_.string());
    size_ = contents->size;
    hash_ = contents->hash;
    if (::ftruncate(descriptor_, static_cast<off_t>(size_)) != 0) Refuse(errno);
    Sync();
  } catch (...) {
    ::close(descriptor_);
    throw;
  }
}

JournalFile::~JournalFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  std::error_code ignored;
  if (!draft_.empty()) std::filesystem::remove(draft_, ignored);
}

void JournalFile::Publish(const JournalFile* replaced) {
  // A link, unlike a new name, does not replace what another run has put there in the meantime. Not
  // every file system has links.
  std::error_code error;
  if (replaced == nullptr) std::filesystem::create_hard_link(draft_, path_, error);
  const bool taken = error == std::errc::file_exists;
  if (replaced != nullptr || (error && !taken)) std::filesystem::rename(draft_, path_, error);
  if (error) {
    throw Error("{}: cannot create this file: {}: name another folder", path_.string(),
                error.message());
  }
  std::filesystem::remove(draft_, error);
  draft_.clear();
  SyncFolder(path_.parent_path());
}

RecordPlace JournalFile::Append(const JournalRecord& record) {
  std::uint64_t hash = hash_;
  const std::string line = JournalLine(record, &hash);
  if (const int error = WriteAt(descriptor_, line, size_); error != 0) {
    // Should even that fail, the piece that stands there is cut off when the run is resumed.
    static_cast<void>(::ftruncate(descriptor_, static_cast<off_t>(size_)) == 0);
    Refuse(error);
  }
  const RecordPlace place{size_, line.size()};
  size_ += line.size();
  hash_ = hash;
  if (std::holds_alternative<CaseStarted>(record)) return place;
  const auto* result = std::get_if<Result>(&record);
  const bool passed = result != nullptr && !IsFailure(result->outcome);
  if (!passed || std::chrono::steady_clock::now() - synced_ >= kSyncEvery) Sync();
  return place;
}

std::string JournalFile::Read(const RecordPlace& place) const {
  return ReadAt(descriptor_, place.offset, place.size, path_);
}

void JournalFile::Sync() {
  // Once it has failed, nobody knows what is on the disk: the next call may succeed all the same.
  if (::fdatasync(descriptor_) != 0) Refuse(errno);
  synced_ = std::chrono::steady_clock::now();
}

void JournalFile::Refuse(int error) const {
  throw Error(
      "{}: {}: the journal ends before this record; make room and go on with normgrad-bench run "
      "--resume {}",
      path_.string(), ErrorText(error), path_.parent_path().string());
}

JournalContents ReadJournalIn(const std::filesystem::path& folder, std::string* text) {
  const std::filesystem::path path = folder / kJournalName;
  const OpenFile file(path, O_RDONLY);
  if (file.descriptor() < 0) RefuseMissing(path, errno);
  *text = ReadAll(file.descriptor(), path);
  return ReadJournal(*text, path.string());
}

void RequireNobodyWrites(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / kJournalName;
  // For writing, which some network file systems ask of a lock.
  const OpenFile file(path, O_RDWR);
  if (file.descriptor() < 0 || Lock(file.descriptor())) return;
  throw Error("{}: a run is writing to it: wait for its end, or name another folder",
              path.string());
}

}  // namespace normgrad
