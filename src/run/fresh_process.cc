// SPDX-License-Identifier: Apache-2.0
#include "run/fresh_process.h"

#include <utility>
#include <variant>

#include "base/error.h"

namespace normgrad {

FreshProcess::FreshProcess(std::vector<std::string> args, Limits limits,
                           std::function<void()> while_waiting)
    : args_(std::move(args)), limits_(limits), while_waiting_(std::move(while_waiting)) {}

FreshNumber FreshProcess::WorkspaceOf(const Case& the_case) {
  const CaseNumbers numbers = Ask(Message::kAskWorkspace, the_case, 1);
  if (numbers.values.empty()) return {{}, numbers.unknown};
  return {numbers.values.front(), ""};
}

FreshNumber FreshProcess::HashOf(const Case& the_case, bool deterministic) {
  if (std::string id = the_case.Id(); id != hashed_case_) {
    hashes_ = Ask(Message::kAskHashes, the_case, 2);
    hashed_case_ = std::move(id);
  }
  if (hashes_.values.empty()) return {{}, hashes_.unknown};
  return {hashes_.values[deterministic ? 1 : 0], ""};
}

CaseNumbers FreshProcess::Ask(Message question, const Case& the_case, std::size_t numbers) {
  std::variant<Frame, Fault> reply = AskOnce(question, the_case);
  const auto* killed = std::get_if<Fault>(&reply);
  if (killed != nullptr && killed->from_outside) {
    // By somebody else: that is no answer of the device.
    process_.reset();
    reply = AskOnce(question, the_case);
  }
  CaseNumbers answer;
  try {
    if (const auto* fault = std::get_if<Fault>(&reply)) throw Error("{}", fault->what);
    const Frame& frame = std::get<Frame>(reply);
    if (frame.message != Message::kNumbers) throw Error("{}", frame.payload);
    answer = DecodeCaseNumbers(frame.payload);
    if (answer.unknown.empty() && answer.values.size() != numbers) throw Error("it talks nonsense");
  } catch (const Error& error) {
    process_.reset();
    return {{}, error.what()};
  }
  return answer;
}

std::variant<Frame, Fault> FreshProcess::AskOnce(Message question, const Case& the_case) {
  if (questions_ >= kQuestions) process_.reset();
  const bool is_new = process_ == nullptr;
  if (is_new) {
    process_ = std::make_unique<WorkerProcess>(args_);
    questions_ = 0;
  }
  ++questions_;
  const auto wait = [this](const Pulse&) { while_waiting_(); };
  std::variant<Frame, Fault> reply =
      is_new ? process_->Greeting(limits_, wait) : std::variant<Frame, Fault>(Frame());
  const auto* greeting = std::get_if<Frame>(&reply);
  if (greeting == nullptr || greeting->message != Message::kReady) return reply;
  return process_->Ask(question, Encode(the_case), StorageBytes(the_case), limits_, wait);
}

}  // namespace normgrad
