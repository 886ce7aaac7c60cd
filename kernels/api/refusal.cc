// SPDX-License-Identifier: Apache-2.0
#include "kernels/api/refusal.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <new>
#include <string>

#include <unistd.h>

#include "abi/acl_abi.h"
#include "abi/status.h"

namespace normgrad {
namespace {

// What each thread has to say, by kernel thread id. Not thread_local: gcc 12's LeakSanitizer
// crashes on thread-local objects of a dlopened library. Not by pthread id: a new thread soon gets
// an old one's.
struct Messages {
  std::string pending;   // newest first, one per line
  std::string answered;  // what the last aclGetRecentErrMsg() of this thread points to
};

constexpr std::size_t kLongest = 4096;  // of pending: nobody may ever ask

std::mutex messages_mutex;

std::map<pid_t, Messages>& AllMessages() {
  static auto& all = *new std::map<pid_t, Messages>;  // outlives every thread
  return all;
}

void Keep(std::string_view function, std::string_view message) {
  const std::lock_guard lock(messages_mutex);
  std::string& pending = AllMessages()[gettid()].pending;
  pending = fmt::format("{}: {}{}{}", function, message, pending.empty() ? "" : "\n", pending);
  pending.resize(std::min(pending.size(), kLongest));
}

}  // namespace

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

extern "C" const char* aclGetRecentErrMsg() try {
  const std::lock_guard lock(normgrad::messages_mutex);
  const auto found = normgrad::AllMessages().find(gettid());
  if (found == normgrad::AllMessages().end() || found->second.pending.empty()) return nullptr;
  auto& [pending, answered] = found->second;
  answered.swap(pending);
  pending.clear();
  return answered.c_str();
} catch (...) {
  return nullptr;
}
