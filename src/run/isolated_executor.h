// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "run/executor.h"
#include "run/messages.h"
#include "run/worker_process.h"

namespace normgrad {

/// Told of what happened to the device outside of any case: "the device is degraded: …". May come
/// from several threads.
using OnIncident = std::function<void(const std::string& what)>;

/// Answers cases in a worker process, so that whatever the device library does to the process it
/// lives in costs the case that was running, and nothing else.
///
/// A worker that dies, hangs or talks nonsense is replaced, and two probes tell what is left of the
/// device: memory that is copied there and back, and a small call with known bits. If the copy does
/// not work in two fresh workers the device is lost; if only the call is wrong it is degraded.
///
/// A worker that somebody else has killed says nothing of the device: what it was asked is asked
/// again, once. If the system does it because memory runs out, it does so again.
///
/// A case that fails in a worker that answered others before is run again alone in a fresh one,
/// and, should it pass there, once more after its predecessor: the record says what came of it. The
/// first kMostReruns such cases; where the device fails everything, more would tell nothing new.
class IsolatedExecutor final : public Executor {
 public:
  static constexpr int kMostReruns = 20;

  /// `args` start a worker, see WorkerProcess. `on_check` is called when the step of a case has
  /// changed, every few milliseconds.
  IsolatedExecutor(std::vector<std::string> args, Limits limits, OnCheck on_check,
                   OnIncident on_incident);
  ~IsolatedExecutor() override;

  /// Starts the first worker. Throws Error for what the user must fix, StartError when `device`, as
  /// messages call it, does not start.
  Hello Start(std::string_view device);

  Result Execute(const Case& the_case) override;
  bool lost() const override { return lost_; }
  void Finish() override;

 private:
  /// One run of a case in a worker.
  struct Attempt {
    Result result{};
    bool died = false;          // the worker did, or its device is lost
    bool cut = false;           // the time of the run was up
    bool from_outside = false;  // Fault::from_outside
  };

  /// Starts a worker, and another one if somebody kills that.
  std::variant<Frame, Fault> StartWorker();
  Attempt Try(const Case& the_case);
  Attempt TryAlone(const Case& the_case);
  /// A worker with an open device; why there is none, if there is none.
  std::string Renew();
  std::string Probe(Message message, std::string payload, const Case& the_case, bool* died);
  /// Replaces the worker unless it can be shown to be well. False when the device is lost.
  bool Recover(const Case& the_case, bool died);
  /// Whether the worker may go on: not after a call that went wrong.
  bool ProbeOperator(const Case& the_case);
  /// Says in a record whether the case fails without the one before it.
  void Explain(const Case& the_case, const Case& predecessor, Result* result);

  std::vector<std::string> args_;
  Limits limits_;
  OnCheck on_check_;
  OnIncident on_incident_;
  std::unique_ptr<WorkerProcess> worker_;
  std::optional<Case> predecessor_;              // the last case that worker_ answered
  std::set<std::string, std::less<>> degraded_;  // operators whose probe is not right
  int reruns_ = 0;
  bool lost_ = false;
};

}  // namespace normgrad
