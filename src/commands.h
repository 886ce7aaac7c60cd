// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "options.h"

namespace normgrad {

/// The subcommands. Each prints to standard output and returns the process's exit code; what the
/// user must fix is thrown as Error, a device that does not start as StartError.
int RunSweeps(const Options& options);
/// `plan`, and `run --dry-run`: every question, what it is estimated to take, the plan's hash, and
/// what was dropped and why.
int PrintPlan(const Options& options);
/// `report`: the reports of a run, anew from its journal; the exit code is the run's.
int RebuildReports(const Options& options);
/// `merge`: one journal and its reports from those of every shard; the exit code is the whole
/// run's.
int MergeShards(const Options& options);
/// `worker`: answers the requests of another process of this executable.
int ServeAsWorker(const Options& options);

int DescribeOperators(const Options& options);
int ShowDevices(const Options& options);
/// `selftest`: which planted faults are caught, by what.
int TestSelf(const Options& options);
/// `roofline`: what memory and caches of this machine can do, as kept or measured.
int ShowRoofline(const Options& options);

}  // namespace normgrad
