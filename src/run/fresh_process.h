// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace normgrad {

/// What a process had to say.
struct ProcessOutput {
  std::string text{};     // its standard output
  std::string failure{};  // why it is not to be trusted: "exit code 5", "signal 11"; empty if it is
};

/// Ends this process as soon as the one that started it does: nobody wants its answers any more.
void EndWithParent();

/// Runs this executable once more with `args` (without the program's name) and waits for its end.
/// Its standard error goes nowhere. One that is silent for `silence_seconds` is killed.
ProcessOutput RunSelf(const std::vector<std::string>& args, double silence_seconds);

}  // namespace normgrad
