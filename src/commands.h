// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>

#include "options.h"

namespace normgrad {

/// A device failed before it was given a case: no case's outcome, and nothing that the user typed.
/// The message says which library and what it answered; exit code 5.
class StartError : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The subcommands. Each prints to standard output and returns the process's exit code; what the
/// user must fix is thrown as Error, a device that does not start as StartError.
int RunSweeps(const Options& options);
int ListCases(const Options& options);
/// `workspaces`: "<bytes> <case id>" for every legal call that phase 1 takes.
int PrintWorkspaces(const Options& options);
/// `hashes`: "<hash by default> <hash with ACL_OPT_DETERMINISTIC> <case id>" of the outputs of
/// every legal call that is asked about determinism.
int PrintHashes(const Options& options);

int DescribeOperators(const Options& options);
int ShowDevices(const Options& options);
/// `selftest`: which planted faults are caught, by what.
int TestSelf(const Options& options);

}  // namespace normgrad
