// SPDX-License-Identifier: Apache-2.0
// Journals: damaged in any way, and with whatever records, sealed as a run would seal them.
#include <fmt/format.h>

#include "base/random.h"
#include "report/journal.h"
#include "tests/fuzz/fuzz.h"

namespace normgrad::fuzz {
namespace {

/// The lines of `text` with the hashes that belong to them, in place of any that they have.
std::string Sealed(std::string_view text) {
  std::string sealed;
  std::uint64_t hash = kJournalHashSeed;
  for (std::string line : Split(text, "\n")) {
    if (line.empty()) continue;
    if (const auto tail = line.rfind(",\"hash\""); tail != std::string::npos) {
      line.resize(tail);
    } else if (line.ends_with('}')) {
      line.pop_back();
    }
    hash = HashText(line, hash);
    sealed += fmt::format("{},\"hash\":\"{:016x}\"}}\n", line, hash);
  }
  return sealed;
}

void Run(std::string_view text) {
  Accepts([&] { ReadJournal(text, "journal.jsonl"); });
  const std::string sealed = Sealed(text);
  Accepts([&] {
    const JournalContents contents = ReadJournal(sealed, "journal.jsonl");
    Require(contents.size == sealed.size(), "a sealed journal is whole");
    // A process that is killed while it writes the last line leaves a piece of it.
    if (sealed.size() < 2) return;
    const std::string cut = sealed.substr(0, sealed.size() - 1);
    Require(ReadJournal(cut, "journal.jsonl").size < cut.size(), "a piece of a line is no record");
  });
}

}  // namespace
}  // namespace normgrad::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  normgrad::fuzz::Run(normgrad::fuzz::TextOf(data, size));
  return 0;
}
