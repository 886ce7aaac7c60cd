// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <sys/types.h>

#include "report/result.h"
#include "run/frame.h"
#include "run/pulse.h"

namespace normgrad {

/// How long a worker may take for what, and how much memory it may have.
struct Limits {
  double timeout_seconds = 60;     // of one launch, and of every other call of the device library
  double case_seconds = 0;         // of a whole case; 0: no limit
  double run_ends_at = 0;          // MonotonicSeconds() at which all workers end; 0: never
  std::uint64_t memory_bytes = 0;  // that a worker may have resident; 0: no limit
};

/// How long a worker may stay in `phase` of a case of `bytes` of tensors before it is taken to
/// hang. Calls of the library: the limit of a launch, at least a second, and a second for every
/// 50 MB. Work of the tool's own: two minutes, and a second for every 500 kB, an order of magnitude
/// more than it takes on slow machines, because only a library that has damaged the process makes
/// it hang.
double MostSeconds(Phase phase, std::uint64_t bytes, const Limits& limits);

/// Why a worker gave no answer; it has been ended.
struct Fault {
  Outcome outcome = Outcome::kCrashed;  // or kTimedOut; kNotRun where the run's time was up
  std::string what{};         // "signal 11 (SIGSEGV) in phase 2; the device's last words: …"
  bool from_outside = false;  // SIGKILL, which the tool did not send: it may be asked again
};

/// A process of this executable that answers requests about one device, see ServeRequests(). It
/// leads a process group of its own, and both end with the object, whatever the library does. What
/// leaves the group ends, too, where the tool adopts orphans (run/orphans.h).
///
/// Nothing that comes out of it is trusted, and nothing is waited for without a limit.
class WorkerProcess {
 public:
  /// Called every few milliseconds while an answer is waited for.
  using OnTick = std::function<void(const Pulse& pulse)>;

  /// Starts the executable with `args`; Ask() and Greeting() tell if that fails.
  explicit WorkerProcess(const std::vector<std::string>& args);
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;
  ~WorkerProcess();

  /// Waits for the first message, which comes without a request.
  std::variant<Frame, Fault> Greeting(const Limits& limits, const OnTick& on_tick = {});

  /// What has gone wrong while nothing was asked of the worker.
  std::optional<Fault> Idle();

  /// Sends a request about a case of `bytes` of tensors and waits for its answer.
  std::variant<Frame, Fault> Ask(Message message, std::string payload, std::uint64_t bytes,
                                 const Limits& limits, const OnTick& on_tick = {});

  /// Asks the worker to close the device and to end; what went wrong, if something did.
  std::optional<Fault> End(const Limits& limits);

  const Pulse& pulse() const { return pulse_; }
  pid_t pid() const { return pid_; }

 private:
  std::variant<Frame, Fault> Await(std::uint64_t bytes, const Limits& limits,
                                   const OnTick& on_tick);
  /// Reads what has come, without waiting; false once the worker's end of the channel is closed.
  bool Receive();
  void ReadOutput();
  /// What the limits have against the request going on.
  std::optional<Fault> Overdue(std::uint64_t bytes, const Limits& limits, double began) const;
  /// Whether the process has ended; reaps it.
  bool HasEnded();
  void Kill();
  Fault Gone(std::string how);
  std::string Where() const;      // " in phase 2"
  std::string LastWords() const;  // "; the device's last words: …"

  Pulse pulse_;
  int channel_ = -1;
  int output_ = -1;  // both standard output and standard error of the worker
  pid_t pid_ = -1;
  std::optional<int> status_;  // as waitpid() gives it, once the process has ended
  std::string start_failure_;
  std::uint64_t request_ = 0;
  FrameReader reader_;
  std::string tail_;  // of its output
};

/// Descriptors that a worker is born with.
inline constexpr int kWorkerChannel = 3;
inline constexpr int kWorkerPulse = 4;

/// "signal 11 (SIGSEGV)", "exit code 5": how a process ended, from its status.
std::string EndText(int status);

}  // namespace normgrad
