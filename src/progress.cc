// SPDX-License-Identifier: Apache-2.0
#include "progress.h"

#include <cstdio>

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

ProgressPrinter::ProgressPrinter(std::uint64_t planned_cases, bool quiet)
    : enabled_(!quiet && ::isatty(STDERR_FILENO) == 1) {
  progress_.planned = planned_cases;
}

ProgressPrinter::~ProgressPrinter() {
  if (enabled_) fmt::print(stderr, "{}", kEraseLine);
}

void ProgressPrinter::OnCheck(std::string_view case_id, std::string_view check) {
  progress_.case_id = case_id;
  progress_.check = check;
  Draw();
}

void ProgressPrinter::OnResult(const Result& result) {
  ++progress_.answered;
  if (IsFailure(result.outcome)) ++progress_.failures;
}

void ProgressPrinter::Draw() {
  const Clock::time_point now = Clock::now();
  if (!enabled_ || now - drawn_ < kRedrawEvery) return;
  drawn_ = now;
  progress_.seconds = std::chrono::duration<double>(now - started_).count();
  progress_.columns = TerminalColumns() - 1;
  fmt::print(stderr, "{}{}", kEraseLine, ProgressLine(progress_));
  std::fflush(stderr);
}

}  // namespace normgrad
