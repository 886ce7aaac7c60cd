// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "run/executor.h"

namespace normgrad {

/// What is wrong with memory that goes to the device, is copied there and comes back; empty if
/// nothing is. Throws DeviceError.
std::string CopyComplaint(const Device& device);

/// A small call of the operator, product and dtypes of `the_case` on data whose results are known
/// to the bit; empty where its document allows none.
std::optional<Case> ProbeCaseOf(const Case& the_case);

}  // namespace normgrad
