// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "abi/acl_abi.h"
#include "checks/check.h"
#include "device/device.h"
#include "report/result.h"
#include "sweep/case.h"

namespace normgrad {

/// The first case in which a check said that something is wrong.
struct Catch {
  std::string_view check{};
  std::string case_id{};
  std::string reason{};  // in the words of the check
};

/// One way to compute, of the faulty device's catalogue, on one operator.
struct Trial {
  const normgradFault* way = nullptr;
  const Operator* op = nullptr;
  std::vector<Catch> catches{};  // at most one per check, in the order of Checks()
  std::size_t asked = 0;         // cases it was tried in
  bool differs = false;          // from its twin, in some case; looked at where nothing caught it

  bool healthy() const;
  bool caught() const { return !catches.empty(); }
};

/// What the tool found of what it was shown.
struct SelftestReport {
  std::vector<Trial> trials;  // by way, then by operator
  std::size_t cases = 0;
  std::vector<std::string_view> checks;  // that were asked, in the order of Checks()
};

/// What to show.
struct SelftestOptions {
  bool only_first_catch = false;  // stop at it: which other checks see a fault stays unknown
  std::string_view without{};     // a check that is not asked
  std::string_view only{};        // the only way that is tried, by name; empty: all
  std::function<void(const std::string& text)> on_progress{};
};

/// Has the checks of `cases` answered for every way of the catalogue of `device`, which must be the
/// faulty one: Error otherwise. The device computes as ever afterwards.
SelftestReport RunSelftest(const Device& device, std::span<const Case> cases,
                           const CheckOptions& checks, const SelftestOptions& options);

/// Whose cases were run: of a user's sweep, faults that show in none of its cases are missed, too.
enum class WhoseSweep { kOurs, kUsers };

/// The report as text: a row per fault, the faults that one check alone sees, the score.
std::string SelftestText(const SelftestReport& report, WhoseSweep whose);

/// The same as Markdown: faults by check.
std::string SelftestMarkdown(const SelftestReport& report, WhoseSweep whose);

/// 0 when every fault was caught that shows, and every healthy variant accepted; else 1.
int SelftestExitCode(const SelftestReport& report, WhoseSweep whose);

}  // namespace normgrad
