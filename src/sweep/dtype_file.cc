// SPDX-License-Identifier: Apache-2.0
#include "sweep/dtype_file.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include <csv.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "base/text.h"
#include "ops/product.h"
#include "sweep/limits.h"
#include "sweep/text_file.h"

namespace normgrad {
namespace {

/// The lines of a CSV file that are neither empty nor comments, cut into cells.
class CsvFile {
 public:
  explicit CsvFile(const std::string& path)
      : path_(path),
        text_(ReadTextFile(path, "CSV")),
        lines_(path, text_.data(), text_.data() + text_.size()) {
    // Lines end with one where they are handed out.
    if (text_.find('\0') != std::string::npos) {
      throw Error("{}: holds a NUL byte: expected a CSV file", path);
    }
  }

  /// The cells of the next line; empty at the end of the file.
  std::vector<std::string_view> Next() {
    while (const char* text = lines_.next_line()) {
      const std::string_view line = Trim(text);
      if (!line.empty() && !line.starts_with('#')) return Cells(line);
    }
    return {};
  }

  int Line() const { return static_cast<int>(lines_.get_file_line()); }

  template <typename... Args>
  [[noreturn]] void Fail(fmt::format_string<Args...> format, Args&&... args) const {
    throw Error("{}:{}: {}", path_, Line(), fmt::format(format, std::forward<Args>(args)...));
  }

 private:
  /// Of no dtype, product or column; keeps a file that is no table out of the messages.
  static constexpr std::size_t kLongestCell = 100;

  static std::string_view Trim(std::string_view text) {
    constexpr std::string_view kBlanks = " \t\r";
    const auto first = text.find_first_not_of(kBlanks);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(kBlanks) + 1 - first);
  }

  std::vector<std::string_view> Cells(std::string_view line) const {
    std::vector<std::string_view> cells;
    for (;;) {
      const auto comma = line.find(',');
      cells.push_back(Trim(line.substr(0, comma)));
      if (const std::size_t length = cells.back().size(); length > kLongestCell) {
        Fail("a cell of {} bytes: expected at most {}: is this a dtype table?", length,
             kLongestCell);
      }
      if (comma == std::string_view::npos) return cells;
      line.remove_prefix(comma + 1);
    }
  }

  const std::string& path_;
  std::string text_;
  io::LineReader lines_;
};

/// For every column of `columns`, its place in the header line.
std::vector<std::size_t> ReadHeader(CsvFile& csv, const std::vector<std::string_view>& columns,
                                    const std::string& path) {
  const auto header = csv.Next();
  if (header.empty()) {
    throw Error("{}: the file is empty: expected a header line {}", path, fmt::join(columns, ","));
  }
  for (const std::string_view name : header) {
    if (std::ranges::find(columns, name) == columns.end()) {
      csv.Fail("unknown column '{}': {}", name, Suggest(name, columns));
    }
    if (std::ranges::count(header, name) > 1) csv.Fail("column '{}' is given twice", name);
  }
  std::vector<std::size_t> places;
  for (const std::string_view column : columns) {
    const auto found = std::ranges::find(header, column);
    if (found == header.end()) {
      csv.Fail("column '{}' is missing: expected {}", column, fmt::join(columns, ","));
    }
    places.push_back(static_cast<std::size_t>(found - header.begin()));
  }
  return places;
}

/// "float32|none"
std::vector<DType> ParseCell(std::string_view cell) {
  std::vector<DType> dtypes;
  for (bool more = true; more;) {
    const auto bar = cell.find('|');
    more = bar != std::string_view::npos;
    const DType dtype = ParseDTypeOrNone(cell.substr(0, bar));
    if (std::ranges::find(dtypes, dtype) != dtypes.end()) {
      throw Error("dtype '{}' is given twice in a cell", Name(dtype));
    }
    dtypes.push_back(dtype);
    if (more) cell.remove_prefix(bar + 1);
  }
  return dtypes;
}

std::vector<FileDTypeRow> ReadRows(CsvFile& csv, const std::string& path, const Operator& op) {
  auto columns = DTypeColumns(op);
  columns.insert(columns.begin(), "product");
  const auto places = ReadHeader(csv, columns, path);

  std::vector<std::string_view> products;
  for (const Product& product : AllProducts()) products.push_back(product.key);

  std::vector<FileDTypeRow> rows;
  std::map<std::pair<std::string, std::vector<std::vector<DType>>>, int> line_of;
  for (auto cells = csv.Next(); !cells.empty(); cells = csv.Next()) {
    if (cells.size() != columns.size()) {
      csv.Fail("{} cells: expected {} ({})", cells.size(), columns.size(), fmt::join(columns, ","));
    }
    FileDTypeRow row{std::string(cells[places[0]]), {}, csv.Line()};
    if (FindProduct(row.product) == nullptr) {
      csv.Fail("unknown product '{}': {}", row.product, Suggest(row.product, products));
    }
    for (std::size_t column = 1; column < places.size(); ++column) {
      try {
        row.cells.push_back(ParseCell(cells[places[column]]));
      } catch (const Error& error) {
        csv.Fail("{}", error.what());
      }
    }
    const auto [seen, is_new] = line_of.emplace(std::pair(row.product, row.cells), row.line);
    if (!is_new) csv.Fail("the row is given twice: the first is in line {}", seen->second);
    if (rows.size() == kMaxDTypeRows) csv.Fail("more than {} rows: expected fewer", kMaxDTypeRows);
    rows.push_back(std::move(row));
  }
  if (rows.empty()) throw Error("{}: has no row: expected one per dtype combination", path);
  return rows;
}

}  // namespace

std::vector<FileDTypeRow> LoadDTypeFile(const std::string& path, const Operator& op) {
  CsvFile csv(path);
  return ReadRows(csv, path, op);
}

}  // namespace normgrad
