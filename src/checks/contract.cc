// SPDX-License-Identifier: Apache-2.0
// Do both phases answer as documented, to right calls and to wrong ones?
#include <algorithm>

#include <fmt/format.h>

#include "abi/status.h"
#include "checks/check.h"

namespace normgrad {
namespace {

std::string StatusText(int status) { return fmt::format("{} ({})", status, StatusName(status)); }

Answer Failed(std::string reason, std::optional<int> status = {}) {
  return {Outcome::kFailed, std::move(reason), status};
}

/// Owns what phase 1 left behind until phase 2 consumes it.
class PhaseOneReply {
 public:
  explicit PhaseOneReply(const CaseRun& run, bool give_bytes = true, bool give_executor = true) {
    aclOpExecutor* executor = nullptr;
    reply_ = run.TryPhaseOne(give_bytes ? &bytes_ : nullptr, give_executor ? &executor : nullptr);
    executor_ = run.device().Own(executor);
    has_executor_ = executor != nullptr;
    // What a refusal leaves there is nobody's to destroy.
    if (reply_.status != 0) static_cast<void>(executor_.release());
  }

  int status() const { return reply_.status; }
  const std::string& message() const { return reply_.message; }
  std::uint64_t bytes() const { return bytes_; }
  bool HasExecutor() const { return has_executor_; }

  /// The executor, now phase 2's.
  aclOpExecutor* Release() { return executor_.release(); }

 private:
  std::uint64_t bytes_ = 0;
  Reply reply_;
  DeviceExecutor executor_;
  bool has_executor_ = false;
};

/// A person must be able to read it: some text, no control characters.
bool IsReadable(const std::string& message) {
  return !message.empty() && std::ranges::none_of(message, [](unsigned char c) {
    return (c < 0x20 && c != '\n' && c != '\t') || c == 0x7F;
  });
}

/// Empty when `status` is what a phase must answer to a wrong call, with a message.
std::string Refusal(std::string_view what, int expected, int status, const std::string& message) {
  if (status == 0) return fmt::format("{} was accepted, expected {}", what, StatusText(expected));
  if (status != expected) {
    return fmt::format("{} returned {}, expected {}", what, StatusText(status),
                       StatusText(expected));
  }
  if (!IsReadable(message)) {
    return fmt::format("{} returned {} without a readable aclGetRecentErrMsg()", what,
                       StatusText(status));
  }
  return "";
}

/// Phase 2 with what it must not take. `wrong` is what is wrong about the call.
std::string CheckWrongPhaseTwo(CaseRun& run, std::string_view wrong, int expected,
                               std::byte* workspace, std::uint64_t bytes, aclOpExecutor* executor) {
  const Reply reply = run.TryPhaseTwo(workspace, bytes, executor);
  std::string complaint =
      Refusal(fmt::format("phase 2 with {}", wrong), expected, reply.status, reply.message);
  run.device().Synchronize();
  if (!complaint.empty()) return complaint;
  if (const auto change = run.AnyChange()) {
    return fmt::format("phase 2 with {} was refused and yet {}", wrong, *change);
  }
  return "";
}

/// The rules of phase 2, and those of workspace sizes, on a call that is right.
Answer CheckRightCall(CaseRun& run, const CheckOptions& options) {
  run.device().SetDeterministic(false);
  run.Reset(Poison::kFirst);
  PhaseOneReply first(run), second(run), third(run);
  for (const PhaseOneReply* reply : {&first, &second, &third}) {
    if (reply->status() != 0) {
      return Failed(fmt::format("phase 1 returned {} to a documented call: {}",
                                StatusText(reply->status()), reply->message()),
                    reply->status());
    }
    if (!reply->HasExecutor()) return Failed("phase 1 succeeded and gave no executor");
    if (reply->bytes() != first.bytes()) {
      return Failed(fmt::format("phase 1 asked for a workspace of {} bytes, then for {}",
                                first.bytes(), reply->bytes()));
    }
  }
  const std::uint64_t bytes = first.bytes();
  Answer answer;
  if (options.fresh_workspace) {
    const FreshNumber fresh = options.fresh_workspace(run.the_case());
    if (fresh.value && *fresh.value != bytes) {
      return Failed(fmt::format("phase 1 asks for a workspace of {} bytes, in another process {}",
                                bytes, *fresh.value));
    }
    if (!fresh.value) {
      answer.reason =
          fmt::format("workspace not compared with another process's: {}", fresh.unknown);
    }
  }
  std::optional<GuardedBuffer> workspace;
  if (bytes > 0) {
    workspace.emplace(run.device(), bytes);
    workspace->WritePoison(Poison::kFirst);
  }
  std::byte* const scratch = workspace ? workspace->data() : nullptr;

  std::string wrong =
      CheckWrongPhaseTwo(run, "a null executor", kAclnnParamNullptr, scratch, bytes, nullptr);
  if (wrong.empty() && bytes > 0) {
    wrong = CheckWrongPhaseTwo(run, "a null workspace", kAclnnParamNullptr, nullptr, bytes,
                               first.Release());
  }
  if (wrong.empty() && bytes > 0) {
    wrong = CheckWrongPhaseTwo(run, "a workspace one byte short", kAclnnParamInvalid, scratch,
                               bytes - 1, second.Release());
  }
  if (!wrong.empty()) return Failed(wrong);

  aclOpExecutor* const executor = third.Release();
  const Reply right = run.TryPhaseTwo(scratch, bytes, executor);
  if (right.status != 0) {
    return Failed(fmt::format("phase 2 returned {} to a documented call: {}",
                              StatusText(right.status), right.message));
  }
  run.device().Synchronize();
  if (workspace) {
    if (const auto damage = workspace->Damage()) {
      return Failed(
          fmt::format("a workspace of exactly {} bytes is not enough: {}", bytes, damage->text));
    }
  }
  const Reply again = run.TryPhaseTwo(scratch, bytes, executor);
  run.device().Synchronize();
  if (again.status == 0) return Failed("phase 2 took an executor that it had consumed");
  return answer;
}

/// A call that phase 1 must refuse, or accept against appearances.
Answer CheckUnusualCall(CaseRun& run, const Expectation& expectation) {
  run.device().SetDeterministic(false);
  run.Reset(Poison::kFirst);
  const Changes& changes = run.the_case().changes;
  PhaseOneReply reply(run, !changes.contains("workspaceSize"), !changes.contains("executor"));
  if (!expectation.AcceptsStatus(reply.status())) {
    return Failed(
        fmt::format(
            "phase 1 returned {}, expected {}: {}{}", StatusText(reply.status()),
            expectation.status ? StatusText(*expectation.status) : "any refusal",
            expectation.because,
            reply.message().empty() ? "" : fmt::format(" (the device says: {})", reply.message())),
        reply.status());
  }
  if (reply.status() != 0) {
    if (!IsReadable(reply.message())) {
      return Failed(fmt::format("phase 1 returned {} without a readable aclGetRecentErrMsg(): {}",
                                StatusText(reply.status()), expectation.because));
    }
    if (reply.HasExecutor()) return Failed("phase 1 refused and yet gave an executor");
    run.device().Synchronize();
    if (const auto change = run.AnyChange()) {
      return Failed(fmt::format("phase 1 refused and yet {}", *change));
    }
    return {};
  }
  std::optional<GuardedBuffer> workspace;
  if (reply.bytes() > 0) {
    workspace.emplace(run.device(), reply.bytes());
    workspace->WritePoison(Poison::kFirst);
  }
  const Reply second =
      run.TryPhaseTwo(workspace ? workspace->data() : nullptr, reply.bytes(), reply.Release());
  if (second.status != 0) {
    return Failed(fmt::format("phase 2 returned {} to a documented call: {}: {}",
                              StatusText(second.status), second.message, expectation.because));
  }
  run.device().Synchronize();
  const auto damage = run.Damage();
  if (!damage.empty()) return Failed(damage.front());
  return {};
}

/// Runs the legal call of a case that is not, and judges it.
Answer MakeLegalCall(const CaseRun& run, const CheckOptions& options) {
  const Case& legal = *run.the_case().legal;
  CaseRun legal_run(legal, run.device(), options.fill(legal));
  Result ignored;
  return CheckAccuracy(legal_run, options, &ignored);
}

/// Whether the legal call passed when it was made for the first time, before any call that must be
/// refused.
bool LegalCallPassesAnyway(const CaseRun& run, const CheckOptions& options) {
  if (options.legal_calls == nullptr) return true;
  const auto [found, is_new] = options.legal_calls->try_emplace(run.the_case().legal->Id(), false);
  if (is_new) found->second = MakeLegalCall(run, options).outcome == Outcome::kPassed;
  return found->second;
}

}  // namespace

Answer CheckContract(CaseRun& run, const CheckOptions& options, Result* result) {
  const Case& the_case = run.the_case();
  if (!the_case.expectation) return CheckRightCall(run, options);
  if (const auto violation = ViolationOf(the_case)) result->rule = violation->rule;
  const bool follow = the_case.legal != nullptr && LegalCallPassesAnyway(run, options);
  Answer answer = CheckUnusualCall(run, *the_case.expectation);
  if (answer.outcome != Outcome::kPassed || the_case.legal == nullptr) return answer;
  if (!follow) {
    answer.reason = "a legal call was not asked for afterwards: it fails on its own, too";
    return answer;
  }
  answer = MakeLegalCall(run, options);
  if (answer.outcome != Outcome::kPassed) {
    answer.reason = fmt::format("after it, a legal call: {}", answer.reason);
  }
  return answer;
}

}  // namespace normgrad
