// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <exception>

#include <fmt/format.h>

#include "base/error.h"
#include "commands.h"
#include "options.h"

int main(int argc, char** argv) try {
  using normgrad::Options;
  const Options options = normgrad::ParseOptions(argc, argv);
  switch (options.command) {
    case Options::Command::kRun: return normgrad::RunSweeps(options);
    case Options::Command::kList: return normgrad::ListCases(options);
    case Options::Command::kDescribe: return normgrad::DescribeOperators(options);
    case Options::Command::kDevices: return normgrad::ShowDevices(options);
  }
} catch (const normgrad::Error& error) {
  fmt::print(stderr, "normgrad-bench: {}\n", error.what());
  return 2;
} catch (const std::exception& error) {
  fmt::print(stderr, "normgrad-bench: internal error: {}\n", error.what());
  return 70;  // EX_SOFTWARE: a bug of ours, none of the documented codes
}
