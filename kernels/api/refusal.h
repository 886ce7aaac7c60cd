// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace normgrad {

/// A call this library refuses: thrown anywhere below an exported function, turned into the
/// function's status and a message for aclGetRecentErrMsg() by Refuse().
class Refusal : public std::runtime_error {
 public:
  template <typename... Args>
  explicit Refusal(int status, fmt::format_string<Args...> format, Args&&... args)
      : std::runtime_error(fmt::format(format, std::forward<Args>(args)...)), status_(status) {}

  int Status() const { return status_; }

 private:
  int status_;
};

/// Whose messages aclGetRecentErrMsg() tells: the calling thread's, or those of every thread.
enum class MessageScope { kThread, kProcess };

/// Holds from now on, for the whole process; kThread until called.
void SetMessageScope(MessageScope scope);

/// Inside a catch block: keeps "<function>: <message>" of the current exception for the next
/// aclGetRecentErrMsg() and returns its status. Anything that is not a Refusal is
/// `unexpected`, std::bad_alloc ACL_ERROR_RT_MEMORY_ALLOCATION.
int Refuse(std::string_view function, int unexpected) noexcept;

/// Refuse() for functions of acl/: ACL_ERROR_INTERNAL_ERROR is the unexpected.
int RefuseAcl(std::string_view function) noexcept;

/// Refuse() for functions of aclnn/ and aclnnop/: ACLNN_ERR_INNER is the unexpected.
int RefuseAclnn(std::string_view function) noexcept;

/// Throws ACL_ERROR_INVALID_PARAM when `pointer`, called `name` in the header, is null.
void RequirePointer(const void* pointer, std::string_view name);

/// As RequirePointer(), for aclnn functions: ACLNN_ERR_PARAM_NULLPTR.
void RequireAclnnPointer(const void* pointer, std::string_view name);

}  // namespace normgrad
