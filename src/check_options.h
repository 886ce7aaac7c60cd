// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "checks/check.h"
#include "options.h"

namespace normgrad {

/// What the command line says about checks. Numbers of other processes come from workers, see
/// FreshProcess; `while_waiting` is called every few milliseconds while one of them is waited for.
CheckOptions CheckOptionsFrom(const Options& options, std::function<void()> while_waiting);

}  // namespace normgrad
