// SPDX-License-Identifier: Apache-2.0
#include "commands.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "accuracy/standards.h"
#include "console.h"
#include "open_device.h"
#include "ops/describe.h"
#include "ops/operators.h"
#include "report/counted.h"
#include "report/json.h"
#include "run/host.h"
#include "run/selftest.h"
#include "selftest_record.h"

namespace normgrad {

int DescribeOperators(const Options& options) {
  if (options.standards) {
    WriteOutput(DescribeStandards());
    return 0;
  }
  std::vector<const Operator*> operators;
  for (const std::string& name : options.operators) operators.push_back(&FindOperator(name));
  if (operators.empty()) {
    operators.assign(AllOperators().begin(), AllOperators().end());
    Print("{}\n", DescribeSupport(operators));
  }
  for (std::size_t i = 0; i < operators.size(); ++i) {
    Print("{}{}", i > 0 ? "\n" : "", Describe(*operators[i]));
  }
  return 0;
}

int TestSelf(const Options& options) {
  const auto folder = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  const auto beside = [&](const char* path) { return (folder / path).lexically_normal().string(); };
  const DeviceLibrary library(
      options.device.empty() ? std::vector{beside("../lib/libnormgrad_faulty.so")} : options.device,
      options.instruction_set);
  const Device device = OpenDevice(library, options);
  if (options.list_faults) {
    WriteOutput(FaultList(FaultsOf(device)));
    return 0;
  }
  const WhoseSweep whose = !options.sweeps.empty()                 ? WhoseSweep::kUsers
                           : !options.selection.case_globs.empty() ? WhoseSweep::kPartOfOurs
                                                                   : WhoseSweep::kOurs;
  const Sweep sweep =
      LoadSweeps(whose == WhoseSweep::kUsers
                     ? options.sweeps
                     : std::vector{beside("../share/normgrad-bench/cases/suites/selftest.yaml")},
                 options.selection);
  RequireOperators(sweep, library);
  CheckOptions checks;
  checks.threads = 1;  // of small cases: more would only wait for each other
  device.SetThreads(2);
  SelftestReport report = RunSelftest(device, sweep.cases, checks,
                                      {.only_first_catch = options.first_catch_only,
                                       .standards = options.try_standards,
                                       .without = options.without_check,
                                       .only = options.fault});
  report.build = BuildId();
  WriteOutput(options.selftest_format == "md"     ? SelftestMarkdown(report, whose)
              : options.selftest_format == "json" ? SelftestJson(report)
                                                  : SelftestText(report, whose));
  if (!options.selftest_record.empty()) {
    WriteSelftestRecord(options.selftest_record, SelftestScore(report, whose));
  }
  return SelftestExitCode(report, whose);
}

int ShowDevices(const Options& options) {
  const DeviceLibrary library(DevicePaths(options), options.instruction_set);
  const Device device = OpenDevice(library, options);
  Print("library   {}\ndevice    {}: {}\n", PathsOf(library), options.device_id,
        Starting(library, [&] { return device.Description(); }));
  const bool any_product = library.api().set_product != nullptr;
  const Product* product = ProductOfSoc(device.SocName());
  Print("product   {}\n", any_product          ? "any: it can stand in for every product"
                          : product != nullptr ? product->key
                                               : "unknown to this tool");
  for (const Operator* op : AllOperators()) {
    Print("operator  {}: {}\n", op->api, library.Offers(*op) ? "offered" : "missing");
  }
  return 0;
}

}  // namespace normgrad
