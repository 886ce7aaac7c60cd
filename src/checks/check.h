// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "accuracy/bound.h"
#include "accuracy/standards.h"
#include "checks/case_run.h"
#include "golden/oracle.h"
#include "report/result.h"

namespace normgrad {

/// Repeats `sample` (device seconds of one launch) and fills the statistics of one TimingResult.
/// Injected by the runner, which owns the benchmark library.
using Timer =
    std::function<TimingResult(const std::string& name, const std::function<double()>& sample)>;

/// Makes the inputs of a case. Injected by the runner.
using Filler = std::function<std::shared_ptr<const CaseInputs>(const Case& the_case)>;

/// What another process knows of a case: a number, or nothing and the reason. Injected by the
/// program.
struct FreshNumber {
  std::optional<std::uint64_t> value{};
  std::string unknown{};
};
/// The bytes of workspace that phase 1 asks for.
using FreshWorkspace = std::function<FreshNumber(const Case& the_case)>;
/// HashOf() the outputs of a launch with ACL_OPT_DETERMINISTIC off or on.
using FreshHash = std::function<FreshNumber(const Case& the_case, bool deterministic)>;

/// Whether the legal calls that follow refused ones passed before any of these, by case id: one
/// that never did says nothing about a refusal.
using LegalCalls = std::map<std::string, bool>;

/// What the user may set about checks.
struct CheckOptions {
  unsigned threads = 1;  // of the oracle
  int repeats = 5;       // plain launches per determinism mode; at least 2
  Profile profile = Profile::kExpanded;
  double smallest_normal = 0x1p-126;  // the device may flush what is smaller; 0x1p-149: nothing
  Rounding rounding = Rounding::kNearestEven;  // of results to the outputs' dtypes
  bool saturates = false;  // results too large for their dtype become its largest number
  const Standard* standard = nullptr;  // decides instead of the derived bound, if there is one
  bool batch_invariant = false;  // the device promises, as no document does, what `batch` asks
  std::uint64_t cold_bytes = 0;  // cold launches rotate over; 0: enough for no cache to help
  Timer timer{};
  Filler fill{};
  std::shared_ptr<LegalCalls> legal_calls{};  // filled as the run goes on; null: not remembered
  FreshWorkspace fresh_workspace{};           // empty: not looked at
  FreshHash fresh_hash{};                     // empty: not looked at
  std::uint64_t most_host_bytes = 0;          // that a case may take; 0: what the host has
};

/// The answer to one question about one case.
struct Answer {
  Outcome outcome = Outcome::kPassed;
  std::string reason{};                 // one line; empty when there is nothing to say
  std::optional<int> status{};          // what phase 1 or 2 returned, where that is what is wrong
  SkipReason skip = SkipReason::kNone;  // of an answer that Skipped() makes
};

/// The answer that a question is not asked on purpose. `detail` says why this case has that reason.
Answer Skipped(SkipReason skip, std::string detail);

/// One question about a case. `ask` launches what it needs and records its numbers in the result;
/// DeviceError is the runner's to catch.
struct Check {
  std::string_view name;      // as in YAML and --check
  std::string_view question;  // what passing means
  Answer (*ask)(CaseRun& run, const CheckOptions& options, Result* result);
};

/// Every check, in the order they run: CheckNames().
std::span<const Check> Checks();

Answer CheckContract(CaseRun& run, const CheckOptions& options, Result* result);
Answer CheckAccuracy(CaseRun& run, const CheckOptions& options, Result* result);
Answer CheckMemory(CaseRun& run, const CheckOptions& options, Result* result);
Answer CheckDeterminism(CaseRun& run, const CheckOptions& options, Result* result);
Answer CheckBatch(CaseRun& run, const CheckOptions& options, Result* result);
Answer CheckInvariants(CaseRun& run, const CheckOptions& options, Result* result);
Answer CheckThroughput(CaseRun& run, const CheckOptions& options, Result* result);

/// The accuracy of `outputs`, the elements of one launch, for a device that computes with this unit
/// roundoff.
Answer JudgeOutputs(const CaseRun& run, const CheckOptions& options, const DenseTensors& outputs,
                    double roundoff);

/// The rule of the bound for a case on a device that computes with this unit roundoff.
BoundRule RuleFor(const CaseRun& run, double roundoff);

/// Where two runs' outputs first differ: "dxOut[2, 17]: run 3 has 0x3c01, run 1 has 0x3c00, 1 ULP
/// apart". Empty when they are equal byte for byte. The first run is "run 1".
std::string FirstDifference(const Case& the_case, const DenseTensors& first,
                            const DenseTensors& other, std::string_view other_run);

/// FirstDifference() of `first` and what the last launch of `run` left; of outputs that were other
/// and then no longer are, that the run wrote on.
std::string DifferenceFrom(const KeptOutputs& first, const CaseRun& run,
                           std::string_view other_run);

}  // namespace normgrad
