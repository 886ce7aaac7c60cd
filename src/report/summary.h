// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "report/overview.h"

namespace normgrad {

/// What the console shows after a run: counts per check and outcome, why cases have no verdict, the
/// worst margins, throughput, `files`, and last what failed, with the reason and the command that
/// reruns it. Plain text, lines end with '\n'.
///
/// Tables fit 100 columns, then a case id, reason or command of any length ends the line: nothing
/// is cut. Of more than 20 failures the first 20 are listed, and the last line says how many more
/// there are and where.
std::string Summary(const Overview& overview, std::span<const std::filesystem::path> files);

/// Where a run stands.
struct Progress {
  std::uint64_t answered = 0;  // cases
  std::uint64_t planned = 0;   // cases
  std::uint64_t failures = 0;  // cases
  std::string check{};         // that is running
  std::string case_id{};       // that is running
  double seconds = 0;          // since the first case began
  std::size_t columns = 80;    // of the terminal
};

/// "[ 12/400] 3 failed, 8.5 cases/s, 46 s left: accuracy rms_norm_grad/…", at most `columns` wide
/// and without a line end. Too long a case id loses its middle, where ids differ least.
std::string ProgressLine(const Progress& progress);

}  // namespace normgrad
