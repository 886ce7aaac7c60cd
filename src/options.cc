// SPDX-License-Identifier: Apache-2.0
#include "options.h"

#include <algorithm>
#include <cstdlib>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "base/text.h"
#include "checks/check.h"
#include "report/format.h"
#include "version.h"

namespace normgrad {
namespace {

/// A word of a shell command: quoted when the shell would read it otherwise.
std::string ShellWord(const std::string& word) {
  const bool plain = word.find_first_not_of(
                         "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                         "0123456789/._-=,:+@%") == std::string::npos;
  if (plain && !word.empty()) return word;
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? "'\\''" : std::string(1, c);
  return quoted + "'";
}

std::string KnownChecks() {
  std::string text;
  for (const Check& check : Checks()) {
    text += fmt::format("\n  {:<13}{}", check.name, check.question);
  }
  return text;
}

void AddSelection(CLI::App* command, Options* options) {
  command->add_option("sweeps", options->sweeps, "sweep files (YAML; see cases/README.md)")
      ->required()
      ->type_name("FILE");
  command
      ->add_option("--case", options->selection.case_globs,
                   "only cases whose id is this, contains it, or matches it as a glob (* and ?); "
                   "repeat for more")
      ->allow_extra_args(false)
      ->type_name("ID");
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
  command
      ->add_option("--seed", options->selection.seed,
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
  command->add_option("--device-id", options->device_id, "which device of the library")
      ->capture_default_str()
      ->type_name("N");
}

}  // namespace

Options ParseOptions(int argc, char** argv) {
  Options options;
  for (int i = 0; i < argc; ++i) {
    if (i > 0) options.command_line += ' ';
    options.command_line += i == 0 ? "normgrad-bench" : ShellWord(argv[i]);
  }

  CLI::App app{
      "Validates and benchmarks backward-normalisation operators through CANN's two-stage API.\n"
      "Start with: normgrad-bench run cases/suites/smoke.yaml"};
  app.name("normgrad-bench");
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string("normgrad-bench ") + kVersion);
  app.footer(
      "Exit codes: 0 nothing failed, 1 a verdict failed, 2 something you can fix, "
      "5 the device failed.");

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
  run->add_option("--threads", options.threads,
                  "threads of the oracle and of a CPU device; 0: all cores")
      ->capture_default_str()
      ->type_name("N");
  run->add_option("--repeats", options.repeats, "launches per determinism mode, at least 2")
      ->capture_default_str()
      ->type_name("N");
  std::string profile = "expanded";
  run->add_option("--profile", profile,
                  "rounding profile of the bound: expanded allows x*rstd - mean*rstd, centred is "
                  "stricter")
      ->check(CLI::IsMember({"expanded", "centred"}))
      ->capture_default_str();
  run->add_option("--timeout", options.timeout_seconds, "seconds one launch may take")
      ->check(CLI::Range(0.001, 2e6))
      ->capture_default_str()
      ->type_name("S");
  run->add_flag("-v,--verbose", options.verbose, "log every case and check");
  run->add_flag("-q,--quiet", options.quiet, "no progress; the summary only");
  run->footer("Checks:" + KnownChecks());

  CLI::App* list = app.add_subcommand(
      "list", "List the cases of sweep files, with counts and why combinations were dropped");
  AddSelection(list, &options);
  list->add_flag("-q,--quiet", options.quiet, "counts only");

  CLI::App* describe =
      app.add_subcommand("describe", "Print the contract of operators: formula, dtypes, rules");
  describe->add_option("operators", options.operators, "e.g. rms_norm_grad; default: all")
      ->type_name("NAME");

  CLI::App* devices = app.add_subcommand("devices", "Show what device libraries offer");
  AddDevice(devices, &options);

  std::vector<std::string_view> commands;
  for (const CLI::App* command : {run, list, describe, devices}) {
    commands.push_back(command->get_name());
  }
  const std::string_view first = argc > 1 ? argv[1] : "-";
  if (!first.starts_with('-') && std::ranges::find(commands, first) == commands.end()) {
    throw Error("unknown command '{}': {}", first, Suggest(first, commands));
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // Help and version "errors" have exit code 0 and print themselves.
    if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) {
      std::exit(app.exit(error));
    }
    throw Error("{}; see normgrad-bench --help", error.what());
  }
  if (options.repeats < 2) {
    throw Error("--repeats {}: one launch has nothing to differ from: at least 2", options.repeats);
  }
  for (const std::string& format : options.formats) FindFormat(format);
  options.profile = profile == "centred" ? Profile::kCentred : Profile::kExpanded;
  options.command = run->parsed()        ? Options::Command::kRun
                    : list->parsed()     ? Options::Command::kList
                    : describe->parsed() ? Options::Command::kDescribe
                                         : Options::Command::kDevices;
  return options;
}

std::string RerunCommand(const Options& options, const std::string& case_id) {
  const Options defaults;
  std::string command = "normgrad-bench run";
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
  if (options.profile != defaults.profile) command += " --profile centred";
  if (options.timeout_seconds != defaults.timeout_seconds) {
    command += fmt::format(" --timeout {}", options.timeout_seconds);
  }
  return command;
}

}  // namespace normgrad
