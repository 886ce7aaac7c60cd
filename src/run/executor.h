// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "checks/check.h"
#include "device/device.h"
#include "report/result.h"
#include "run/timing.h"
#include "sweep/case.h"
#include "sweep/deviations.h"

namespace normgrad {

/// Answers cases: one goes in as data, one record comes out as data. Everything that touches a
/// device sits behind this, so that where it happens (this process or another) is nobody else's
/// business.
class Executor {
 public:
  virtual ~Executor() = default;

  /// Never throws for anything that the device or its library does: that is the record's outcome.
  virtual Result Execute(const Case& the_case) = 0;

  /// Its device answers nothing any more, and neither will this.
  virtual bool lost() const { return false; }

  /// No more cases follow. Called on the thread that had the cases executed.
  virtual void Finish() {}
};

/// Sets what a case is called and why from the answers of its checks: the most serious outcome, and
/// every reason, the most serious first, warnings on passed checks included.
void Conclude(Result* result);

/// Called before each step of a case: "fill", then the name of each check.
using OnCheck = std::function<void(const Case& the_case, std::string_view check)>;

/// Called when a check of a case has its answer.
using OnAnswer = std::function<void(const CheckResult& answer)>;

/// Answers cases on a device of this process.
class InProcessExecutor final : public Executor {
 public:
  InProcessExecutor(const Device& device, CheckOptions options, OnCheck on_check,
                    OnAnswer on_answer = {});

  Result Execute(const Case& the_case) override;

 private:
  /// Turns a wrong answer that one of `rows` describes into a known deviation, and notes which of
  /// them were seen.
  void Excuse(const std::vector<const Deviation*>& rows, CaseRun* run, Result* result,
              Answer* answer) const;

  const Device& device_;
  CheckOptions options_;
  OnCheck on_check_;
  OnAnswer on_answer_;
};

/// The record of a case that has not been answered: its identity, every check not-run.
Result Unanswered(const Case& the_case);

}  // namespace normgrad
