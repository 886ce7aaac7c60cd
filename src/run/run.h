// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <span>

#include "run/executor.h"

namespace normgrad {

/// What a run tells the outside while it goes on.
struct RunObserver {
  std::function<bool()> interrupted;            // asked before every case: true ends the run
  std::function<void(const Case&)> on_start{};  // before a case is answered; may be empty
  std::function<void(Result)> on_result;        // once per case, in order
};

/// Has `executor` answer every case and hands each record on. After an interruption the cases left
/// are handed on as not-run, so that every planned case is accounted for.
void RunCases(std::span<const Case> cases, Executor& executor, const RunObserver& observer);

}  // namespace normgrad
