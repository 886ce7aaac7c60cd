// SPDX-License-Identifier: Apache-2.0
#include "run/executor.h"

#include <algorithm>
#include <chrono>
#include <new>

#include <fmt/format.h>

#include "run/fill.h"

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
    return {error.timed_out() ? Outcome::kTimedOut : Outcome::kError, error.what()};
  } catch (const std::bad_alloc&) {
    return {Outcome::kSkipped, "memory: the host has too little for this case"};
  }
}

/// The case is called what its most serious check is called.
void Conclude(Result* result) {
  result->outcome = result->checks.empty() ? Outcome::kNotRun : Outcome::kPassed;
  for (const CheckResult& check : result->checks) {
    const Outcome worse = MoreSerious(result->outcome, check.outcome);
    if (worse == result->outcome) continue;
    result->outcome = worse;
    result->reason = fmt::format("{}: {}", check.check, check.reason);
  }
}

}  // namespace

Result Unanswered(const Case& the_case) {
  Result result;
  result.case_id = the_case.Id();
  result.case_hash = fmt::format("{:016x}", the_case.Hash());
  result.op = the_case.op->name;
  result.product = the_case.product;
  result.shape = ToString(the_case.dims);
  result.dtypes = DTypesText(the_case.dtypes);
  result.layout = LayoutText(the_case);
  result.fill = the_case.fill;
  result.seed = the_case.seed;
  result.source = the_case.source;
  for (const std::string& check : the_case.checks) result.checks.push_back({.check = check});
  return result;
}

InProcessExecutor::InProcessExecutor(const Device& device, CheckOptions options, OnCheck on_check)
    : device_(device), options_(std::move(options)), on_check_(std::move(on_check)) {}

Result InProcessExecutor::Execute(const Case& the_case) {
  const auto case_start = Clock::now();
  Result result = Unanswered(the_case);
  std::unique_ptr<CaseRun> run;
  on_check_(the_case, "fill");
  const Answer prepared = Guarded(device_, [&]() -> Answer {
    if (!device_.Become(the_case.product)) {
      return {Outcome::kSkipped,
              fmt::format("the device is a {}, not {}", device_.SocName(), the_case.product)};
    }
    run = std::make_unique<CaseRun>(the_case, device_, FillInputs(the_case, options_.threads));
    result.tensor_bytes = run->tensor_bytes();
    return {};
  });
  for (CheckResult& slot : result.checks) {
    const auto check_start = Clock::now();
    on_check_(the_case, slot.check);
    const auto check = std::ranges::find(Checks(), slot.check, &Check::name);
    const Answer answer = prepared.outcome != Outcome::kPassed ? prepared : Guarded(device_, [&] {
      return check->ask(*run, options_, &result);
    });
    slot.outcome = answer.outcome;
    slot.reason = answer.reason;
    slot.seconds = SecondsSince(check_start);
  }
  if (run != nullptr) result.workspace_bytes = run->workspace_bytes();
  Conclude(&result);
  result.seconds = SecondsSince(case_start);
  return result;
}

}  // namespace normgrad
