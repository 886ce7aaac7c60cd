// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "abi/acl_abi.h"
#include "ops/operator.h"

namespace normgrad {

/// Phase 1 of every operator: checks the contract on the current product, sizes the workspace and
/// captures the call. `tensors` has one entry per param of `op`, in that order. Writes to
/// `*workspace_bytes` and `*executor` on success only.
aclnnStatus Prepare(const Operator& op, std::initializer_list<const aclTensor*> tensors,
                    std::uint64_t* workspace_bytes, aclOpExecutor** executor) noexcept;

/// Phase 2 of every operator: submits the call to `stream`. Consumes `executor` whatever it
/// returns, unless the executor is repeatable.
aclnnStatus Execute(const Operator& op, void* workspace, std::uint64_t workspace_bytes,
                    aclOpExecutor* executor, aclrtStream stream) noexcept;

/// The phases of an operator, called `api` in C, that this library has no kernel for. Phase 1
/// refuses with ACLNN_ERR_INNER_FIND_KERNEL_ERROR, so phase 2 never meets an executor it could
/// know.
aclnnStatus PrepareMissing(std::string_view api, const std::uint64_t* workspace_bytes,
                           aclOpExecutor* const* executor) noexcept;
aclnnStatus ExecuteMissing(std::string_view api, const aclOpExecutor* executor) noexcept;

}  // namespace normgrad
