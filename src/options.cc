// SPDX-License-Identifier: Apache-2.0
#include "options.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <iterator>
#include <limits>
#include <sstream>
#include <type_traits>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "accuracy/standards.h"
#include "base/error.h"
#include "base/text.h"
#include "checks/check.h"
#include "console.h"
#include "report/format.h"
#include "version.h"

namespace normgrad {
namespace {

std::string KnownChecks() {
  std::string text;
  for (const Check& check : Checks()) {
    text += fmt::format("\n  {:<13}{}", check.name, check.question);
  }
  return text;
}

std::string KnownFormats() {
  std::string text;
  for (const Format& format : Formats()) {
    text += fmt::format("\n  {:<13}{}", format.extension, format.meaning);
  }
  return text;
}

/// Reads all of `text` as a decimal number in [least, most].
template <typename Number>
Number ParseNumber(std::string_view option, std::string_view text, Number least, Number most) {
  Number number{};
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  // Written so that NaN is out of range.
  if (error != std::errc() || stop != end || !(number >= least && number <= most)) {
    throw Error("{} {}: expected a {}number from {} to {}", option, text,
                std::is_integral_v<Number> ? "whole " : "", least, most);
  }
  return number;
}

/// An option that is a number in [least, most]. The library's own reading of numbers takes 010 for
/// 8, -1 for 2^64 - 1 and nan for a number in any range.
template <typename Number, typename Target>
CLI::Option* AddNumber(CLI::App* command, const std::string& name, Target* target, Number least,
                       Number most, const std::string& help) {
  const auto read = [name, target, least, most](const std::string& text) {
    *target = ParseNumber<Number>(name, text, least, most);
  };
  return command->add_option_function<std::string>(name, read, help)->allow_extra_args(false);
}

void AddCase(CLI::App* command, Options* options) {
  command
      ->add_option("--case", options->selection.case_globs,
                   "only cases whose id is this, contains it, or matches it as a glob (* and ?); "
                   "repeat for more")
      ->allow_extra_args(false)
      ->type_name("ID");
}

void AddSelection(CLI::App* command, Options* options) {
  command->add_option("sweeps", options->sweeps, "sweep files (YAML; see cases/README.md)")
      ->type_name("FILE");
  AddCase(command, options);
  command
      ->add_option("--product", options->selection.products,
                   "only cases of this product, e.g. atlas-a2; repeat or separate by commas")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("NAME");
  command
      ->add_option("--check", options->selection.checks,
                   "ask these questions instead of the sweep's; repeat or separate by commas")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("NAME");
  AddNumber<std::uint64_t>(command, "--seed", &options->selection.seed, 0,
                           std::numeric_limits<std::uint64_t>::max(),
                           "seed of all random data, instead of the sweep's")
      ->type_name("N");
}

void AddShard(CLI::App* command, std::string* text) {
  command
      ->add_option("--shard", *text,
                   "only one of several parts of the plan: 2/4, the second of four; env, as the "
                   "variables of GoogleTest, Bazel or a Slurm array say; env/4, as GNU parallel's")
      ->allow_extra_args(false)
      ->type_name("I/N");
}

/// Throws unless `run` was given nothing but --resume and what may go with it.
void RequireResumeAlone(const CLI::App& run) {
  for (const CLI::Option* option : run.get_options()) {
    const std::string name = option->get_name();
    const bool may_be =
        name == "--resume" || name == "--resume-anyway" || name == "--quiet" || name == "--verbose";
    if (may_be || option->count() == 0) continue;
    throw Error("--resume goes on with the sweeps and options of its journal: leave out {}", name);
  }
}

void AddDevice(CLI::App* command, Options* options) {
  command
      ->add_option("--device", options->device,
                   "shared objects that export CANN's C ABI, e.g. "
                   "libacl_rt.so,libnnopbase.so,libopapi_nn.so; default: the built-in CPU device")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("LIB,...");
  AddNumber<std::int32_t>(command, "--device-id", &options->device_id, 0,
                          std::numeric_limits<std::int32_t>::max(), "which device of the library")
      ->default_str("0")
      ->type_name("N");

  command
      ->add_option("--instruction-set", options->instruction_set,
                   "vector instructions of the built-in CPU device, e.g. avx2; default: the widest "
                   "the processor has")
      ->type_name("NAME");
}

/// A path that is empty, of a variable that is not set, must not stand for the built-in device.
void RequireDevicePaths(const CLI::App& command, const Options& options) {
  const CLI::Option* const device = command.get_option_no_throw("--device");
  if (device == nullptr || device->count() == 0) return;
  const auto& paths = options.device;
  if (!paths.empty() && std::ranges::find(paths, "") == paths.end()) return;
  throw Error(
      "--device '{}': an empty path: expected those of shared objects, or no --device for "
      "the built-in CPU device",
      fmt::join(paths, ","));
}

/// What decides how a case is answered, besides its device.
void AddAnswering(CLI::App* command, Options* options, std::string* profile) {
  AddNumber<unsigned>(command, "--threads", &options->threads, 0, 1024,
                      "threads of the oracle and of a CPU device; 0: all cores")
      ->default_str("0")
      ->type_name("N");
  AddNumber<int>(command, "--repeats", &options->repeats, 2, 100000,
                 "launches per determinism mode; one alone has nothing to differ from")
      ->default_str("5")
      ->type_name("N");
  command
      ->add_option("--profile", *profile,
                   "rounding profile of the bound: expanded allows x*rstd - mean*rstd, centred is "
                   "stricter")
      ->check(CLI::IsMember({"expanded", "centred"}))
      ->capture_default_str();
  command
      ->add_option("--ftz", options->ftz,
                   "whether the device may flush subnormal numbers to zero: allow or forbid")
      ->check(CLI::IsMember({"allow", "forbid"}))
      ->capture_default_str();
  command
      ->add_option("--rounding", options->rounding,
                   "how the device rounds its results: rne to the nearest, ties to even; faithful "
                   "to either neighbour; rz towards zero")
      ->check(CLI::IsMember({"rne", "faithful", "rz"}))
      ->capture_default_str();
  command->add_flag("--saturate", options->saturates,
                    "results too large for their dtype become its largest number");
  command->add_flag("--batch-invariant", options->batch_invariant,
                    "the device promises, as no document does, that a row's dx depends on neither "
                    "the rest of the "
                    "batch nor its place: check batch fails it where it does");
  command
      ->add_option("--standard", options->standard,
                   "what decides accuracy: derived, the bound of every element, or a published "
                   "standard; see describe --standards")
      ->capture_default_str()
      ->type_name("NAME");
  AddNumber<double>(command, "--timeout", &options->timeout_seconds, 0.001, 2e6,
                    "seconds one launch, or any other call of the device library, may take")
      ->default_str("60")
      ->type_name("S");
  AddNumber<double>(command, "--max-memory", &options->max_memory_gib, 0.001, 1e6,
                    "GiB that one worker process may take; default: its share of nine tenths of "
                    "what is free")
      ->type_name("GIB");
}

/// The arguments that AddDevice() and AddAnswering() read, but for those that say the default.
std::vector<std::string> AnsweringArgs(const Options& options) {
  const Options defaults;
  std::vector<std::string> args;
  const auto add = [&args](const char* name, const auto& value, const auto& by_default) {
    if (value == by_default) return;
    args.emplace_back(name);
    args.push_back(fmt::format("{}", value));
  };
  if (!options.device.empty()) {
    add("--device", fmt::format("{}", fmt::join(options.device, ",")), "");
  }
  add("--device-id", options.device_id, defaults.device_id);
  add("--instruction-set", options.instruction_set, defaults.instruction_set);
  add("--threads", options.threads, defaults.threads);
  add("--repeats", options.repeats, defaults.repeats);
  add("--profile", Name(options.profile), Name(defaults.profile));
  add("--ftz", options.ftz, defaults.ftz);
  add("--rounding", options.rounding, defaults.rounding);
  if (options.saturates) args.emplace_back("--saturate");
  if (options.batch_invariant) args.emplace_back("--batch-invariant");
  add("--standard", options.standard, defaults.standard);
  add("--timeout", options.timeout_seconds, defaults.timeout_seconds);
  add("--max-memory", options.max_memory_gib, defaults.max_memory_gib);
  return args;
}

/// Where cases are answered, and how long that may take.
void AddIsolation(CLI::App* command, Options* options) {
  const auto isolate = [options](const std::string& text) { options->isolate = text == "on"; };
  command
      ->add_option_function<std::string>(
          "--isolate", isolate,
          "on: answer cases in a process of their own, which the device library may end; off: in "
          "this one, for debuggers")
      ->check(CLI::IsMember({"on", "off"}))
      ->default_str("on");
  AddNumber<unsigned>(command, "--jobs", &options->jobs, 1, 64,
                      "worker processes at a time, each with the next device of the library; on a "
                      "CPU device of ours they share the cores")
      ->default_str("1")
      ->type_name("N");
  AddNumber<double>(command, "--max-seconds", &options->max_seconds, 0.001, 2e6,
                    "seconds one case may take, all its checks together")
      ->type_name("S");
  AddNumber<double>(command, "--max-run-seconds", &options->max_run_seconds, 0.001, 2e6,
                    "seconds the run may take; the cases left are not run")
      ->type_name("S");
}

}  // namespace

Options ParseOptions(int argc, char** argv) {
  Options options;
  for (int i = 0; i < argc; ++i) {
    options.command_line += i == 0 ? ShellProgram(argv[i]) : ' ' + ShellWord(argv[i]);
  }
  if (argc > 0) options.program = argv[0];

  CLI::App app{
      "Validates and benchmarks backward-normalisation operators through CANN's two-stage API.\n"
      "Start with: normgrad-bench run cases/suites/smoke.yaml"};
  app.name("normgrad-bench");
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string("normgrad-bench ") + kVersion);
  app.footer(
      "Exit codes: 0 nothing failed, 1 a verdict failed, 2 something you can fix, "
      "5 the device failed or answers are missing.");

  CLI::App* run = app.add_subcommand("run", "Run the cases of sweep files, judge and report");
  AddSelection(run, &options);
  AddDevice(run, &options);
  std::string shard;
  AddShard(run, &shard);
  run->add_flag("--dry-run", options.dry_run, "print the plan and run nothing");
  run->add_option("--resume", options.resume,
                  "go on with the run whose reports are in DIR, which was stopped or killed")
      ->type_name("DIR");
  run->add_flag("--resume-anyway", options.resume_anyway,
                "… though plan, tool, device library or host are not what they were; the reports "
                "say so");
  run->add_option("--report", options.report_folder,
                  "folder of the reports; default: reports/<sweep>-<time>")
      ->type_name("DIR");
  run->add_option("--format", options.formats, "report formats")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->capture_default_str()
      ->type_name("NAME,...");
  std::string profile = "expanded";
  AddAnswering(run, &options, &profile);
  AddIsolation(run, &options);
  run->add_flag("-v,--verbose", options.verbose, "log every case and check");
  run->add_flag("-q,--quiet", options.quiet, "no progress; the summary only");
  run->footer("Checks:" + KnownChecks() + "\n\nFormats:" + KnownFormats());

  CLI::App* plan = app.add_subcommand(
      "plan", "Print every case and check that a run must answer, what it takes, what was dropped");
  AddSelection(plan, &options);
  AddShard(plan, &shard);
  plan->add_flag("-q,--quiet", options.quiet, "sums only");

  const auto add_report = [&](CLI::App* command, const char* help) {
    command->add_option("--format", options.report_formats, "report formats; default: the run's")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->type_name("NAME,...");
    return command->add_option("--report", options.report_folder, help)->type_name("DIR");
  };
  CLI::App* report = app.add_subcommand("report", "Make the reports of a run from its journal");
  report->add_option("folder", options.folders, "folder of the run's reports")
      ->required()
      ->expected(1)
      ->type_name("DIR");
  add_report(report, "folder of the new reports; default: the run's");

  CLI::App* merge = app.add_subcommand(
      "merge",
      "Make one run of its shards, and prove that none of its cases is missing or doubled");
  merge->add_option("folders", options.folders, "folders of the shards' reports")
      ->required()
      ->type_name("DIR");
  add_report(merge, "folder of the merged journal and reports")->required();

  CLI::App* worker = app.add_subcommand("worker", "");
  worker->group("");  // for the tool itself: not in the help
  AddDevice(worker, &options);
  AddAnswering(worker, &options, &profile);

  CLI::App* describe =
      app.add_subcommand("describe", "Print the contract of operators: formula, dtypes, rules");
  describe->add_option("operators", options.operators, "e.g. rms_norm_grad; default: all")
      ->type_name("NAME");

  describe->add_flag("--standards", options.standards,
                     "print the published standards of accuracy: rules, thresholds, sources");

  CLI::App* devices = app.add_subcommand("devices", "Show what device libraries offer");
  AddDevice(devices, &options);

  CLI::App* selftest = app.add_subcommand(
      "selftest", "Prove that planted faults are caught and correct kernels are not");
  AddDevice(selftest, &options);
  selftest->add_flag("--quick", options.first_catch_only,
                     "stop at the first check that sees a fault; which others do stays unknown");
  selftest
      ->add_option("--with-cases", options.sweeps,
                   "this sweep instead of cases/suites/selftest.yaml: which faults would it miss?")
      ->allow_extra_args(false)
      ->type_name("FILE");
  selftest
      ->add_option("--without", options.without_check,
                   "leave this check out: which faults does nothing else see?")
      ->check(CLI::IsMember(std::vector<std::string>(CheckNames().begin(), CheckNames().end())))
      ->type_name("CHECK");
  AddCase(selftest, &options);
  selftest->add_option("--fault", options.fault, "try this one alone")->type_name("NAME");
  selftest->add_flag("--list", options.list_faults,
                     "print the faults and healthy variants, and try none");
  selftest->add_flag("--standards", options.try_standards,
                     "look at published standards, too; takes a few times as long");
  selftest->add_option("--format", options.selftest_format, "text, md or json")
      ->check(CLI::IsMember({"text", "md", "json"}))
      ->capture_default_str();
  selftest
      ->add_option(
          "--record", options.selftest_record,
          "keep the score of this build in FILE; that of share/normgrad-bench/selftest.txt "
          "stands in every report")
      ->type_name("FILE");

  CLI::App* roofline = app.add_subcommand(
      "roofline", "Show what memory and caches of this machine can do, which is measured once");
  AddDevice(roofline, &options);
  roofline->add_flag("--fresh", options.fresh, "measure anew, though one of this machine is kept");
  roofline->add_flag("--quick", options.quick_roofline, "in no time: for tests")->group("");
  roofline->add_option("--format", options.roofline_format, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  roofline->footer(
      "Takes some seconds, on a machine that does nothing else; kept in "
      "${XDG_CACHE_HOME:-~/.cache}/normgrad-bench.");

  std::vector<std::string_view> commands;
  for (const CLI::App* command :
       {run, plan, report, merge, worker, describe, devices, selftest, roofline}) {
    commands.push_back(command->get_name());
  }
  const std::string_view first = argc > 1 ? argv[1] : "-";
  const bool is_command = std::ranges::find(commands, first) != commands.end();
  if (!first.starts_with('-') && !is_command) {
    throw Error("unknown command '{}': {}", first, Suggest(first, commands));
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // Help and version are "errors" with exit code 0 that print themselves.
    if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) {
      std::ostringstream text;
      app.exit(error, text, text);
      WriteOutput(text.str());
      return Options();
    }
    throw Error("{}; see normgrad-bench {}--help", error.what(),
                is_command ? fmt::format("{} ", first) : "");
  }
  if (run->parsed() && !options.resume.empty()) RequireResumeAlone(*run);
  if (options.resume_anyway && options.resume.empty()) {
    throw Error("--resume-anyway: expected --resume DIR beside it");
  }
  for (const CLI::App* command : {run, plan}) {
    if (command->parsed() && options.sweeps.empty() && options.resume.empty()) {
      throw Error("sweeps is required; see normgrad-bench {} --help", command->get_name());
    }
  }
  // Typed and empty, of a variable that is not set, is no wish for the whole plan.
  if (run->count("--shard") + plan->count("--shard") > 0) {
    options.shard = ParseShard(shard, [](const char* name) { return std::getenv(name); });
    options.shard_from_environment = shard.starts_with("env");
  }
  for (const std::string& format : options.formats) FindFormat(format);
  for (const std::string& format : options.report_formats) FindFormat(format);
  if (!options.isolate && options.jobs > 1) {
    throw Error("--jobs {}: needs processes to answer in: leave --isolate on", options.jobs);
  }
  if (!options.isolate && options.max_seconds > 0) {
    throw Error("--max-seconds {}: only a process can be stopped: leave --isolate on",
                options.max_seconds);
  }
  for (const CLI::App* command : app.get_subcommands()) RequireDevicePaths(*command, options);
  FindStandard(options.standard);
  options.profile = profile == Name(Profile::kCentred) ? Profile::kCentred : Profile::kExpanded;
  options.command = run->parsed()        ? Options::Command::kRun
                    : plan->parsed()     ? Options::Command::kPlan
                    : report->parsed()   ? Options::Command::kReport
                    : merge->parsed()    ? Options::Command::kMerge
                    : worker->parsed()   ? Options::Command::kWorker
                    : describe->parsed() ? Options::Command::kDescribe
                    : selftest->parsed() ? Options::Command::kSelftest
                    : roofline->parsed() ? Options::Command::kRoofline
                                         : Options::Command::kDevices;
  return options;
}

std::string_view Name(Profile profile) {
  return profile == Profile::kCentred ? "centred" : "expanded";
}

std::vector<std::string> WorkerArgs(const Options& options) {
  std::vector<std::string> args = {"worker"};
  std::ranges::copy(AnsweringArgs(options), std::back_inserter(args));
  return args;
}

std::vector<std::string> RunArgs(const Options& options) {
  const Options defaults;
  std::vector<std::string> args = {options.program, "run"};
  args.insert(args.end(), options.sweeps.begin(), options.sweeps.end());
  const auto add = [&args](const char* name, const auto& value) {
    args.emplace_back(name);
    args.push_back(fmt::format("{}", value));
  };
  const auto add_list = [&](const char* name, const std::vector<std::string>& values) {
    if (!values.empty()) add(name, fmt::format("{}", fmt::join(values, ",")));
  };
  for (const std::string& glob : options.selection.case_globs) add("--case", glob);
  add_list("--product", options.selection.products);
  add_list("--check", options.selection.checks);
  if (options.selection.seed) add("--seed", *options.selection.seed);
  std::ranges::copy(AnsweringArgs(options), std::back_inserter(args));
  if (options.max_seconds > 0) add("--max-seconds", options.max_seconds);
  if (options.max_run_seconds > 0) add("--max-run-seconds", options.max_run_seconds);
  if (options.jobs != defaults.jobs) add("--jobs", options.jobs);
  if (!options.isolate) add("--isolate", "off");
  return args;
}

std::string RerunCommand(const Options& options, const std::string& case_id) {
  Options one = options;
  one.selection.case_globs = {case_id};
  one.selection.products.clear();  // the id names its own
  // What concerns a run of many.
  const Options defaults;
  one.max_run_seconds = defaults.max_run_seconds;
  one.jobs = defaults.jobs;
  one.isolate = defaults.isolate;
  std::string command;
  for (const std::string& arg : RunArgs(one)) {
    command += command.empty() ? ShellProgram(arg) : ' ' + ShellWord(arg);
  }
  return command;
}

}  // namespace normgrad
