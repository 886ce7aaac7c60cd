// SPDX-License-Identifier: Apache-2.0
// Rows of known deviations, and what they say of a case. The tool embeds the table, so that what is
// wrong in it is a bug of ours: std::logic_error.
#include <stdexcept>

#include "ops/operators.h"
#include "sweep/deviations.h"
#include "tests/fuzz/fuzz.h"

namespace normgrad::fuzz {
namespace {

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (const Operator* op : AllOperators()) {
    Case& the_case = cases.emplace_back();
    the_case.op = op;
    the_case.product = "atlas-a2";
    for (const char* symbol : {"A", "C", "G", "K", "N", "R", "S"}) the_case.dims[symbol] = {2};
    the_case.dtypes = DocumentedDTypes(*op).front().Combinations().front();
    the_case.changes["x"].null = true;
  }
  return cases;
}

void Run(std::string_view text) {
  static const std::vector<Case> kCases = Cases();
  const auto lines = Split(text, "\n");
  std::vector<std::vector<std::string>> cells;  // the rows are views of them
  std::vector<DeviationCells> rows;
  for (const std::string& line : lines) {
    const auto& row = cells.emplace_back(Split(line, ","));
    DeviationCells views;
    if (row.size() != views.size()) continue;
    std::ranges::copy(row, views.begin());
    rows.push_back(views);
  }
  try {
    for (const Deviation& deviation : ParseDeviations(rows)) {
      for (const Case& the_case : kCases) IsAbout(deviation, the_case);
    }
  } catch (const std::logic_error& error) {
    Require(error.what()[0] != '\0', "an error says something");
  }
}

}  // namespace
}  // namespace normgrad::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  normgrad::fuzz::Run(normgrad::fuzz::TextOf(data, size));
  return 0;
}
