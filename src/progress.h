// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "report/summary.h"

namespace normgrad {

/// A line on standard error that says how far a run is, rewritten in place on a terminal; silent
/// where standard error is no terminal, and when told to be quiet.
class ProgressPrinter {
 public:
  ProgressPrinter(std::uint64_t planned_cases, bool quiet);
  ProgressPrinter(const ProgressPrinter&) = delete;
  ProgressPrinter& operator=(const ProgressPrinter&) = delete;
  ~ProgressPrinter();  // removes the line

  void OnCheck(std::string_view case_id, std::string_view check);
  void OnResult(const Result& result);

 private:
  void Draw();

  using Clock = std::chrono::steady_clock;
  bool enabled_;
  Progress progress_;
  Clock::time_point started_ = Clock::now();
  Clock::time_point drawn_{};
};

}  // namespace normgrad
