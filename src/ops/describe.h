// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "ops/operator.h"

namespace normgrad {

/// The contract of `op` as text for a terminal: formula, parameters, supporting products, dtype
/// rows, rules, status codes, determinism, source.
std::string Describe(const Operator& op);

}  // namespace normgrad
