// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>

#include "ops/operator.h"

namespace normgrad {

/// The contract of `op` as text for a terminal: formula, parameters, supporting products, dtype
/// rows, rules, status codes, determinism, source.
std::string Describe(const Operator& op);

/// Which products support which of `operators`, with how many dtype combinations: one line per
/// product, "-" for unsupported.
std::string DescribeSupport(std::span<const Operator* const> operators);

}  // namespace normgrad
