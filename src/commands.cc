// SPDX-License-Identifier: Apache-2.0
#include "commands.h"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <unordered_map>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "console.h"
#include "ops/describe.h"
#include "ops/operators.h"
#include "progress.h"
#include "report/counted.h"
#include "report/escape.h"
#include "report/report_files.h"
#include "report/summary.h"
#include "report/totals.h"
#include "run/fresh_process.h"
#include "run/host.h"
#include "run/run.h"
#include "version.h"

namespace normgrad {
namespace {

// A signal handler can reach nothing else.
std::atomic<bool> interrupted = false;
static_assert(std::atomic<bool>::is_always_lock_free);

/// Ends the run after the current case, says so, and lets the next signal end the process.
void OnFirstSignal(int /*signal*/) {
  static constexpr std::string_view kText =
      "\nnormgrad-bench: stopping after this case; interrupt again to stop at once\n";
  const int before = errno;
  interrupted = true;
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
  // Nothing can be done about a terminal that is gone.
  static_cast<void>(::write(STDERR_FILENO, kText.data(), kText.size()) == 0);
  errno = before;
}

/// The first signal ends the run after the current case; a second one ends the process at once,
/// which leaves valid reports too. A full disk or a closed pipe are errors of the writes
/// concerned, not the end of the process.
void HandleSignals() {
  struct sigaction action {};
  action.sa_handler = OnFirstSignal;
  action.sa_flags = static_cast<int>(SA_RESTART);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  std::signal(SIGXFSZ, SIG_IGN);
  std::signal(SIGPIPE, SIG_IGN);
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

/// The same for two runs that start in the same second: ReportFiles tells them apart.
std::string DefaultReportFolder(const Options& options) {
  const std::string stem = std::filesystem::path(options.sweeps.front()).stem().string();
  return fmt::format("reports/{}-{:%Y%m%d-%H%M%S}", stem, fmt::gmtime(std::time(nullptr)));
}

std::string UtcNow() {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
}

std::string PathsOf(const DeviceLibrary& library) {
  return fmt::format("{}", fmt::join(library.paths(), ","));
}

/// Runs a step before the first case. A device that fails in it does not start.
template <typename Step>
auto Starting(const DeviceLibrary& library, Step step) {
  try {
    return step();
  } catch (const DeviceError& error) {
    throw StartError(
        fmt::format("{}: the device does not start: {}", PathsOf(library), error.what()));
  }
}

Device OpenDevice(const DeviceLibrary& library, const Options& options) {
  return Starting(library,
                  [&] { return Device(library, options.device_id, options.timeout_seconds); });
}

RunInfo Describe(const Options& options, const CheckOptions& checks, const Sweep& sweep,
                 const Device& device) {
  RunInfo info;
  info.tool_version = kVersion;
  info.started_utc = UtcNow();
  info.command_line = options.command_line;
  info.sweeps = sweep.files;
  info.device_library = PathsOf(device.library());
  info.device_description = device.Description();
  info.host = HostDescription();
  info.profile = Name(checks.profile);
  info.repeats = static_cast<std::uint64_t>(checks.repeats);
  info.threads = checks.threads;
  info.timeout_seconds = options.timeout_seconds;
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

/// What phase 1 asks for in another process, which is started when the first case wants to know.
class FreshWorkspaces {
 public:
  explicit FreshWorkspaces(const Options& options)
      : args_(WorkspacesArgs(options)), silence_seconds_(options.timeout_seconds) {}

  FreshBytes Of(const Case& the_case) {
    if (!asked_) Ask();
    const auto found = bytes_.find(the_case.Id());
    if (found != bytes_.end()) return {found->second, ""};
    return {{}, failure_.empty() ? "it had no answer" : failure_};
  }

 private:
  void Ask() {
    asked_ = true;
    const ProcessOutput output = RunSelf(args_, silence_seconds_);
    failure_ = output.failure;
    std::istringstream lines(output.text);
    std::uint64_t bytes = 0;
    for (std::string id; lines >> bytes >> id;) bytes_.emplace(std::move(id), bytes);
  }

  std::vector<std::string> args_;
  double silence_seconds_;
  bool asked_ = false;
  std::string failure_;
  std::unordered_map<std::string, std::uint64_t> bytes_;  // by case id
};

CheckOptions ChecksFrom(const Options& options) {
  CheckOptions checks;
  checks.threads = options.threads != 0 ? options.threads : UsableCores();
  checks.repeats = options.repeats;
  checks.profile = options.profile;
  checks.timer = [](const std::string& name, const std::function<double()>& sample) {
    return MeasureRepeated({}, name, sample);
  };
  checks.fresh_workspace = [fresh = std::make_shared<FreshWorkspaces>(options)](
                               const Case& the_case) { return fresh->Of(the_case); };
  return checks;
}

}  // namespace

int RunSweeps(const Options& options) {
  // Everything the user may have got wrong comes first; the reports are opened last, so that
  // nothing half-written is left behind.
  const Sweep sweep = LoadSweeps(options.sweeps, options.selection);
  const DeviceLibrary library(DevicePaths(options));
  RequireOperators(sweep, library);
  const Device device = OpenDevice(library, options);
  const CheckOptions checks = ChecksFrom(options);
  RunInfo info = Starting(library, [&] {
    device.SetThreads(options.threads);
    return Describe(options, checks, sweep, device);
  });
  HandleSignals();
  const bool by_default = options.report_folder.empty();
  ReportFiles reports(by_default ? DefaultReportFolder(options) : options.report_folder,
                      options.formats, std::move(info),
                      by_default ? IfFolderExists::kTakeAnother : IfFolderExists::kReplaceReports);

  spdlog::logger log = MakeLogger(options);
  {
    // Between the lines of a log there is no place for a line that is rewritten.
    ProgressPrinter progress(sweep.cases.size(), options.quiet || options.verbose);
    InProcessExecutor executor(device, checks, [&](const Case& the_case, std::string_view check) {
      progress.OnCheck(the_case.Id(), check);
      log.debug("{}: {}", the_case.Id(), check);
    });
    RunCases(sweep.cases, executor,
             {.interrupted = [] { return interrupted.load(); },
              .on_result =
                  [&](Result result) {
                    result.rerun = RerunCommand(options, result.case_id);
                    reports.Add(result);
                    progress.OnResult(result);
                    log.debug("{}: {} {}", result.case_id, Name(result.outcome),
                              OneLine(result.reason));
                  }});
  }
  reports.Finish(UtcNow());
  WriteOutput(Summary(reports.overview(), reports.paths()));
  const int exit_code = ExitCode(reports.overview().totals());
  if (device.lost()) std::_Exit(FlushOutput(exit_code));
  return exit_code;
}

int ListCases(const Options& options) {
  const Sweep sweep = LoadSweeps(options.sweeps, options.selection);
  if (!options.quiet) {
    for (const Case& the_case : sweep.cases) {
      Print("{}  {}\n", the_case.Id(), fmt::join(the_case.checks, ","));
    }
    WriteOutput("\n");
  }
  std::uint64_t checks = 0;
  for (const Case& the_case : sweep.cases) checks += the_case.checks.size();
  Print("{}: {} with {}, {} dropped\n", Counted(sweep.combinations, "combination"),
        Counted(sweep.cases.size(), "case"), Counted(checks, "check"),
        sweep.combinations - sweep.cases.size());
  for (const Drop& drop : sweep.drops) {
    Print("  {} dropped by {}: {}\n      e.g. {}\n", drop.count, drop.source, drop.reason,
          drop.example);
  }
  return 0;
}

int PrintWorkspaces(const Options& options) {
  const Sweep sweep = LoadSweeps(options.sweeps, options.selection);
  const DeviceLibrary library(DevicePaths(options));
  RequireOperators(sweep, library);
  const Device device = OpenDevice(library, options);
  for (const Case& the_case : sweep.cases) {
    if (the_case.expectation) continue;
    try {
      if (!device.Become(the_case.product)) continue;
      Print("{} {}\n", WorkspaceBytesOf(the_case, device), the_case.Id());
    } catch (const DeviceError&) {
      // A refusal is for `run` to judge.
      continue;
    }
  }
  return 0;
}

int DescribeOperators(const Options& options) {
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

int ShowDevices(const Options& options) {
  const DeviceLibrary library(DevicePaths(options));
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
