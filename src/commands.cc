// SPDX-License-Identifier: Apache-2.0
#include "commands.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <set>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "base/error.h"
#include "ops/describe.h"
#include "ops/operators.h"
#include "progress.h"
#include "report/report_files.h"
#include "report/summary.h"
#include "report/totals.h"
#include "run/host.h"
#include "run/run.h"
#include "version.h"

namespace normgrad {
namespace {

// A signal handler can reach nothing else.
std::atomic<bool> interrupted = false;
static_assert(std::atomic<bool>::is_always_lock_free);

/// The first signal ends the run after the current case; a second one ends the process at once,
/// which leaves valid reports too.
void StopOnSignals() {
  struct sigaction action {};
  action.sa_handler = [](int) { interrupted = true; };
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

spdlog::logger MakeLogger(const Options& options) {
  spdlog::logger logger("normgrad-bench", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger.set_pattern("%H:%M:%S %v");
  logger.set_level(options.verbose ? spdlog::level::debug
                   : options.quiet ? spdlog::level::err
                                   : spdlog::level::info);
  return logger;
}

/// The CPU device lies beside the executable, in ../lib, in a build tree as once installed.
std::vector<std::string> DevicePaths(const Options& options) {
  if (!options.device.empty()) return options.device;
  const auto folder = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  return {(folder / "../lib/libnormgrad_cpu.so").lexically_normal().string()};
}

std::string ReportFolder(const Options& options, std::time_t now) {
  if (!options.report_folder.empty()) return options.report_folder;
  const std::string stem = std::filesystem::path(options.sweeps.front()).stem().string();
  return fmt::format("reports/{}-{:%Y%m%d-%H%M%S}", stem, fmt::gmtime(now));
}

RunInfo Describe(const Options& options, const Sweep& sweep, const Device& device,
                 std::time_t now) {
  RunInfo info;
  info.tool_version = kVersion;
  info.started_utc = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(now));
  info.command_line = options.command_line;
  info.sweeps = sweep.files;
  info.device_library = fmt::format("{}", fmt::join(device.library().paths(), ","));
  info.device_description = device.Description();
  info.host = HostDescription();
  info.planned_cases = sweep.cases.size();
  for (const Case& the_case : sweep.cases) info.planned_checks += the_case.checks.size();
  for (const Drop& drop : sweep.drops) info.dropped_combinations += drop.count;
  return info;
}

/// Fails now, not in the middle of a run, when the library lacks an operator of the sweep.
void RequireOperators(const Sweep& sweep, const DeviceLibrary& library) {
  std::set<const Operator*> operators;
  for (const Case& the_case : sweep.cases) operators.insert(the_case.op);
  for (const Operator* op : operators) library.Bind(*op);
}

CheckOptions ChecksFrom(const Options& options) {
  CheckOptions checks;
  checks.threads = options.threads != 0 ? options.threads : UsableCores();
  checks.repeats = options.repeats;
  checks.profile = options.profile;
  checks.timer = [](const std::string& name, const std::function<double()>& sample) {
    return MeasureRepeated({}, name, sample);
  };
  return checks;
}

}  // namespace

int RunSweeps(const Options& options) {
  // Everything the user may have got wrong comes first; the reports are opened last, so that
  // nothing half-written is left behind.
  const Sweep sweep = LoadSweeps(options.sweeps, options.selection);
  const DeviceLibrary library(DevicePaths(options));
  RequireOperators(sweep, library);
  const Device device(library, options.device_id, options.timeout_seconds);
  device.SetThreads(options.threads);
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  ReportFiles reports(ReportFolder(options, now), options.formats,
                      Describe(options, sweep, device, now));

  spdlog::logger log = MakeLogger(options);
  Totals totals = Totals::Of(reports.overview().info());
  StopOnSignals();
  {
    ProgressPrinter progress(sweep.cases.size(), options.quiet);
    InProcessExecutor executor(device, ChecksFrom(options),
                               [&](const Case& the_case, std::string_view check) {
                                 progress.OnCheck(the_case.Id(), check);
                                 log.debug("{}: {}", the_case.Id(), check);
                               });
    RunCases(sweep.cases, executor,
             {.interrupted = [] { return interrupted.load(); },
              .on_result =
                  [&](Result result) {
                    result.rerun = RerunCommand(options, result.case_id);
                    totals.Add(result);
                    reports.Add(result);
                    progress.OnResult(result);
                    log.debug("{}: {} {}", result.case_id, Name(result.outcome), result.reason);
                  }});
  }
  reports.Finish(totals);
  fmt::print("{}", Summary(reports.overview(), reports.paths()));
  if (device.lost()) {
    std::fflush(stdout);
    std::_Exit(ExitCode(totals));
  }
  return ExitCode(totals);
}

int ListCases(const Options& options) {
  const Sweep sweep = LoadSweeps(options.sweeps, options.selection);
  if (!options.quiet) {
    for (const Case& the_case : sweep.cases) {
      fmt::print("{}  {}\n", the_case.Id(), fmt::join(the_case.checks, ","));
    }
    fmt::print("\n");
  }
  std::uint64_t checks = 0;
  for (const Case& the_case : sweep.cases) checks += the_case.checks.size();
  fmt::print("{} combinations: {} cases with {} checks, {} dropped\n", sweep.combinations,
             sweep.cases.size(), checks, sweep.combinations - sweep.cases.size());
  for (const Drop& drop : sweep.drops) {
    fmt::print("  {} dropped by {}: {}\n      e.g. {}\n", drop.count, drop.source, drop.reason,
               drop.example);
  }
  return 0;
}

int DescribeOperators(const Options& options) {
  std::vector<const Operator*> operators;
  for (const std::string& name : options.operators) operators.push_back(&FindOperator(name));
  if (operators.empty()) operators.assign(AllOperators().begin(), AllOperators().end());
  for (std::size_t i = 0; i < operators.size(); ++i) {
    fmt::print("{}{}", i > 0 ? "\n" : "", Describe(*operators[i]));
  }
  return 0;
}

int ShowDevices(const Options& options) {
  const DeviceLibrary library(DevicePaths(options));
  const Device device(library, options.device_id, options.timeout_seconds);
  fmt::print("library   {}\ndevice    {}: {}\n", fmt::join(library.paths(), ","), options.device_id,
             device.Description());
  const bool any_product = library.api().set_product != nullptr;
  const Product* product = ProductOfSoc(device.SocName());
  fmt::print("product   {}\n", any_product          ? "any: it can stand in for every product"
                               : product != nullptr ? product->key
                                                    : "unknown to this tool");
  for (const Operator* op : AllOperators()) {
    fmt::print("operator  {}: {}\n", op->api, library.Offers(*op) ? "offered" : "missing");
  }
  return 0;
}

}  // namespace normgrad
