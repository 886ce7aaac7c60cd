// SPDX-License-Identifier: Apache-2.0
#include "commands.h"

#include <algorithm>
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

#include "accuracy/standards.h"
#include "console.h"
#include "golden/self_check.h"
#include "ops/describe.h"
#include "ops/operators.h"
#include "progress.h"
#include "report/counted.h"
#include "report/escape.h"
#include "report/report_files.h"
#include "report/summary.h"
#include "report/totals.h"
#include "run/fill.h"
#include "run/fresh_process.h"
#include "run/host.h"
#include "run/run.h"
#include "run/selftest.h"
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

/// The oracle's own gradients against differences of its forward pass, for the operators of a
/// sweep.
double WorstGradientError(const Sweep& sweep) {
  std::set<const Operator*> operators;
  for (const Case& the_case : sweep.cases) operators.insert(the_case.op);
  double worst = 0;
  for (const Operator* op : operators) worst = std::max(worst, GradientError(*op));
  if (worst <= kMostGradientError) return worst;
  throw std::logic_error(fmt::format(
      "oracle-suspect: gradients differ from the forward pass by {:.3g}: no verdict", worst));
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
  info.standard = options.standard;
  info.arithmetic = fmt::format("ftz {}, rounding {}{}", options.ftz, options.rounding,
                                options.saturates ? ", saturating" : "");
  info.oracle_gradient_error = WorstGradientError(sweep);
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

/// What another process, which is started when the first case wants to know, says of every case:
/// lines of numbers, one for each question, and the case's id.
class FreshNumbers {
 public:
  FreshNumbers(std::vector<std::string> args, std::size_t questions, double silence_seconds)
      : args_(std::move(args)), questions_(questions), silence_seconds_(silence_seconds) {}

  FreshNumber Of(const Case& the_case, std::size_t question) {
    if (!asked_) Ask();
    const auto found = answers_.find(the_case.Id());
    if (found != answers_.end()) return {found->second.at(question), ""};
    return {{}, failure_.empty() ? "it had no answer" : failure_};
  }

 private:
  void Ask() {
    asked_ = true;
    const ProcessOutput output = RunSelf(args_, silence_seconds_);
    failure_ = output.failure;
    std::istringstream lines(output.text);
    std::vector<std::uint64_t> numbers(questions_);
    while (std::ranges::all_of(numbers, [&](std::uint64_t& n) { return bool(lines >> n); })) {
      std::string id;
      if (lines >> id) answers_.emplace(std::move(id), numbers);
    }
  }

  std::vector<std::string> args_;
  std::size_t questions_;
  double silence_seconds_;
  bool asked_ = false;
  std::string failure_;
  std::unordered_map<std::string, std::vector<std::uint64_t>> answers_;  // by case id
};

CheckOptions ChecksFrom(const Options& options) {
  CheckOptions checks;
  checks.threads = options.threads != 0 ? options.threads : UsableCores();
  checks.repeats = options.repeats;
  checks.profile = options.profile;
  checks.standard = FindStandard(options.standard);
  // Below the smallest subnormal float32 there is nothing to flush.
  checks.smallest_normal = options.ftz == "forbid" ? 0x1p-149 : 0x1p-126;
  checks.rounding = options.rounding == "rz"         ? Rounding::kTowardZero
                    : options.rounding == "faithful" ? Rounding::kFaithful
                                                     : Rounding::kNearestEven;
  checks.saturates = options.saturates;
  checks.timer = [](const std::string& name, const std::function<double()>& sample) {
    return MeasureRepeated({}, name, sample);
  };
  checks.fresh_workspace =
      [fresh = std::make_shared<FreshNumbers>(WorkspacesArgs(options), 1, options.timeout_seconds)](
          const Case& the_case) { return fresh->Of(the_case, 0); };
  if (!options.fresh_process) return checks;
  // One launch may take as long as the timeout, and several stand behind every line.
  constexpr double kLaunchesBetweenLines = 4;
  checks.fresh_hash =
      [fresh = std::make_shared<FreshNumbers>(HashesArgs(options), 2,
                                              kLaunchesBetweenLines * options.timeout_seconds)](
          const Case& the_case, bool deterministic) {
        return fresh->Of(the_case, deterministic ? 1 : 0);
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
  EndWithParent();
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

int PrintHashes(const Options& options) {
  EndWithParent();
  const Sweep sweep = LoadSweeps(options.sweeps, options.selection);
  const DeviceLibrary library(DevicePaths(options));
  RequireOperators(sweep, library);
  const Device device = OpenDevice(library, options);
  device.SetThreads(options.threads);
  const unsigned threads = options.threads != 0 ? options.threads : UsableCores();
  for (const Case& the_case : sweep.cases) {
    const bool asked = std::ranges::find(the_case.checks, "determinism") != the_case.checks.end();
    if (the_case.expectation || !asked) continue;
    const std::uint64_t bytes = StorageBytes(the_case);
    // Another process has the same case in memory.
    if (bytes > device.FreeBytes() / 4 || bytes > AvailableHostBytes() / 8) continue;
    try {
      if (!device.Become(the_case.product)) continue;
      CaseRun run(the_case, device, FillInputs(the_case, threads));
      run.Launch(Poison::kFirst, /*deterministic=*/false);
      const std::uint64_t by_default = HashOf(run.Outputs());
      run.Launch(Poison::kFirst, /*deterministic=*/true);
      Print("{} {} {}\n", by_default, HashOf(run.Outputs()), the_case.Id());
      FlushOutput(0);
    } catch (const DeviceError&) {
      // What goes wrong in this process does so in the other one, which judges it.
      if (device.lost()) break;
    }
  }
  if (device.lost()) std::_Exit(FlushOutput(0));
  return 0;
}

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
  const WhoseSweep whose = options.sweeps.empty() ? WhoseSweep::kOurs : WhoseSweep::kUsers;
  const Sweep sweep =
      LoadSweeps(whose == WhoseSweep::kUsers
                     ? options.sweeps
                     : std::vector{beside("../share/normgrad-bench/cases/suites/selftest.yaml")},
                 options.selection);
  const DeviceLibrary library(options.device.empty()
                                  ? std::vector{beside("../lib/libnormgrad_faulty.so")}
                                  : options.device);
  RequireOperators(sweep, library);
  const Device device = OpenDevice(library, options);
  CheckOptions checks;
  checks.threads = 1;  // of small cases: more would only wait for each other
  device.SetThreads(2);
  const SelftestReport report = RunSelftest(device, sweep.cases, checks,
                                            {.only_first_catch = options.first_catch_only,
                                             .without = options.without_check,
                                             .only = options.fault});
  WriteOutput(options.selftest_format == "md" ? SelftestMarkdown(report, whose)
                                              : SelftestText(report, whose));
  return SelftestExitCode(report, whose);
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
