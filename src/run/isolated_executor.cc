// SPDX-License-Identifier: Apache-2.0
#include "run/isolated_executor.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/error.h"
#include "report/json.h"
#include "run/probe.h"

namespace normgrad {
namespace {

constexpr std::string_view kLost = "lost";

/// The record of a case whose worker gave none: what it had answered, the fault in the step that
/// was under way, and nothing of the rest.
Result ResultOf(const Case& the_case, const Fault& fault, const Pulse& pulse) {
  Result result = Unanswered(the_case);
  const std::string step = pulse.step();
  const std::vector<CheckResult> answers = pulse.answers();
  bool told = false;
  for (std::size_t i = 0; i < result.checks.size(); ++i) {
    CheckResult& slot = result.checks[i];
    if (i < answers.size() && answers[i].check == slot.check) {
      slot = answers[i];
    } else if (!told) {
      slot.outcome = fault.outcome;
      slot.reason = fault.what;
      told = true;
    } else {
      slot.reason = fmt::format("not asked: its process ended in {}", step.empty() ? "fill" : step);
    }
  }
  Conclude(&result);
  if (told) return result;
  // Every check had its answer: it was giving back what the case had used.
  result.outcome = MoreSerious(result.outcome, fault.outcome);
  result.reason = fmt::format("after its checks: {}{}{}", fault.what,
                              result.reason.empty() ? "" : "; ", result.reason);
  return result;
}

}  // namespace

IsolatedExecutor::IsolatedExecutor(std::vector<std::string> args, Limits limits, OnCheck on_check,
                                   OnIncident on_incident)
    : args_(std::move(args)),
      limits_(limits),
      on_check_(std::move(on_check)),
      on_incident_(std::move(on_incident)) {}

IsolatedExecutor::~IsolatedExecutor() = default;

std::variant<Frame, Fault> IsolatedExecutor::StartWorker() {
  worker_ = std::make_unique<WorkerProcess>(args_);
  auto reply = worker_->Greeting(limits_);
  const auto* fault = std::get_if<Fault>(&reply);
  if (fault == nullptr || !fault->from_outside) return reply;
  worker_ = std::make_unique<WorkerProcess>(args_);
  return worker_->Greeting(limits_);
}

Hello IsolatedExecutor::Start(std::string_view device) {
  const auto reply = StartWorker();
  if (const auto* fault = std::get_if<Fault>(&reply)) {
    throw StartError(fmt::format("{}: the device does not start: {}", device, fault->what));
  }
  const Frame& frame = std::get<Frame>(reply);
  if (frame.message == Message::kUserError) throw Error("{}", frame.payload);
  if (frame.message == Message::kStartError) throw StartError(frame.payload);
  try {
    if (frame.message == Message::kReady) return DecodeHello(frame.payload);
  } catch (const Error&) {
    // As any other message that is none.
  }
  throw StartError(
      fmt::format("{}: the device does not start: its process talks nonsense", device));
}

std::string IsolatedExecutor::Renew() {
  predecessor_.reset();
  worker_.reset();  // first: two processes may not have the device at a time
  const auto reply = StartWorker();
  const auto* frame = std::get_if<Frame>(&reply);
  if (frame != nullptr && frame->message == Message::kReady) return "";
  worker_.reset();
  return frame != nullptr ? frame->payload : std::get<Fault>(reply).what;
}

IsolatedExecutor::Attempt IsolatedExecutor::Try(const Case& the_case) {
  std::string step;
  const auto tick = [&](const Pulse& pulse) {
    if (std::string now = pulse.step(); now != step && !now.empty()) {
      step = std::move(now);
      on_check_(the_case, step);
    }
  };
  const double began = MonotonicSeconds();
  const auto reply =
      worker_->Ask(Message::kExecute, Encode(the_case), StorageBytes(the_case), limits_, tick);
  const auto* fault = std::get_if<Fault>(&reply);
  Fault nonsense{Outcome::kCrashed, "the worker talks nonsense: no record of this case"};
  if (fault == nullptr) {
    const Frame& frame = std::get<Frame>(reply);
    std::string_view json = frame.payload;
    const bool lost = json.starts_with(kLost);
    if (lost) json.remove_prefix(kLost.size());
    try {
      Result result = ResultFromJson(json);
      const Result expected = Unanswered(the_case);
      if (frame.message == Message::kResult && result.case_id == expected.case_id &&
          result.case_hash == expected.case_hash &&
          result.checks.size() == expected.checks.size()) {
        predecessor_ = the_case;
        return {std::move(result), lost, false, false};
      }
    } catch (const Error& error) {
      nonsense.what += fmt::format(": {}", error.what());
    }
    fault = &nonsense;
  }
  Attempt attempt{ResultOf(the_case, *fault, worker_->pulse()), true,
                  fault->outcome == Outcome::kNotRun, fault->from_outside};
  attempt.result.seconds = MonotonicSeconds() - began;
  worker_.reset();
  return attempt;
}

Result IsolatedExecutor::Execute(const Case& the_case) {
  if (worker_ != nullptr) {
    if (const auto fault = worker_->Idle()) {
      worker_.reset();
      if (!fault->from_outside) {
        on_incident_(fmt::format("a worker process ended between two cases: {}", fault->what));
        Recover(the_case, true);
      }
    }
  }
  // After a rerun, or where the worker was ended on purpose, a fresh one is all that is missing.
  if (worker_ == nullptr && !lost_ && !Renew().empty()) Recover(the_case, true);
  if (lost_) {
    Result result = Unanswered(the_case);
    result.reason = "device lost";
    return result;
  }
  const std::optional<Case> predecessor = std::exchange(predecessor_, std::nullopt);
  Attempt attempt = Try(the_case);
  if (attempt.from_outside) attempt = TryAlone(the_case);
  Result& result = attempt.result;
  if (attempt.cut) return std::move(result);
  const bool suspicious = result.outcome == Outcome::kError || result.outcome == Outcome::kTimedOut;
  const bool alive = !attempt.died && !suspicious ? true : Recover(the_case, attempt.died);
  if (alive && predecessor && IsFailure(result.outcome)) Explain(the_case, *predecessor, &result);
  return std::move(result);
}

std::string IsolatedExecutor::Probe(Message message, std::string payload, const Case& the_case,
                                    bool* died) {
  const auto reply = worker_->Ask(message, std::move(payload), StorageBytes(the_case), limits_);
  *died = true;
  if (const auto* fault = std::get_if<Fault>(&reply)) return fault->what;
  const Frame& frame = std::get<Frame>(reply);
  if (frame.message != Message::kProbed) return "the worker talks nonsense";
  *died = false;
  return frame.payload;
}

bool IsolatedExecutor::ProbeOperator(const Case& the_case) {
  const std::optional<Case> probe = ProbeCaseOf(the_case);
  if (!probe || degraded_.contains(probe->op->name)) return true;
  bool died = false;
  const std::string complaint = Probe(Message::kProbeOperator, Encode(*probe), *probe, &died);
  if (complaint.empty() && !died) return true;
  degraded_.emplace(probe->op->name);
  on_incident_(fmt::format("the device is degraded after {}: it copies right, but {}: {}",
                           the_case.Id(), probe->Id(), complaint));
  return false;
}

bool IsolatedExecutor::Recover(const Case& the_case, bool died) {
  std::string why;
  if (died) worker_.reset();
  // The worker that is there, if it may be well, then two fresh ones.
  for (int fresh = worker_ == nullptr ? 1 : 0; fresh <= 2; ++fresh) {
    if (worker_ == nullptr && !(why = Renew()).empty()) continue;
    bool gone = false;
    why = Probe(Message::kProbeCopy, "", the_case, &gone);
    if (!why.empty() || gone) {
      worker_.reset();
      continue;
    }
    if (!ProbeOperator(the_case)) {
      worker_.reset();
      if (!(why = Renew()).empty()) continue;
    }
    return true;
  }
  lost_ = true;
  worker_.reset();
  on_incident_(fmt::format("the device is lost after {}: {}", the_case.Id(), why));
  return false;
}

IsolatedExecutor::Attempt IsolatedExecutor::TryAlone(const Case& the_case) {
  if (std::string why = Renew(); !why.empty()) {
    Attempt attempt{Unanswered(the_case), true, false, false};
    attempt.result.reason = std::move(why);
    return attempt;
  }
  return Try(the_case);
}

void IsolatedExecutor::Explain(const Case& the_case, const Case& predecessor, Result* result) {
  if (reruns_ >= kMostReruns) {
    result->reason += fmt::format("; not run again alone: {} cases have been", kMostReruns);
    return;
  }
  ++reruns_;
  const Attempt alone = TryAlone(the_case);
  if (!alone.cut && IsFailure(alone.result.outcome)) {
    if (alone.result.outcome != result->outcome) {
      result->reason += fmt::format("; run again alone, it ends as {}: {}",
                                    Name(alone.result.outcome), alone.result.reason);
    }
  } else if (!alone.cut) {
    Attempt after = TryAlone(predecessor);
    if (!after.died && !after.cut) after = Try(the_case);
    if (!after.cut && after.result.case_id == result->case_id && IsFailure(after.result.outcome)) {
      result->predecessor = predecessor.Id();
      result->reason = fmt::format(
          "order-dependent: passes alone, fails after {}, which corrupts what it "
          "needs; {}",
          result->predecessor, result->reason);
    } else {
      result->reason += "; not seen again: passes alone, and after the case before it";
    }
  }
  // Whatever these runs have left behind is no case's.
  worker_.reset();
  predecessor_.reset();
}

void IsolatedExecutor::Finish() {
  if (worker_ == nullptr) return;
  if (const auto fault = worker_->End(limits_); fault && !fault->from_outside) {
    on_incident_(fmt::format("a worker process did not end as it should: {}", fault->what));
  }
  worker_.reset();
}

}  // namespace normgrad
