// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "base/error.h"
#include "check_options.h"
#include "commands.h"
#include "console.h"
#include "golden/self_check.h"
#include "open_device.h"
#include "progress.h"
#include "report/counted.h"
#include "report/escape.h"
#include "report/report_folder.h"
#include "report/summary.h"
#include "report/totals.h"
#include "run/host.h"
#include "run/isolated_executor.h"
#include "run/orphans.h"
#include "run/plan.h"
#include "run/recorder.h"
#include "run/roofline.h"
#include "run/run.h"
#include "selftest_record.h"
#include "utc.h"
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
/// which leaves valid reports too.
void HandleInterrupts() {
  struct sigaction action {};
  action.sa_handler = OnFirstSignal;
  action.sa_flags = static_cast<int>(SA_RESTART);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

/// A full disk or a closed pipe are errors of the writes concerned, not the end of the process.
void IgnoreFailedWrites() {
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

/// Where the cases of a run are answered.
struct Workplace {
  std::string device_description{};
  std::string device_build{};  // HashOfFiles() of its library
  // Of this process; null where workers answer.
  std::unique_ptr<const DeviceLibrary> library{};
  std::unique_ptr<const Device> device{};
  std::vector<std::unique_ptr<Executor>> executors{};
};

/// What is known of the machine, for a run that times something; empty for others.
KnownRoofline RooflineOf(const Options& options, const Sweep& sweep, const Workplace& place) {
  const bool timed = std::ranges::any_of(sweep.cases, [](const Case& the_case) {
    return std::ranges::find(the_case.checks, "throughput") != the_case.checks.end();
  });
  if (!timed) return {};
  return FindRoofline(RooflineIdentity(DevicePaths(options), place.device_description),
                      [](const char* name) { return std::getenv(name); });
}

RunInfo Describe(const Options& options, const Sweep& sweep, const Plan& plan,
                 const Workplace& place) {
  RunInfo info;
  info.tool_version = kVersion;
  info.started_utc = UtcNow();
  info.command_line = options.command_line;
  info.sweeps = sweep.files;
  info.device_library = PathsOf(options);
  info.device_description = place.device_description;
  info.host = HostDescription();
  info.profile = Name(options.profile);
  info.standard = options.standard;
  info.arithmetic = fmt::format("ftz {}, rounding {}{}", options.ftz, options.rounding,
                                options.saturates ? ", saturating" : "");
  info.selftest = SelftestOfThisBuild();
  const KnownRoofline roofline = RooflineOf(options, sweep, place);
  info.roofline = roofline.line;
  info.roofline_gb_per_s = roofline.gb_per_s;
  info.oracle_gradient_error = WorstGradientError(sweep);
  info.repeats = static_cast<std::uint64_t>(options.repeats);
  info.threads = options.threads != 0 ? options.threads : UsableCores();
  info.timeout_seconds = options.timeout_seconds;
  info.plan_hash = plan.hash;
  info.shard = options.shard.index;
  info.shards = options.shard.count;
  info.tool_build = BuildId();
  info.device_build = place.device_build;
  for (std::size_t i = 0; i < sweep.cases.size(); ++i) {
    if (plan.shards[i] != info.shard) continue;
    ++info.planned_cases;
    info.planned_checks += sweep.cases[i].checks.size();
  }
  for (const Drop& drop : sweep.drops) info.dropped_combinations += drop.count;
  return info;
}

/// This process opens the device.
Workplace WorkHere(const Options& options, const Sweep& sweep, const OnCheck& on_check) {
  Workplace place;
  place.library = std::make_unique<DeviceLibrary>(DevicePaths(options), options.instruction_set);
  RequireOperators(sweep, *place.library);
  place.device.reset(new Device(OpenDevice(*place.library, options)));
  place.device_description = Starting(*place.library, [&] {
    place.device->SetThreads(options.threads);
    return place.device->Description();
  });
  place.device_build = HashOfFiles(place.library->Files());
  place.executors.push_back(std::make_unique<InProcessExecutor>(
      *place.device, CheckOptionsFrom(options, [] {}), on_check));
  return place;
}

/// Workers open it, each its own device where the library has enough of them. Those of ours
/// compute on the host's cores, so that any number of workers can share one.
Workplace WorkElsewhere(const Options& options, double ends_at, const Sweep& sweep,
                        const OnCheck& on_check, const OnIncident& on_incident) {
  AdoptOrphans();
  Options each = options;
  if (each.max_memory_gib == 0) {
    const std::uint64_t share = AvailableHostBytes() / 10 * 9 / options.jobs;
    each.max_memory_gib = static_cast<double>(share) * 0x1p-30;
  }
  if (options.jobs > 1) {
    const unsigned threads = options.threads != 0 ? options.threads : UsableCores();
    each.threads = std::max(1U, threads / options.jobs);
  }
  const Limits limits = {
      .timeout_seconds = options.timeout_seconds,
      .case_seconds = options.max_seconds,
      .run_ends_at = ends_at,
      .memory_bytes = static_cast<std::uint64_t>(each.max_memory_gib * 0x1p30),
  };
  const auto add = [&](Workplace* place) {
    auto executor =
        std::make_unique<IsolatedExecutor>(WorkerArgs(each), limits, on_check, on_incident);
    Hello hello = executor->Start(PathsOf(options));
    place->executors.push_back(std::move(executor));
    return hello;
  };
  Workplace place;
  const Hello hello = add(&place);
  for (const Case& the_case : sweep.cases) {
    const auto missing = hello.missing.find(std::string(the_case.op->name));
    if (missing != hello.missing.end()) throw Error("{}", missing->second);
  }
  place.device_description = hello.description;
  place.device_build = hello.build;
  const auto first = static_cast<std::uint64_t>(options.device_id);
  const bool one_each = first + options.jobs <= hello.devices;
  if (!one_each && !hello.is_ours) {
    throw Error("--jobs {}: {} has {} from device {} on: at most one worker each", options.jobs,
                PathsOf(options), Counted(hello.devices - first, "device"), first);
  }
  for (unsigned job = 1; job < options.jobs; ++job) {
    if (one_each) ++each.device_id;
    add(&place);
  }
  return place;
}

/// The options of the run that `header` begins, with what the user may say anew.
Options OptionsOf(const JournalHeader& header, const Options& given) {
  std::vector<std::string> args = header.args;
  std::vector<char*> argv;
  argv.reserve(args.size());
  for (std::string& arg : args) argv.push_back(arg.data());
  Options options = ParseOptions(static_cast<int>(argv.size()), argv.data());
  if (options.command != Options::Command::kRun || !options.resume.empty()) {
    throw Error("{}: the command it was begun with is no run", given.resume);
  }
  options.shard = {header.run.shard, header.run.shards};
  options.resume = given.resume;
  options.quiet = given.quiet;
  options.verbose = given.verbose;
  return options;
}

std::unique_ptr<Recorder> BeginRecord(const Options& options, const Sweep& sweep, const Plan& plan,
                                      RunInfo info) {
  std::vector<PlannedCase> planned;
  planned.reserve(sweep.cases.size());
  for (std::size_t i = 0; i < sweep.cases.size(); ++i) {
    planned.push_back(Planned(sweep.cases[i], plan.shards[i]));
  }
  const bool by_default = options.report_folder.empty();
  return std::make_unique<Recorder>(
      by_default ? DefaultReportFolder(options) : options.report_folder,
      by_default ? IfFolderExists::kTakeAnother : IfFolderExists::kReplaceReports,
      JournalHeader{.run = std::move(info), .args = RunArgs(options), .formats = options.formats},
      std::move(planned));
}

/// Goes on where nothing has changed, or the user wants to `anyway`.
std::unique_ptr<Recorder> GoOnWithRecord(EarlierJournal earlier, const RunInfo& now, bool anyway) {
  std::vector<std::string> mixed = Differences(earlier.contents.header.run, now);
  if (!mixed.empty() && !anyway) {
    throw Error(
        "{}: not what it was when the run began: {}: run again in another folder, or go on all the "
        "same with --resume-anyway",
        (earlier.folder / kJournalName).string(), fmt::join(mixed, "; "));
  }
  return std::make_unique<Recorder>(
      std::move(earlier), RunResumed{.resumed_utc = now.started_utc, .mixed = std::move(mixed)});
}

/// Leaves the cases that `recorder` must have answers to, with the checks that were planned.
void KeepOpen(const Recorder& recorder, std::vector<Case>* cases) {
  std::erase_if(*cases, [&](Case& the_case) {
    const PlannedCase* open = recorder.FindOpen(the_case.Id());
    if (open != nullptr) the_case.checks = open->checks;
    return open == nullptr;
  });
}

}  // namespace

int RunSweeps(const Options& given) {
  IgnoreFailedWrites();
  // Everything the user may have got wrong comes first; journal and reports are opened last, so
  // that nothing half-written is left behind.
  std::optional<EarlierJournal> earlier;
  if (!given.resume.empty()) earlier.emplace(given.resume);
  const Options options = earlier ? OptionsOf(earlier->contents.header, given) : given;
  if (options.dry_run) return PrintPlan(options);
  const double ends_at =
      options.max_run_seconds > 0 ? MonotonicSeconds() + options.max_run_seconds : 0;
  Sweep sweep = LoadSweeps(options.sweeps, options.selection);
  const Plan plan = MakePlan(sweep.cases, options.shard.count);
  std::optional<ProgressPrinter> progress;
  const auto on_check = [&](const Case& the_case, std::string_view check) {
    progress->OnCheck(the_case.Id(), check);
  };
  std::mutex mutex;  // of the record, which several threads have something to say to
  std::unique_ptr<Recorder> recorder;
  spdlog::logger log = MakeLogger(options);
  const auto on_incident = [&](const std::string& what) {
    const std::lock_guard lock(mutex);
    log.debug("{}", OneLine(what));
    recorder->AddIncident(what);
  };
  Workplace place = options.isolate ? WorkElsewhere(options, ends_at, sweep, on_check, on_incident)
                                    : WorkHere(options, sweep, on_check);
  RunInfo info = Describe(options, sweep, plan, place);
  HandleInterrupts();
  if (options.shard_from_environment) {
    TellBazel([](const char* name) { return std::getenv(name); });
  }
  recorder = earlier ? GoOnWithRecord(std::move(*earlier), info, given.resume_anyway)
                     : BeginRecord(options, sweep, plan, std::move(info));
  KeepOpen(*recorder, &sweep.cases);
  // Between the lines of a log there is no place for a line that is rewritten.
  progress.emplace(sweep.cases.size(), options.quiet || options.verbose);
  std::vector<Executor*> executors;
  for (const auto& executor : place.executors) executors.push_back(executor.get());
  RunCases(sweep.cases, executors,
           {.interrupted = [] { return interrupted.load(); },
            .on_start =
                [&](const Case& the_case) {
                  const std::lock_guard lock(mutex);
                  recorder->Start(the_case);
                },
            .on_result =
                [&](Result result) {
                  const std::lock_guard lock(mutex);
                  result.rerun = RerunCommand(options, result.case_id);
                  progress->OnResult(result);
                  for (const CheckResult& check : result.checks) {
                    log.debug("{}: {}: {}", result.case_id, check.check, Name(check.outcome));
                  }
                  log.debug("{}: {} {}", result.case_id, Name(result.outcome),
                            OneLine(result.reason));
                  recorder->Add(result);
                }},
           ends_at);
  progress.reset();
  recorder->Finish(UtcNow(), "the sweeps no longer hold this case");
  const ReportFiles& reports = recorder->reports();
  WriteOutput(Summary(reports.overview(), reports.paths()));
  const int exit_code = ExitCode(reports.overview().totals());
  // A launch that never ended would use what is torn down.
  if (place.device != nullptr && place.device->lost()) std::_Exit(FlushOutput(exit_code));
  return exit_code;
}

}  // namespace normgrad
