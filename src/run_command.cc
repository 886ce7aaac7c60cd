// SPDX-License-Identifier: Apache-2.0
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
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "accuracy/standards.h"
#include "commands.h"
#include "console.h"
#include "golden/self_check.h"
#include "open_device.h"
#include "progress.h"
#include "report/escape.h"
#include "report/report_files.h"
#include "report/summary.h"
#include "report/totals.h"
#include "run/fresh_process.h"
#include "run/host.h"
#include "run/run.h"
#include "selftest_record.h"
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

/// The same for two runs that start in the same second: ReportFiles tells them apart.
std::string DefaultReportFolder(const Options& options) {
  const std::string stem = std::filesystem::path(options.sweeps.front()).stem().string();
  return fmt::format("reports/{}-{:%Y%m%d-%H%M%S}", stem, fmt::gmtime(std::time(nullptr)));
}

std::string UtcNow() {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
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
  info.selftest = SelftestOfThisBuild();
  info.oracle_gradient_error = WorstGradientError(sweep);
  info.repeats = static_cast<std::uint64_t>(checks.repeats);
  info.threads = checks.threads;
  info.timeout_seconds = options.timeout_seconds;
  info.planned_cases = sweep.cases.size();
  for (const Case& the_case : sweep.cases) info.planned_checks += the_case.checks.size();
  for (const Drop& drop : sweep.drops) info.dropped_combinations += drop.count;
  return info;
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
  checks.batch_invariant = options.batch_invariant;
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

}  // namespace normgrad
