// SPDX-License-Identifier: Apache-2.0
// What libFuzzer does, without coverage and the same every time: runs a target on its seeds and on
// a fixed number of mutations of them.
//
//   <target> RUNS SEEDS [DICTIONARY]
//   <target> FILE                      one input again
//
// A crash leaves the input in finding-<target>; the sanitizers must be told to abort.
#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <span>
#include <string>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

namespace normgrad::fuzz {
namespace {

constexpr std::size_t kLongestInput = std::size_t{1} << 14;

// For the signal handler, which can be given nothing.
std::string current_input;
std::string finding_path;

void SaveFinding(int signal) {
  const int file = ::open(finding_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (file >= 0) {
    const auto written = ::write(file, current_input.data(), current_input.size());
    static_cast<void>(written);
    ::close(file);
  }
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void RunOnce(std::string input) {
  current_input = std::move(input);
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(current_input.data()),
                         current_input.size());
}

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  Require(in.good(), "the file can be read", path.string());
  return {std::istreambuf_iterator<char>(in), {}};
}

/// The quoted words of a libFuzzer dictionary, which here have no other escapes than \\, \" and
/// \xAB.
std::vector<std::string> ReadDictionary(const std::filesystem::path& path) {
  std::vector<std::string> words;
  for (const std::string& line : Split(ReadFile(path), "\n")) {
    const auto first = line.find('"'), last = line.rfind('"');
    if (line.starts_with('#') || first == last) continue;
    std::string word;
    for (std::size_t i = first + 1; i < last; ++i) {
      if (line[i] == '\\' && line[i + 1] == 'x') {
        int code = 0;
        std::from_chars(&line[i + 2], &line[i + 4], code, 16);
        word += static_cast<char>(code);
        i += 3;
      } else {
        if (line[i] == '\\') ++i;
        word += line[i];
      }
    }
    words.push_back(std::move(word));
  }
  return words;
}

class Mutator {
 public:
  Mutator(std::vector<std::string> seeds, std::vector<std::string> words)
      : seeds_(std::move(seeds)), words_(std::move(words)) {}

  std::string Next() {
    std::string text = Pick(seeds_);
    for (std::size_t left = 1 + Below(5); left > 0; --left) Mutate(text);
    if (text.size() > kLongestInput) text.resize(kLongestInput);
    return text;
  }

 private:
  void Mutate(std::string& text) {
    const std::size_t at = Below(text.size() + 1);
    const std::size_t length = Below(std::min<std::size_t>(text.size() - at, 32) + 1);
    switch (Below(9)) {
      case 0:
        if (at < text.size()) text[at] = static_cast<char>(text[at] ^ (1 << Below(8)));
        return;
      case 1: text.insert(at, 1, static_cast<char>(Below(256))); return;
      case 2: text.erase(at, length); return;
      case 3: text.insert(at, text.substr(Below(text.size() + 1), length)); return;
      case 4: text.replace(at, length, Pick(words_)); return;
      case 5: text.insert(at, Pick(words_)); return;
      case 6: {  // the start of this one, the end of another
        const std::string& other = Pick(seeds_);
        text.replace(at, std::string::npos, other.substr(Below(other.size() + 1)));
        return;
      }
      case 7: {  // a line, again and again
        const auto start = at == 0 ? 0 : text.rfind('\n', at - 1) + 1;
        const std::string line = text.substr(start, text.find('\n', at) - start) + "\n";
        for (std::size_t copies = 1 + Below(20); copies > 0; --copies) text.insert(start, line);
        return;
      }
      default: {  // a word, again and again: nesting, giant numbers
        const std::string& word = Pick(words_);
        std::string many;
        for (std::size_t copies = std::size_t{1} << Below(10); copies > 0; --copies) many += word;
        text.insert(at, many);
      }
    }
  }

  /// The same on every platform, which the distributions of the library are not.
  std::size_t Below(std::size_t limit) { return random_() % limit; }

  const std::string& Pick(const std::vector<std::string>& from) { return from[Below(from.size())]; }

  std::vector<std::string> seeds_;
  std::vector<std::string> words_;
  std::mt19937_64 random_{20240229};
};

int Main(std::span<char*> arguments) {
  const std::filesystem::path program = arguments[0];
  finding_path = "finding-" + program.filename().string();
  for (const int signal : {SIGABRT, SIGSEGV, SIGFPE}) std::signal(signal, SaveFinding);
  if (arguments.size() == 2) {
    RunOnce(ReadFile(arguments[1]));
    return 0;
  }
  Require(arguments.size() >= 3, "arguments are RUNS SEEDS [DICTIONARY], or FILE");
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(arguments[2])) {
    files.push_back(entry.path());
  }
  Require(!files.empty(), "there are seeds");
  std::ranges::sort(files);
  std::vector<std::string> seeds;
  seeds.reserve(files.size());
  for (const auto& file : files) seeds.push_back(ReadFile(file));
  for (const std::string& seed : seeds) RunOnce(seed);

  std::vector<std::string> words = {"[", "{", "\"", ",", "\n", " ", "9", "-", "0"};
  if (arguments.size() > 3) {
    const auto more = ReadDictionary(arguments[3]);
    words.insert(words.end(), more.begin(), more.end());
  }
  Mutator mutator(std::move(seeds), std::move(words));
  const std::string runs = arguments[1];
  for (std::size_t left = std::stoul(runs); left > 0; --left) RunOnce(mutator.Next());
  std::printf("%zu seeds and %s mutations\n", files.size(), runs.c_str());
  return 0;
}

}  // namespace
}  // namespace normgrad::fuzz

int main(int argc, char** argv) {
  return normgrad::fuzz::Main({argv, static_cast<std::size_t>(argc)});
}
