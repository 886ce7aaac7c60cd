// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "options.h"

namespace normgrad {

/// The subcommands. Each prints to standard output and returns the process's exit code; what the
/// user must fix is thrown as Error.
int RunSweeps(const Options& options);
int ListCases(const Options& options);
int DescribeOperators(const Options& options);
int ShowDevices(const Options& options);

}  // namespace normgrad
