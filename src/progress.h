// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <stop_token>
#include <string_view>
#include <thread>

#include "report/summary.h"
#include "report/totals.h"

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
  /// Draws at regular times until asked to stop. Drawing where the news come in would either slow
  /// down short cases or, drawing only some of them, show an old check all through a long one.
  void KeepDrawing(const std::stop_token& stop);
  void Draw();  // mutex_ is held

  const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  std::mutex mutex_;  // of what follows
  Progress progress_;
  OutcomeCounts outcomes_;
  std::condition_variable_any stopping_;
  std::jthread drawer_;  // last: it must end before what it uses
};

}  // namespace normgrad
