// SPDX-License-Identifier: Apache-2.0
// Dtype tables. The first byte chooses the operator.
#include "ops/operators.h"
#include "sweep/dtype_file.h"
#include "sweep/limits.h"
#include "tests/fuzz/fuzz.h"

namespace normgrad::fuzz {
namespace {

void Run(std::string_view text) {
  static const Folder kFolder;
  if (text.empty()) return;
  const auto operators = AllOperators();
  const Operator& op = *operators[static_cast<unsigned char>(text[0]) % operators.size()];
  const std::string path = kFolder.Write("table.csv", text.substr(1));
  Accepts([&] {
    const auto rows = LoadDTypeFile(path, op);
    Require(!rows.empty() && rows.size() <= kMaxDTypeRows, "there are rows, and not too many");
    for (const FileDTypeRow& row : rows) {
      Require(row.cells.size() == DTypeColumns(op).size(), "a row has a cell per column");
      for (const auto& cell : row.cells) Require(!cell.empty(), "a cell has a dtype");
    }
  });
}

}  // namespace
}  // namespace normgrad::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  normgrad::fuzz::Run(normgrad::fuzz::TextOf(data, size));
  return 0;
}
