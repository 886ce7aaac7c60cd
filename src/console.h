// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace normgrad {

/// Writes to standard output; what goes wrong is FlushOutput()'s to tell.
void WriteOutput(std::string_view text);

template <typename... Args>
void Print(fmt::format_string<Args...> format, Args&&... args) {
  WriteOutput(fmt::format(format, std::forward<Args>(args)...));
}

/// Writes "normgrad-bench: <message>" to standard error, on one line and safe for a terminal
/// whatever the message quotes, behind all that was written to standard output.
void PrintError(std::string_view message);

/// Flushes standard output. Returns `exit_code`, or, where the output did not arrive, says so and
/// returns 2 if that is more serious.
int FlushOutput(int exit_code);

}  // namespace normgrad
