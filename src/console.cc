// SPDX-License-Identifier: Apache-2.0
#include "console.h"

#include <cerrno>
#include <cstdio>
#include <string>
#include <system_error>

#include "report/escape.h"
#include "report/totals.h"

namespace normgrad {
namespace {

// errno of the first write that failed. A later flush, with nothing left to write, would succeed.
int first_failure = 0;

void Flush() {
  if (std::fflush(stdout) != 0 && first_failure == 0) first_failure = errno;
}

}  // namespace

void WriteOutput(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) < text.size() && first_failure == 0) {
    first_failure = errno;
  }
}

void PrintError(std::string_view message) {
  // Where both streams go to one place, what has been said so far stands before it.
  Flush();
  std::fputs(("normgrad-bench: " + OneLine(message) + "\n").c_str(), stderr);
}

int FlushOutput(int exit_code) {
  Flush();
  if (first_failure == 0) return exit_code;
  PrintError("standard output: cannot be written: " +
             std::generic_category().message(first_failure));
  return MoreSeriousExitCode(exit_code, 2);
}

}  // namespace normgrad
