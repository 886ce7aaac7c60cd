// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "options.h"

namespace normgrad {

/// The subcommands. Each prints to standard output and returns the process's exit code; what the
/// user must fix is thrown as Error, a device that does not start as StartError.
int RunSweeps(const Options& options);
int ListCases(const Options& options);
/// `worker`: answers the requests of another process of this executable.
int ServeAsWorker(const Options& options);

int DescribeOperators(const Options& options);
int ShowDevices(const Options& options);
/// `selftest`: which planted faults are caught, by what.
int TestSelf(const Options& options);

}  // namespace normgrad
