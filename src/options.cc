// SPDX-License-Identifier: Apache-2.0
#include "options.h"

#include <algorithm>
#include <charconv>
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
      ->required()
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
}

void AddThreads(CLI::App* command, Options* options) {
  AddNumber<unsigned>(command, "--threads", &options->threads, 0, 1024,
                      "threads of the oracle and of a CPU device; 0: all cores")
      ->default_str("0")
      ->type_name("N");
}

void AddTimeout(CLI::App* command, Options* options) {
  AddNumber<double>(command, "--timeout", &options->timeout_seconds, 0.001, 2e6,
                    "seconds one launch may take")
      ->default_str("60")
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
  run->add_option("--report", options.report_folder,
                  "folder of the reports; default: reports/<sweep>-<time>")
      ->type_name("DIR");
  run->add_option("--format", options.formats, "report formats")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->capture_default_str()
      ->type_name("NAME,...");
  AddThreads(run, &options);
  AddNumber<int>(run, "--repeats", &options.repeats, 2, 100000,
                 "launches per determinism mode; one alone has nothing to differ from")
      ->default_str("5")
      ->type_name("N");
  std::string profile = "expanded";
  run->add_option("--profile", profile,
                  "rounding profile of the bound: expanded allows x*rstd - mean*rstd, centred is "
                  "stricter")
      ->check(CLI::IsMember({"expanded", "centred"}))
      ->capture_default_str();
  run->add_flag(
      "--fresh-process", options.fresh_process,
      "determinism also compares with another process, which first makes every call of the "
      "sweeps");
  run->add_option("--ftz", options.ftz,
                  "whether the device may flush subnormal numbers to zero: allow or forbid")
      ->check(CLI::IsMember({"allow", "forbid"}))
      ->capture_default_str();
  run->add_option(
         "--rounding", options.rounding,
         "how the device rounds its results: rne to the nearest, ties to even; faithful to "
         "either neighbour; rz towards zero")
      ->check(CLI::IsMember({"rne", "faithful", "rz"}))
      ->capture_default_str();
  run->add_flag("--saturate", options.saturates,
                "results too large for their dtype become its largest number");
  run->add_flag("--batch-invariant", options.batch_invariant,
                "the device promises, as no document does, that a row's dx depends on neither the "
                "rest of the batch nor its place: check batch fails it where it does");
  run->add_option("--standard", options.standard,
                  "what decides accuracy: derived, the bound of every element, or a published "
                  "standard; see describe --standards")
      ->capture_default_str()
      ->type_name("NAME");
  AddTimeout(run, &options);
  run->add_flag("-v,--verbose", options.verbose, "log every case and check");
  run->add_flag("-q,--quiet", options.quiet, "no progress; the summary only");
  run->footer("Checks:" + KnownChecks() + "\n\nFormats:" + KnownFormats());

  CLI::App* list = app.add_subcommand(
      "list", "List the cases of sweep files, with counts and why combinations were dropped");
  AddSelection(list, &options);
  list->add_flag("-q,--quiet", options.quiet, "counts only");

  CLI::App* workspaces = app.add_subcommand(
      "workspaces", "Print how many bytes of workspace phase 1 asks for, one case a line");
  AddSelection(workspaces, &options);
  AddDevice(workspaces, &options);

  CLI::App* hashes = app.add_subcommand(
      "hashes",
      "Print hashes of the outputs, option off and on, of the cases asked about determinism");
  AddSelection(hashes, &options);
  AddDevice(hashes, &options);
  AddThreads(hashes, &options);
  AddTimeout(hashes, &options);

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

  std::vector<std::string_view> commands;
  for (const CLI::App* command : {run, list, workspaces, hashes, describe, devices, selftest}) {
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
  for (const std::string& format : options.formats) FindFormat(format);
  FindStandard(options.standard);
  options.profile = profile == Name(Profile::kCentred) ? Profile::kCentred : Profile::kExpanded;
  options.command = run->parsed()          ? Options::Command::kRun
                    : list->parsed()       ? Options::Command::kList
                    : workspaces->parsed() ? Options::Command::kWorkspaces
                    : hashes->parsed()     ? Options::Command::kHashes
                    : describe->parsed()   ? Options::Command::kDescribe
                    : selftest->parsed()   ? Options::Command::kSelftest
                                           : Options::Command::kDevices;
  return options;
}

std::string_view Name(Profile profile) {
  return profile == Profile::kCentred ? "centred" : "expanded";
}

std::vector<std::string> WorkspacesArgs(const Options& options) {
  std::vector<std::string> args = {"workspaces"};
  args.insert(args.end(), options.sweeps.begin(), options.sweeps.end());
  const auto add = [&args](const char* name, const std::string& value) {
    args.emplace_back(name);
    args.push_back(value);
  };
  for (const std::string& glob : options.selection.case_globs) add("--case", glob);
  for (const std::string& product : options.selection.products) add("--product", product);
  for (const std::string& check : options.selection.checks) add("--check", check);
  if (options.selection.seed) add("--seed", std::to_string(*options.selection.seed));
  if (!options.device.empty()) add("--device", fmt::format("{}", fmt::join(options.device, ",")));
  add("--device-id", std::to_string(options.device_id));
  return args;
}

std::vector<std::string> HashesArgs(const Options& options) {
  std::vector<std::string> args = WorkspacesArgs(options);
  args.front() = "hashes";
  for (const auto& [name, value] :
       {std::pair("--threads", fmt::to_string(options.threads)),
        std::pair("--timeout", fmt::to_string(options.timeout_seconds))}) {
    args.emplace_back(name);
    args.push_back(value);
  }
  return args;
}

std::string RerunCommand(const Options& options, const std::string& case_id) {
  const Options defaults;
  std::string command = ShellProgram(options.program) + " run";
  for (const std::string& sweep : options.sweeps) command += ' ' + ShellWord(sweep);
  command += " --case " + ShellWord(case_id);
  if (!options.device.empty()) {
    command += " --device " + ShellWord(fmt::format("{}", fmt::join(options.device, ",")));
  }
  if (options.device_id != defaults.device_id)
    command += fmt::format(" --device-id {}", options.device_id);
  if (!options.selection.checks.empty()) {
    command += fmt::format(" --check {}", fmt::join(options.selection.checks, ","));
  }
  if (options.selection.seed) command += fmt::format(" --seed {}", *options.selection.seed);
  if (options.threads != defaults.threads) command += fmt::format(" --threads {}", options.threads);
  if (options.repeats != defaults.repeats) command += fmt::format(" --repeats {}", options.repeats);
  if (options.profile != defaults.profile)
    command += fmt::format(" --profile {}", Name(options.profile));
  if (options.fresh_process) command += " --fresh-process";
  if (options.ftz != defaults.ftz) command += fmt::format(" --ftz {}", options.ftz);
  if (options.rounding != defaults.rounding)
    command += fmt::format(" --rounding {}", options.rounding);
  if (options.saturates) command += " --saturate";
  if (options.batch_invariant) command += " --batch-invariant";
  if (options.standard != defaults.standard)
    command += fmt::format(" --standard {}", options.standard);
  if (options.timeout_seconds != defaults.timeout_seconds) {
    command += fmt::format(" --timeout {}", options.timeout_seconds);
  }
  return command;
}

}  // namespace normgrad
