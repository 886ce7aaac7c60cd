// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "checks/check.h"
#include "run/messages.h"
#include "run/worker_process.h"

namespace normgrad {

/// Another process that opens the same device and is asked about cases one by one: what it says
/// does not depend on anything that this process has done. It is replaced every so often, and after
/// it failed, so that it stays a fresh one.
class FreshProcess {
 public:
  /// A process answers as many questions before another takes its place.
  static constexpr int kQuestions = 50;

  /// `args` are those of a worker; `while_waiting` is called every few milliseconds of a wait.
  FreshProcess(std::vector<std::string> args, Limits limits, std::function<void()> while_waiting);

  /// The bytes of workspace that phase 1 asks for.
  FreshNumber WorkspaceOf(const Case& the_case);
  /// HashOf() the outputs of a launch with ACL_OPT_DETERMINISTIC off or on.
  FreshNumber HashOf(const Case& the_case, bool deterministic);

 private:
  CaseNumbers Ask(Message question, const Case& the_case, std::size_t numbers);
  std::variant<Frame, Fault> AskOnce(Message question, const Case& the_case);

  std::vector<std::string> args_;
  Limits limits_;
  std::function<void()> while_waiting_;
  std::unique_ptr<WorkerProcess> process_;
  int questions_ = 0;        // that the process has been asked
  std::string hashed_case_;  // the id of the case whose hashes were asked for last
  CaseNumbers hashes_;       // of it
};

}  // namespace normgrad
