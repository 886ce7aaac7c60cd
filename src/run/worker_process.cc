// SPDX-License-Identifier: Apache-2.0
#include "run/worker_process.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "device/device.h"
#include "report/escape.h"
#include "run/orphans.h"
#include "run/worker.h"

namespace normgrad {
namespace {

constexpr int kTickMs = 20;
constexpr std::size_t kTailBytes = 4096;
/// For what the kernel does once it is asked to: ending a process, passing on what it wrote.
constexpr double kKernelSeconds = 5;

void Close(int& descriptor) {
  if (descriptor >= 0) ::close(descriptor);
  descriptor = -1;
}

/// A descriptor out of the way of those that a worker is born with.
int MoveUp(int descriptor) {
  constexpr int kFirst = 10;
  const int moved = ::fcntl(descriptor, F_DUPFD_CLOEXEC, kFirst);
  ::close(descriptor);
  return moved;
}

/// What is set of a new process besides its arguments.
class SpawnSettings {
 public:
  SpawnSettings(int channel, int pulse, int output) {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&actions_, output, STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions_, output, STDERR_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions_, channel, kWorkerChannel);
    ::posix_spawn_file_actions_adddup2(&actions_, pulse, kWorkerPulse);
    ::posix_spawnattr_init(&attributes_);
    // A group of its own: a terminal's interrupt is the tool's alone to hear, and everything that
    // the library forks can be ended. Nothing of what the tool ignores or blocks is inherited.
    sigset_t all, none;
    ::sigfillset(&all);
    ::sigemptyset(&none);
    ::posix_spawnattr_setpgroup(&attributes_, 0);
    ::posix_spawnattr_setsigdefault(&attributes_, &all);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    ::posix_spawnattr_setflags(
        &attributes_, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;
  ~SpawnSettings() {
    ::posix_spawn_file_actions_destroy(&actions_);
    ::posix_spawnattr_destroy(&attributes_);
  }

  /// The process, or -1 and errno.
  pid_t Spawn(const std::vector<std::string>& args) const {
    std::vector<std::string> words = {"normgrad-bench"};
    words.insert(words.end(), args.begin(), args.end());
    std::vector<char*> argv;
    argv.reserve(words.size() + 1);
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    pid_t child = -1;
    // Unlike others it returns its error and leaves errno alone.
    errno = ::posix_spawn(&child, "/proc/self/exe", &actions_, &attributes_, argv.data(), environ);
    return errno == 0 ? child : -1;
  }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

/// Bytes that a process has resident; 0 where that is not known.
std::uint64_t ResidentBytes(pid_t pid) {
  std::ifstream statm(fmt::format("/proc/{}/statm", pid));
  std::uint64_t size = 0, resident = 0;
  if (!(statm >> size >> resident)) return 0;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::string SecondsText(double seconds) { return fmt::format("{:.3g} s", seconds); }

}  // namespace

double MostSeconds(Phase phase, std::uint64_t bytes, const Limits& limits) {
  constexpr double kLeastCall = 1, kLeastOpen = 60, kLeastOwnWork = 120;
  constexpr double kCallBytesPerSecond = 50e6, kOwnBytesPerSecond = 500e3;
  const auto size = static_cast<double>(bytes);
  const double call = std::max(kLeastCall, limits.timeout_seconds) + size / kCallBytesPerSecond;
  switch (phase) {
    case Phase::kOwnWork:
    case Phase::kOtherProcess: return kLeastOwnWork + size / kOwnBytesPerSecond;
    case Phase::kOpen: return std::max(kLeastOpen, call);
    case Phase::kSynchronize: return call + Device::MostWaitSeconds(limits.timeout_seconds);
    default: return call;
  }
}

std::string EndText(int status) {
  if (WIFSIGNALED(status)) {
    const int number = WTERMSIG(status);
    const char* const name = ::sigabbrev_np(number);
    return fmt::format("signal {} (SIG{})", number, name != nullptr ? name : "?");
  }
  return fmt::format("exit code {}", WEXITSTATUS(status));
}

WorkerProcess::WorkerProcess(const std::vector<std::string>& args) {
  std::array<int, 2> channel{-1, -1}, output{-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel.data()) == 0 &&
      ::pipe2(output.data(), O_CLOEXEC) == 0) {
    channel_ = MoveUp(channel[0]);
    output_ = MoveUp(output[0]);
    int theirs = MoveUp(channel[1]), their_output = MoveUp(output[1]);
    const int pulse = ::fcntl(pulse_.descriptor(), F_DUPFD_CLOEXEC, 10);
    ::fcntl(channel_, F_SETFL, O_NONBLOCK);
    ::fcntl(output_, F_SETFL, O_NONBLOCK);
    pulse_.OnPhase(Phase::kOpen);
    const SpawnSettings settings(theirs, pulse, their_output);
    pid_ = StartWorker([&] { return settings.Spawn(args); });
    if (pid_ < 0) start_failure_ = fmt::format("it cannot be started: {}", std::strerror(errno));
    ::close(pulse);
    Close(theirs);
    Close(their_output);
    return;
  }
  start_failure_ = fmt::format("it cannot be started: {}", std::strerror(errno));
  for (int& end : channel) Close(end);
}

WorkerProcess::~WorkerProcess() {
  Kill();
  Close(channel_);
  Close(output_);
}

std::variant<Frame, Fault> WorkerProcess::Greeting(const Limits& limits, const OnTick& on_tick) {
  return Await(0, limits, on_tick);
}

std::optional<Fault> WorkerProcess::Idle() {
  if (pid_ < 0) return std::nullopt;
  const bool ended = HasEnded();
  const bool open = Receive();
  if (reader_.Next() || reader_.HasRest() || !reader_.nonsense().empty()) {
    Kill();
    return Gone("the worker talks nonsense: a message that nobody asked for");
  }
  if (ended || !open) return Gone("");
  return std::nullopt;
}

std::variant<Frame, Fault> WorkerProcess::Ask(Message message, std::string payload,
                                              std::uint64_t bytes, const Limits& limits,
                                              const OnTick& on_tick) {
  ReadOutput();
  tail_.clear();
  pulse_.Begin();  // not in the worker: should it be gone, nothing of the last request is left
  if (pid_ < 0 || status_) return Await(bytes, limits, on_tick);
  const std::string frame = EncodeFrame({message, ++request_, std::move(payload)});
  // A request is shorter than what a socket holds, and the worker has read the one before.
  const ssize_t sent = ::send(channel_, frame.data(), frame.size(), MSG_NOSIGNAL);
  if (sent != static_cast<ssize_t>(frame.size())) return Gone("");
  return Await(bytes, limits, on_tick);
}

std::optional<Fault> WorkerProcess::End(const Limits& limits) {
  if (pid_ < 0 || status_) return std::nullopt;
  const auto reply = Ask(Message::kEnd, "", 0, limits);
  if (const auto* fault = std::get_if<Fault>(&reply)) {
    if (status_ && WIFEXITED(*status_) && WEXITSTATUS(*status_) == 0) return std::nullopt;
    return *fault;
  }
  Kill();
  return Fault{Outcome::kCrashed, "the worker talks nonsense: it answers to the request to end"};
}

std::variant<Frame, Fault> WorkerProcess::Await(std::uint64_t bytes, const Limits& limits,
                                                const OnTick& on_tick) {
  if (pid_ < 0) return Fault{Outcome::kCrashed, start_failure_};
  if (status_) return Gone("");
  const double began = MonotonicSeconds();
  for (;;) {
    // In this order: what a process has sent before its end counts.
    const bool ended = HasEnded();
    const bool open = Receive();
    ReadOutput();
    if (auto frame = reader_.Next()) {
      if (frame->request == request_) return std::move(*frame);
      Kill();
      return Gone("the worker talks nonsense: it answers what nobody asked");
    }
    if (!reader_.nonsense().empty()) {
      Kill();
      return Gone(fmt::format("the worker talks nonsense: {}", reader_.nonsense()));
    }
    if (ended || !open) return Gone("");
    if (auto overdue = Overdue(bytes, limits, began)) {
      ReadOutput();
      Kill();
      return *overdue;
    }
    if (on_tick) on_tick(pulse_);
    std::array<pollfd, 2> waiting = {{{channel_, POLLIN, 0}, {output_, POLLIN, 0}}};
    ::poll(waiting.data(), waiting.size(), kTickMs);
  }
}

bool WorkerProcess::Receive() {
  std::array<char, 1 << 16> chunk;  // NOLINT(cppcoreguidelines-pro-type-member-init): recv() fills
  // Bounded: a library that never stops writing must not keep the tool from its limits.
  for (int chunks = 0; chunks < 64; ++chunks) {
    const ssize_t count = ::recv(channel_, chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (count == 0) return false;
    if (count < 0) return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
    reader_.Feed({chunk.data(), static_cast<std::size_t>(count)});
  }
  return true;
}

void WorkerProcess::ReadOutput() {
  std::array<char, kTailBytes> chunk;  // NOLINT(cppcoreguidelines-pro-type-member-init): as above
  for (int chunks = 0; output_ >= 0 && chunks < 64; ++chunks) {
    const ssize_t count = ::read(output_, chunk.data(), chunk.size());
    if (count == 0) return Close(output_);  // every process has closed it, or has ended
    if (count < 0) return;
    tail_.append(chunk.data(), static_cast<std::size_t>(count));
    if (tail_.size() > kTailBytes) tail_.erase(0, tail_.size() - kTailBytes);
  }
}

std::optional<Fault> WorkerProcess::Overdue(std::uint64_t bytes, const Limits& limits,
                                            double began) const {
  const double now = MonotonicSeconds();
  if (limits.run_ends_at > 0 && now >= limits.run_ends_at) {
    return Fault{Outcome::kNotRun, "the time of the run was up in it"};
  }
  if (limits.case_seconds > 0 && now - began >= limits.case_seconds) {
    return Fault{Outcome::kTimedOut,
                 fmt::format("the case took longer than {}: stopped{}{}",
                             SecondsText(limits.case_seconds), Where(), LastWords())};
  }
  const Phase phase = pulse_.phase();
  const double limit = MostSeconds(phase, bytes, limits);
  // What the library may have written there cannot make a phase younger than the request.
  const double since = pulse_.since_seconds();
  if (now - (since > began && since <= now ? since : began) >= limit) {
    return Fault{Outcome::kTimedOut, fmt::format("{} took longer than {}{}", Name(phase),
                                                 SecondsText(limit), LastWords())};
  }
  // Nothing grows much in less, and most cases take no longer.
  constexpr double kUnwatchedSeconds = 0.01;
  if (limits.memory_bytes == 0 || now - began < kUnwatchedSeconds) return std::nullopt;
  if (const std::uint64_t resident = ResidentBytes(pid_); resident > limits.memory_bytes) {
    return Fault{Outcome::kCrashed,
                 fmt::format("out of memory: the process had taken {}{}, its limit is {}{}",
                             HumanBytes(static_cast<double>(resident)), Where(),
                             HumanBytes(static_cast<double>(limits.memory_bytes)), LastWords())};
  }
  return std::nullopt;
}

bool WorkerProcess::HasEnded() {
  if (pid_ < 0 || status_) return true;
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) != pid_) return false;
  status_ = status;
  // Whatever it has forked.
  ::kill(-pid_, SIGKILL);
  EndedWorker(pid_);
  return true;
}

void WorkerProcess::Kill() {
  if (pid_ < 0 || status_) return;
  ::kill(-pid_, SIGKILL);
  // A process that a driver holds in the kernel may take for ever: then it is left behind.
  const double began = MonotonicSeconds();
  while (!HasEnded() && MonotonicSeconds() - began < kKernelSeconds) ::usleep(200);
  if (!status_) status_ = SIGKILL;
}

Fault WorkerProcess::Gone(std::string how) {
  // An end that closes the channel comes first, the status of the process a moment later.
  constexpr double kMomentSeconds = 0.2;
  const double began = MonotonicSeconds();
  while (!HasEnded() && MonotonicSeconds() - began < kMomentSeconds) ::usleep(200);
  std::string note;
  bool from_outside = false;
  if (how.empty()) {
    const bool unheard = !status_ || *status_ == W_EXITCODE(kUnheardExitCode, 0);
    how = unheard ? "it closed the pipe to the tool" : EndText(*status_);
    if (status_ && *status_ == SIGKILL) {
      note = "; not sent by the tool: has the system run out of memory?";
      from_outside = true;
    }
  }
  Kill();
  ReadOutput();
  return {Outcome::kCrashed, how + Where() + note + LastWords(), from_outside};
}

std::string WorkerProcess::Where() const { return fmt::format(" in {}", Name(pulse_.phase())); }

std::string WorkerProcess::LastWords() const {
  std::string words = pulse_.message();
  if (words.empty()) {
    // The last line of what it printed.
    std::string_view text = tail_;
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
    words = text.substr(text.rfind('\n') + 1);
  }
  if (words.empty()) return "";
  constexpr std::size_t kMost = 300;
  if (words.size() > kMost) words = words.substr(0, kMost) + "…";
  return fmt::format("; the device's last words: {}", OneLine(words));
}

}  // namespace normgrad
