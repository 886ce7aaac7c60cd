// SPDX-License-Identifier: Apache-2.0
#include "progress.h"

#include <cstdio>
#include <string>

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace normgrad {
namespace {

constexpr auto kRedrawEvery = std::chrono::milliseconds(100);
constexpr char kEraseLine[] = "\r\033[K";

std::size_t TerminalColumns() {
  winsize size{};
  const bool known = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : 80;
}

}  // namespace

ProgressPrinter::ProgressPrinter(std::uint64_t planned_cases, bool quiet) {
  progress_.planned = planned_cases;
  if (!quiet && ::isatty(STDERR_FILENO) == 1) {
    drawer_ = std::jthread([this](const std::stop_token& stop) { KeepDrawing(stop); });
  }
}

ProgressPrinter::~ProgressPrinter() {
  if (!drawer_.joinable()) return;
  drawer_.request_stop();
  drawer_.join();
  std::fputs(kEraseLine, stderr);
}

void ProgressPrinter::OnCheck(std::string_view case_id, std::string_view check) {
  const std::lock_guard lock(mutex_);
  progress_.case_id = case_id;
  progress_.check = check;
}

void ProgressPrinter::OnResult(const Result& result) {
  const std::lock_guard lock(mutex_);
  outcomes_.Add(result.outcome);
  ++progress_.answered;
  progress_.failures = outcomes_.Failures();
}

void ProgressPrinter::KeepDrawing(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    Draw();
    stopping_.wait_for(lock, stop, kRedrawEvery, [] { return false; });
  }
}

void ProgressPrinter::Draw() {
  const auto elapsed = std::chrono::steady_clock::now() - started_;
  progress_.seconds = std::chrono::duration<double>(elapsed).count();
  progress_.columns = TerminalColumns() - 1;
  std::fputs((kEraseLine + ProgressLine(progress_)).c_str(), stderr);
}

}  // namespace normgrad
