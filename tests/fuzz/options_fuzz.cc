// SPDX-License-Identifier: Apache-2.0
// The command line, one word per line, and the command lines that are made of it.
#include <cstdio>

#include "options.h"
#include "tests/fuzz/fuzz.h"

namespace normgrad::fuzz {
namespace {

Options Parse(std::vector<std::string> words) {
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  return ParseOptions(static_cast<int>(words.size()), argv.data());
}

/// The words a POSIX shell makes of a command of plain and single-quoted text.
std::vector<std::string> ShellWords(std::string_view command) {
  std::vector<std::string> words(1);
  bool quoted = false;
  for (std::size_t i = 0; i < command.size(); ++i) {
    const char c = command[i];
    if (c == '\'') {
      quoted = !quoted;
    } else if (quoted) {
      words.back() += c;
    } else if (c == '\\') {
      words.back() += command[++i];
    } else if (c == ' ') {
      words.emplace_back();
    } else {
      Require(std::string_view("|&;<>()$`\"*?[#~!{}\n\t").find(c) == std::string_view::npos,
              "nothing but words reaches the shell", command);
      words.back() += c;
    }
  }
  Require(!quoted, "quotes are closed", command);
  return words;
}

void Run(std::string_view text) {
  std::vector<std::string> words = {"normgrad-bench"};
  for (const std::string& word : Split(text, "\n")) {
    words.push_back(word.substr(0, word.find('\0')));  // no argument holds a zero
  }
  Accepts(
      [&] {
        const Options options = Parse(words);
        if (options.command == Options::Command::kNone) return;  // help
        Require(ShellWords(options.command_line) == words, "the command line is what was typed",
                options.command_line);
        if (options.sweeps.empty() || options.command == Options::Command::kSelftest) return;
        const std::string id = "op/product/A='4`$x'";
        const Options rerun = Parse(ShellWords(RerunCommand(options, id)));
        Require(rerun.selection.case_globs == std::vector{id}, "a rerun is of one case");
        Require(rerun.sweeps == options.sweeps, "a rerun reads the same sweeps");
        Require(rerun.selection.seed == options.selection.seed, "a rerun has the same seed");
        Require(rerun.device == options.device, "a rerun is on the same device");
        const Options resumed = Parse(RunArgs(options));
        Require(resumed.sweeps == options.sweeps, "a resumed run reads the same sweeps");
        Require(resumed.selection.case_globs == options.selection.case_globs, "… the same cases");
        Require(resumed.selection.products == options.selection.products, "… the same products");
        Require(resumed.device == options.device, "… the same device");
        std::vector<std::string> arguments = WorkerArgs(options);
        arguments.insert(arguments.begin(), "normgrad-bench");
        Require(Parse(arguments).device == options.device, "a worker opens the same device");
      },
      std::string::npos);  // a user may be shown what he typed
}

}  // namespace
}  // namespace normgrad::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Help goes to standard output.
  static const bool kQuiet = std::freopen("/dev/null", "w", stdout) != nullptr;
  normgrad::fuzz::Require(kQuiet, "there is a /dev/null");
  normgrad::fuzz::Run(normgrad::fuzz::TextOf(data, size));
  return 0;
}
