// SPDX-License-Identifier: Apache-2.0
// The operators' embedded CSV tables, read into types.
#include <algorithm>
#include <map>
#include <mutex>
#include <stdexcept>

#include <fmt/format.h>

#include "ops/operator.h"

namespace normgrad {
namespace {

struct Tables {
  std::vector<DTypeRow> dtypes;
  std::vector<Support> support;
};

/// "float32|none"
std::vector<DType> ParseCell(std::string_view cell) {
  std::vector<DType> dtypes;
  while (!cell.empty()) {
    const std::size_t end = std::min(cell.find('|'), cell.size());
    dtypes.push_back(ParseDTypeOrNone(cell.substr(0, end)));
    cell.remove_prefix(std::min(end + 1, cell.size()));
  }
  return dtypes;
}

std::vector<DTypeRow> ParseDTypes(const Operator& op) {
  const auto columns = DTypeColumns(op);
  const EmbeddedRow& header = op.dtypes_csv.front();
  std::vector<DTypeRow> rows;
  for (const EmbeddedRow& cells : op.dtypes_csv.subspan(1)) {
    DTypeRow row{cells[0], {}};
    for (const std::string_view column : columns) {
      const auto cell = std::ranges::find(header, column) - header.begin();
      row.cells.push_back(ParseCell(cells.at(static_cast<std::size_t>(cell))));
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<Support> ParseSupport(const Operator& op) {
  std::vector<Support> rows;
  for (const EmbeddedRow& cells : op.products_csv.subspan(1)) {
    rows.push_back({cells[0], cells[1] == "yes",
                    cells[2] == "always" ? Promise::kAlways : Promise::kOnRequest});
  }
  return rows;
}

const Tables& TablesOf(const Operator& op) {
  // Never destroyed: threads of a device library may outlive the objects of this one.
  static auto& mutex = *new std::mutex;
  static auto& tables = *new std::map<const Operator*, Tables>;
  const std::lock_guard lock(mutex);
  auto found = tables.find(&op);
  if (found == tables.end()) {
    found = tables.emplace(&op, Tables{ParseDTypes(op), ParseSupport(op)}).first;
  }
  return found->second;
}

/// ColumnName(a) == ColumnName(b), at the price of a comparison of numbers in most cases.
bool SameColumn(const Param& a, const Param& b) {
  if (a.own_dtype != b.own_dtype) return false;
  return a.own_dtype ? a.name == b.name : a.role == b.role;
}

}  // namespace

std::string_view Name(Role role) {
  switch (role) {
    case Role::kData: return "data";
    case Role::kStatistic: return "statistic";
    case Role::kScale: return "scale";
    case Role::kScaleGrad: return "scale_grad";
    case Role::kChannelSum: return "channel_sum";
    case Role::kCount: return "count";
  }
  return "unknown";
}

bool DTypeRow::Allows(const DTypes& dtypes) const {
  if (dtypes.size() != cells.size()) return false;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (std::ranges::find(cells[i], dtypes[i]) == cells[i].end()) return false;
  }
  return true;
}

std::vector<DTypes> DTypeRow::Combinations() const {
  std::vector<DTypes> combinations(1);
  for (const std::vector<DType>& cell : cells) {
    std::vector<DTypes> longer;
    longer.reserve(combinations.size() * cell.size());
    for (const DTypes& start : combinations) {
      for (const DType dtype : cell) longer.emplace_back(start).push_back(dtype);
    }
    combinations = std::move(longer);
  }
  return combinations;
}

std::optional<std::size_t> FindParam(const Operator& op, std::string_view name) {
  const auto found = std::ranges::find(op.params, name, &Param::name);
  if (found == op.params.end()) return std::nullopt;
  return static_cast<std::size_t>(found - op.params.begin());
}

std::size_t OutputCount(const Operator& op) {
  return static_cast<std::size_t>(
      std::ranges::count(op.params, Param::Kind::kOutput, &Param::kind));
}

std::string_view ColumnName(const Param& param) {
  return param.own_dtype ? param.name : Name(param.role);
}

std::vector<std::string_view> DTypeColumns(const Operator& op) {
  std::vector<std::string_view> columns;
  columns.reserve(op.params.size());
  for (const Param& param : op.params) {
    if (param.IsTensor() && std::ranges::find(columns, ColumnName(param)) == columns.end()) {
      columns.push_back(ColumnName(param));
    }
  }
  return columns;
}

std::size_t DTypeColumn(const Operator& op, const Param& param) {
  // Without DTypeColumns(), which takes memory: planning asks this dozens of times per case.
  std::size_t column = 0;
  for (auto other = op.params.begin(); other != op.params.end(); ++other) {
    if (!other->IsTensor()) continue;
    if (SameColumn(*other, param)) break;
    const bool is_new = std::none_of(op.params.begin(), other, [&](const Param& earlier) {
      return earlier.IsTensor() && SameColumn(earlier, *other);
    });
    if (is_new) ++column;
  }
  return column;
}

std::span<const DTypeRow> DocumentedDTypes(const Operator& op) { return TablesOf(op).dtypes; }

bool IsDocumented(const Operator& op, std::string_view product, const DTypes& dtypes) {
  return std::ranges::any_of(DocumentedDTypes(op), [&](const DTypeRow& row) {
    return row.product == product && row.Allows(dtypes);
  });
}

std::span<const Support> DocumentedSupport(const Operator& op) { return TablesOf(op).support; }

Support SupportOn(const Operator& op, std::string_view product) {
  for (const Support& support : DocumentedSupport(op)) {
    if (support.product == product) return support;
  }
  throw std::logic_error(fmt::format("{}: products.csv has no row for {}", op.name, product));
}

}  // namespace normgrad
