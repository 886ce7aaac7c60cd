// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <span>

#include "run/executor.h"

namespace normgrad {

/// What a run tells the outside while it goes on. One call comes at a time, but with several
/// executors from several threads.
///
/// Cases are started in the order of the plan, and each result comes after its case was started.
/// With one executor a case is started after the result of the one before it; with several, results
/// come as they are there. Cases that were never started come last, in the order of the plan.
struct RunObserver {
  std::function<bool()> interrupted;            // asked before every case: true ends the run
  std::function<void(const Case&)> on_start{};  // before a case is answered; may be empty
  std::function<void(Result)> on_result;        // once per planned case
};

/// Has the executors, each on a thread of its own, answer every case and hands each record on. A
/// case that asks for throughput runs alone: nothing else may be measured with it.
///
/// After an interruption, at `ends_at` (MonotonicSeconds(); 0: never), and once the devices of all
/// executors are lost, the cases left are handed on as not-run, so that every planned case is
/// accounted for. What an observer throws ends the run and is thrown on.
void RunCases(std::span<const Case> cases, std::span<Executor* const> executors,
              const RunObserver& observer, double ends_at = 0);

/// The same with one executor, on this thread.
void RunCases(std::span<const Case> cases, Executor& executor, const RunObserver& observer,
              double ends_at = 0);

}  // namespace normgrad
