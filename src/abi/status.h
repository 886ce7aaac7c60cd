// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

namespace normgrad {

/// Inner errors of aclnn functions, which no public header of CANN names; what callers do wrong is
/// in ops/contract.h. Source: CANN ops-nn, docs/zh/context/aclnn_return_code.md.
inline constexpr int kAclnnInner = 561000;
inline constexpr int kAclnnInnerTilingError = 561002;
inline constexpr int kAclnnInnerFindKernelError = 561003;
inline constexpr int kAclnnInnerNullptr = 561103;

/// The constant's name for a status of any acl, aclrt or aclnn function, e.g.
/// "ACLNN_ERR_PARAM_NULLPTR" for 161001; "unknown status" for a value that is not documented.
std::string_view StatusName(int status);

/// The inverse of StatusName(); empty for a name no status has.
std::optional<int> ParseStatus(std::string_view name);

}  // namespace normgrad
