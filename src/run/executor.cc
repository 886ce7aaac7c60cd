// SPDX-License-Identifier: Apache-2.0
#include "run/executor.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <new>
#include <optional>
#include <stdexcept>
#include <vector>

#include <fmt/format.h>

#include "base/text.h"
#include "checks/deviation.h"
#include "run/fill.h"
#include "run/host.h"
#include "run/plan.h"

namespace normgrad {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Runs `step`; what the device does wrong becomes an answer.
template <typename Step>
Answer Guarded(const Device& device, Step step) {
  if (device.lost()) return {Outcome::kNotRun, "device lost: an earlier launch never ended"};
  try {
    return step();
  } catch (const DeviceError& error) {
    return {error.timed_out() ? Outcome::kTimedOut : Outcome::kError, error.what(), error.status()};
  } catch (const std::bad_alloc&) {
    return {Outcome::kError, "the host ran out of memory"};
  }
}

/// Says no before anything is allocated, where the case cannot fit.
std::optional<Answer> TooLarge(const Case& the_case, const Device& device,
                               std::uint64_t most_host_bytes) {
  const std::uint64_t tensors = StorageBytes(the_case), on_device = device.FreeBytes();
  const std::uint64_t host = HostBytesFor(the_case);
  const std::uint64_t most =
      most_host_bytes > 0 ? most_host_bytes : std::numeric_limits<std::uint64_t>::max();
  // To ask the system takes a tenth of the time of a case that is this small.
  constexpr std::uint64_t kAlwaysThere = 1 << 20;
  if (tensors <= on_device && host <= std::min(kAlwaysThere, most)) return std::nullopt;
  const std::uint64_t on_host = std::min(AvailableHostBytes(), most);
  if (tensors <= on_device && host <= on_host) return std::nullopt;
  const auto text = [](std::uint64_t bytes) { return HumanBytes(static_cast<double>(bytes)); };
  return Skipped(SkipReason::kMemory,
                 fmt::format("memory: the tensors take {}, and the host {} more for them; free are "
                             "{} on the device and {} on the host",
                             text(tensors), text(host), text(on_device), text(on_host)));
}

/// The rows of the table of known deviations that are about a case; none for a device of ours,
/// which has no excuse.
std::vector<const Deviation*> DeviationsOf(const Case& the_case, const Device& device) {
  std::vector<const Deviation*> rows;
  if (device.IsOurs()) return rows;
  for (const Deviation& row : KnownDeviations()) {
    if (IsAbout(row, the_case)) rows.push_back(&row);
  }
  return rows;
}

const Check& FindCheck(std::string_view name) {
  const auto found = std::ranges::find(Checks(), name, &Check::name);
  if (found == Checks().end()) throw std::logic_error(fmt::format("no check '{}'", name));
  return *found;
}

}  // namespace

void Conclude(Result* result) {
  result->outcome = result->checks.empty() ? Outcome::kNotRun : Outcome::kPassed;
  std::vector<const CheckResult*> talking;
  for (const CheckResult& check : result->checks) {
    result->outcome = MoreSerious(result->outcome, check.outcome);
    if (!check.reason.empty()) talking.push_back(&check);
  }
  std::ranges::stable_sort(talking, [](const CheckResult* a, const CheckResult* b) {
    return a->outcome != b->outcome && MoreSerious(a->outcome, b->outcome) == a->outcome;
  });
  // What several checks say alike is said once: "memory, determinism: the device is lost".
  result->reason.clear();
  while (!talking.empty()) {
    const std::string& reason = talking.front()->reason;
    std::string names;
    for (const CheckResult* check : talking) {
      if (check->reason != reason) continue;
      if (!names.empty()) names += ", ";
      names += check->check;
    }
    if (!result->reason.empty()) result->reason += "; ";
    result->reason += fmt::format("{}: {}", names, reason);
    std::erase_if(talking, [&](const CheckResult* check) { return check->reason == reason; });
  }
}

Result Unanswered(const Case& the_case) {
  Result result;
  result.case_id = the_case.Id();
  result.case_hash = fmt::format("0x{:016x}", the_case.Hash());
  result.op = the_case.op->name;
  result.product = the_case.product;
  result.shape = ToString(the_case.dims);
  result.dtypes = DTypesText(the_case.dtypes);
  result.variant = VariantText(the_case);
  result.layout = LayoutText(the_case);
  result.fill = the_case.fill;
  result.seed = the_case.seed;
  result.eps = the_case.eps;
  result.source = the_case.source;
  for (const std::string& check : the_case.checks) result.checks.push_back({.check = check});
  return result;
}

InProcessExecutor::InProcessExecutor(const Device& device, CheckOptions options, OnCheck on_check,
                                     OnAnswer on_answer)
    : device_(device),
      options_(std::move(options)),
      on_check_(std::move(on_check)),
      on_answer_(std::move(on_answer)) {
  const unsigned threads = options_.threads;
  options_.legal_calls = std::make_shared<LegalCalls>();
  options_.fill = [threads](const Case& the_case) { return FillInputs(the_case, threads); };
}

void InProcessExecutor::Excuse(const std::vector<const Deviation*>& rows, CaseRun* run,
                               Result* result, Answer* answer) const {
  const bool wrong = answer->outcome == Outcome::kFailed || answer->outcome == Outcome::kError;
  for (const Deviation* row : rows) {
    bool seen = false;
    if (!wrong) {
      seen = ShowsDeviation(row->observed, *result);
    } else {
      const Answer look = Guarded(device_, [&]() -> Answer {
        const bool observed = IsObserved(row->observed, *answer, run, options_);
        return {observed ? Outcome::kKnownDeviation : Outcome::kFailed};
      });
      seen = look.outcome == Outcome::kKnownDeviation;
    }
    if (!seen) continue;
    for (DeviationResult& deviation : result->deviations) {
      if (deviation.number == row->number) deviation.seen = true;
    }
    if (!wrong) continue;
    *answer = {Outcome::kKnownDeviation,
               fmt::format("{}: {} ({})", row->number, row->text, answer->reason)};
    return;
  }
}

Result InProcessExecutor::Execute(const Case& the_case) {
  const auto case_start = Clock::now();
  Result result = Unanswered(the_case);
  std::unique_ptr<CaseRun> run;
  on_check_(the_case, "fill");
  const Answer prepared = Guarded(device_, [&]() -> Answer {
    if (!device_.Become(the_case.product)) {
      return {Outcome::kUnsupported,
              fmt::format("the device is a {}, not {}", device_.SocName(), the_case.product)};
    }
    if (auto too_large = TooLarge(the_case, device_, options_.most_host_bytes)) return *too_large;
    const auto unfit = the_case.expectation ? std::nullopt : WhyFillDoesNotApply(the_case);
    if (unfit) {
      return Skipped(SkipReason::kFill, fmt::format("fill {}: {}", the_case.fill, *unfit));
    }
    // A call made to be refused reads nothing.
    run = std::make_unique<CaseRun>(the_case, device_,
                                    the_case.expectation ? nullptr : options_.fill(the_case));
    result.tensor_bytes = run->tensor_bytes();
    return {};
  });
  // A case that could not be prepared shows nothing of the device.
  const auto deviations = prepared.outcome == Outcome::kPassed ? DeviationsOf(the_case, device_)
                                                               : std::vector<const Deviation*>();
  for (const Deviation* row : deviations) {
    const bool known = std::ranges::any_of(result.deviations, [&](const DeviationResult& other) {
      return other.number == row->number;
    });
    if (known || !IsObservable(row->observed, the_case.checks)) continue;
    result.deviations.push_back({std::string(row->number), std::string(row->text), false});
  }
  for (CheckResult& slot : result.checks) {
    const auto check_start = Clock::now();
    on_check_(the_case, slot.check);
    const Check& check = FindCheck(slot.check);
    Answer answer = prepared.outcome != Outcome::kPassed
                        ? prepared
                        : Guarded(device_, [&] { return check.ask(*run, options_, &result); });
    Excuse(deviations, run.get(), &result, &answer);
    if ((answer.outcome == Outcome::kSkipped) != (answer.skip != SkipReason::kNone)) {
      throw std::logic_error(fmt::format("{}: skipped without a reason of the list", slot.check));
    }
    slot.outcome = answer.outcome;
    slot.skip = answer.skip;
    slot.reason = answer.reason;
    slot.seconds = SecondsSince(check_start);
    if (on_answer_) on_answer_(slot);
  }
  if (run != nullptr) result.workspace_bytes = run->workspace_bytes();
  Conclude(&result);
  result.seconds = SecondsSince(case_start);
  return result;
}

}  // namespace normgrad
