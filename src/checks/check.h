// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "checks/case_run.h"
#include "golden/oracle.h"
#include "report/result.h"

namespace normgrad {

/// Repeats `sample` (device seconds of one launch) and fills the statistics of one TimingResult.
/// Injected by the runner, which owns the benchmark library.
using Timer =
    std::function<TimingResult(const std::string& name, const std::function<double()>& sample)>;

/// What the user may set about checks.
struct CheckOptions {
  unsigned threads = 1;  // of the oracle
  int repeats = 5;       // launches per determinism mode; at least 2
  Profile profile = Profile::kExpanded;
  Timer timer{};
};

/// The answer to one question about one case.
struct Answer {
  Outcome outcome = Outcome::kPassed;
  std::string reason;  // one line; empty when there is nothing to say
};

/// One question about a case. `ask` launches what it needs and records its numbers in the result;
/// DeviceError is the runner's to catch.
struct Check {
  std::string_view name;      // as in YAML and --check
  std::string_view question;  // what passing means
  Answer (*ask)(CaseRun& run, const CheckOptions& options, Result* result);
};

/// Every check, in the order they run: CheckNames().
std::span<const Check> Checks();

Answer CheckAccuracy(CaseRun& run, const CheckOptions& options, Result* result);
Answer CheckMemory(CaseRun& run, const CheckOptions& options, Result* result);
Answer CheckDeterminism(CaseRun& run, const CheckOptions& options, Result* result);
Answer CheckThroughput(CaseRun& run, const CheckOptions& options, Result* result);

/// Where two runs' outputs first differ: "dxOut[2, 17]: run 3 has 0x3c01, run 1 has 0x3c00".
/// Empty when they are equal byte for byte.
std::string FirstDifference(const Case& the_case, const DenseTensors& first,
                            const DenseTensors& other, int other_run);

}  // namespace normgrad
