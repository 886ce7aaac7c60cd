// SPDX-License-Identifier: Apache-2.0
#include "run/fresh_process.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace normgrad {
namespace {

/// Both ends of a pipe, closed with the object.
struct Pipe {
  std::array<int, 2> ends{-1, -1};

  Pipe() {
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) ends = {-1, -1};
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    for (int& end : ends) Close(end);
  }
  static void Close(int& end) {
    if (end >= 0) ::close(end);
    end = -1;
  }
};

/// Starts the executable of this process; its standard output is `out`.
pid_t Start(const std::vector<std::string>& args, int out) {
  std::vector<std::string> words = {"normgrad-bench"};
  words.insert(words.end(), args.begin(), args.end());
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  if (::posix_spawn_file_actions_init(&actions) != 0) return -1;
  ::posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t child = -1;
  // Unlike others it returns its error and leaves errno alone.
  errno = ::posix_spawn(&child, "/proc/self/exe", &actions, nullptr, argv.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  return errno == 0 ? child : -1;
}

/// Reads until the other end is closed; false when it is silent for too long.
bool ReadAll(int in, int silence_ms, std::string* text) {
  std::array<char, 1 << 16> chunk;  // NOLINT(cppcoreguidelines-pro-type-member-init): read() fills
  for (;;) {
    pollfd waiting{in, POLLIN, 0};
    const int ready = ::poll(&waiting, 1, silence_ms);
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return false;
    const ssize_t count = ::read(in, chunk.data(), chunk.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return count == 0;
    text->append(chunk.data(), static_cast<std::size_t>(count));
  }
}

}  // namespace

void EndWithParent() { ::prctl(PR_SET_PDEATHSIG, SIGKILL); }

ProcessOutput RunSelf(const std::vector<std::string>& args, double silence_seconds) {
  ProcessOutput output;
  Pipe pipe;
  const pid_t child = pipe.ends[0] < 0 ? -1 : Start(args, pipe.ends[1]);
  if (child < 0) return {"", fmt::format("it cannot be started: {}", std::strerror(errno))};
  Pipe::Close(pipe.ends[1]);
  const bool complete =
      ReadAll(pipe.ends[0], static_cast<int>(silence_seconds * 1e3), &output.text);
  if (!complete) ::kill(child, SIGKILL);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!complete) {
    output.failure = fmt::format("it was silent for {} s", silence_seconds);
  } else if (WIFSIGNALED(status)) {
    output.failure = fmt::format("signal {}", WTERMSIG(status));
  } else if (WEXITSTATUS(status) != 0) {
    output.failure = fmt::format("exit code {}", WEXITSTATUS(status));
  }
  return output;
}

}  // namespace normgrad
