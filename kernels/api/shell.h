// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <initializer_list>
#include <variant>

#include "abi/acl_abi.h"
#include "ops/operator.h"

namespace normgrad {

/// One argument of a phase-1 function.
using CArg = std::variant<const aclTensor*, const aclIntArray*, const aclBoolArray*, std::int64_t>;

/// Phase 1 of every operator: checks the contract on the current product, sizes the workspace and
/// captures the call. `args` has one entry per param of `op`, in that order. Writes to
/// `*workspace_bytes` and `*executor` on success only.
aclnnStatus Prepare(const Operator& op, std::initializer_list<CArg> args,
                    std::uint64_t* workspace_bytes, aclOpExecutor** executor) noexcept;

/// Phase 2 of every operator: submits the call to `stream`. Consumes `executor` whatever it
/// returns, unless the executor is repeatable.
aclnnStatus Execute(const Operator& op, void* workspace, std::uint64_t workspace_bytes,
                    aclOpExecutor* executor, aclrtStream stream) noexcept;

}  // namespace normgrad
