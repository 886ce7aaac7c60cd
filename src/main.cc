// SPDX-License-Identifier: Apache-2.0
#include <exception>
#include <string>

#include "base/error.h"
#include "commands.h"
#include "console.h"
#include "device/device.h"
#include "options.h"

namespace normgrad {
namespace {

int Run(const Options& options) {
  switch (options.command) {
    case Options::Command::kRun: return RunSweeps(options);
    case Options::Command::kPlan: return PrintPlan(options);
    case Options::Command::kReport: return RebuildReports(options);
    case Options::Command::kMerge: return MergeShards(options);
    case Options::Command::kWorker: return ServeAsWorker(options);
    case Options::Command::kDescribe: return DescribeOperators(options);
    case Options::Command::kDevices: return ShowDevices(options);
    case Options::Command::kSelftest: return TestSelf(options);
    case Options::Command::kRoofline: return ShowRoofline(options);
    case Options::Command::kNone: return 0;
  }
  return 0;
}

}  // namespace
}  // namespace normgrad

int main(int argc, char** argv) try {
  return normgrad::FlushOutput(normgrad::Run(normgrad::ParseOptions(argc, argv)));
} catch (const normgrad::Error& error) {
  normgrad::PrintError(error.what());
  return 2;
} catch (const normgrad::StartError& error) {
  normgrad::PrintError(error.what());
  return 5;
} catch (const std::exception& error) {
  normgrad::PrintError(std::string("internal error: ") + error.what());
  return 70;  // EX_SOFTWARE: a bug of ours, none of the documented codes
}
