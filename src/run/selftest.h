// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checks/check.h"
#include "device/device.h"
#include "report/selftest.h"
#include "sweep/case.h"

namespace normgrad {

/// What to show.
struct SelftestOptions {
  bool only_first_catch = false;  // stop at it: which other checks see a fault stays unknown
  bool standards = false;         // look at every published standard, in every case
  std::string_view without{};     // a check that is not asked
  std::string_view only{};        // the only way that is tried, by name; empty: all
  std::function<void(const std::string& text)> on_progress{};
};

/// The catalogue of `device`, which must be the faulty one: Error otherwise. Nothing is tried.
std::vector<SelftestWay> FaultsOf(const Device& device);

/// Has the checks of `cases` answered for every way of the catalogue of `device`, which must be the
/// faulty one: Error otherwise, and for a way that is not in it. The device computes as ever
/// afterwards.
SelftestReport RunSelftest(const Device& device, std::span<const Case> cases,
                           const CheckOptions& checks, const SelftestOptions& options);

}  // namespace normgrad
