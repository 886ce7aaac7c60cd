// SPDX-License-Identifier: Apache-2.0
// Sweep files, from text to cases. "%%" on a line of its own ends the sweep and starts the file it
// may include, other.yaml, and after that the dtype table it may name, table.csv.
#include <set>

#include "sweep/sweep.h"
#include "sweep/sweep_file.h"
#include "tests/fuzz/fuzz.h"

namespace normgrad::fuzz {
namespace {

// Enough for any property; what is above takes time and shows nothing more.
constexpr std::uint64_t kFewCombinations = 2000;

constexpr std::string_view kTable =
    "product,data,statistic,scale,scale_grad\natlas-a2,float16|float32,float32,float16,float32\n";

void Check(const std::string& path) {
  const Sweep sweep = LoadSweeps({path}, {});
  std::uint64_t dropped = 0;
  for (const Drop& drop : sweep.drops) dropped += drop.count;
  Require(sweep.combinations == sweep.cases.size() + dropped, "every combination is accounted for");
  std::set<std::string> ids;
  for (const Case& the_case : sweep.cases) {
    const std::string id = the_case.Id();
    Require(ids.insert(id).second, "ids are unique", id);
    Require(the_case.expectation.has_value() || !ViolationOf(the_case), "cases are legal", id);
  }
  const std::string id = sweep.cases.back().Id();
  Selection selection;
  selection.case_globs = {id};
  const Sweep again = LoadSweeps({path}, selection);
  Require(again.cases.size() == 1 && again.cases[0].Id() == id, "an id selects its case", id);
}

void Run(std::string_view text) {
  static const Folder kFolder;
  const auto parts = Split(text, "\n%%\n");
  const std::string path = kFolder.Write("sweep.yaml", parts[0]);
  kFolder.Write("other.yaml", parts.size() > 1 ? parts[1] : "");
  kFolder.Write("table.csv", parts.size() > 2 ? parts[2] : kTable);
  Accepts([&] {
    std::uint64_t combinations = 0;
    std::vector<std::string> files;
    ReadSweepFiles({path}, &files, [&](const SweepEntry& entry) {
      const std::uint64_t more = CountCombinations(entry);
      combinations = more > kFewCombinations ? more : combinations + more;
    });
    if (combinations <= kFewCombinations) Check(path);
  });
}

}  // namespace
}  // namespace normgrad::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  normgrad::fuzz::Run(normgrad::fuzz::TextOf(data, size));
  return 0;
}
