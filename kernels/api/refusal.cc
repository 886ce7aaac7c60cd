// SPDX-License-Identifier: Apache-2.0
#include "kernels/api/refusal.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <new>
#include <string>

#include "abi/acl_abi.h"
#include "abi/status.h"
#include "kernels/api/per_thread.h"
#include "ops/contract.h"

namespace normgrad {
namespace {

struct Messages {
  std::string pending;   // newest first, one per line
  std::string answered;  // what the last aclGetRecentErrMsg() points to
};

constexpr std::size_t kLongest = 4096;  // of pending: nobody may ever ask

std::atomic<MessageScope> message_scope = MessageScope::kThread;

Messages& MessagesOfThread() {
  static auto& all = *new PerThread<Messages>;  // outlives every thread
  return all.Get();
}

std::mutex process_mutex;  // guards MessagesOfProcess()
Messages& MessagesOfProcess() {
  static auto& messages = *new Messages;  // outlives every thread
  return messages;
}

// Calls use(messages) with the messages of the current scope, which no other thread is using.
template <typename Use>
auto WithMessages(Use use) {
  if (message_scope == MessageScope::kThread) return use(MessagesOfThread());
  const std::lock_guard lock(process_mutex);
  return use(MessagesOfProcess());
}

void Keep(std::string_view function, std::string_view message) {
  WithMessages([&](Messages& messages) {
    std::string& pending = messages.pending;
    pending = fmt::format("{}: {}{}{}", function, message, pending.empty() ? "" : "\n", pending);
    pending.resize(std::min(pending.size(), kLongest));
  });
}

}  // namespace

void SetMessageScope(MessageScope scope) { message_scope = scope; }

int Refuse(std::string_view function, int unexpected) noexcept {
  int status = unexpected;
  try {
    try {
      throw;
    } catch (const Refusal& refusal) {
      status = refusal.Status();
      Keep(function, refusal.what());
    } catch (const std::bad_alloc&) {
      status = ACL_ERROR_RT_MEMORY_ALLOCATION;
      Keep(function, "the host is out of memory");
    } catch (const std::exception& error) {
      Keep(function, error.what());
    } catch (...) {
      Keep(function, "unknown exception");
    }
  } catch (...) {
    return status;  // no memory for the message: the status has to do
  }
  return status;
}

int RefuseAcl(std::string_view function) noexcept {
  return Refuse(function, ACL_ERROR_INTERNAL_ERROR);
}

int RefuseAclnn(std::string_view function) noexcept { return Refuse(function, kAclnnInner); }

void RequirePointer(const void* pointer, std::string_view name) {
  if (pointer == nullptr) throw Refusal(ACL_ERROR_INVALID_PARAM, "{} is null", name);
}

void RequireAclnnPointer(const void* pointer, std::string_view name) {
  if (pointer == nullptr) throw Refusal(kAclnnParamNullptr, "{} is null", name);
}

}  // namespace normgrad

const char* aclGetRecentErrMsg() try {
  return normgrad::WithMessages([](normgrad::Messages& messages) -> const char* {
    if (messages.pending.empty()) return nullptr;
    messages.answered.swap(messages.pending);
    messages.pending.clear();
    return messages.answered.c_str();
  });
} catch (...) {
  return nullptr;
}
