// SPDX-License-Identifier: Apache-2.0
// The operators' embedded CSV tables, read into types.
#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>

#include "ops/operator.h"

namespace normgrad {

std::string_view Name(Role role) {
  switch (role) {
    case Role::kData: return "data";
    case Role::kStatistic: return "statistic";
    case Role::kScale: return "scale";
    case Role::kScaleGrad: return "scale_grad";
  }
  return "unknown";
}

std::vector<std::string_view> DTypeColumns(const Operator& op) {
  std::vector<std::string_view> columns;
  for (const Param& param : op.params) {
    if (std::ranges::find(columns, Name(param.role)) == columns.end()) {
      columns.push_back(Name(param.role));
    }
  }
  return columns;
}

std::size_t DTypeColumn(const Operator& op, const Param& param) {
  const auto columns = DTypeColumns(op);
  return static_cast<std::size_t>(std::ranges::find(columns, Name(param.role)) - columns.begin());
}

std::vector<DTypeRow> DocumentedDTypes(const Operator& op) {
  const auto columns = DTypeColumns(op);
  const EmbeddedRow& header = op.dtypes_csv.front();
  std::vector<DTypeRow> rows;
  for (const EmbeddedRow& cells : op.dtypes_csv.subspan(1)) {
    DTypeRow row{cells[0], {}};
    for (const std::string_view column : columns) {
      const auto cell = std::ranges::find(header, column) - header.begin();
      row.dtypes.push_back(ParseDType(cells.at(static_cast<std::size_t>(cell))));
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<Support> DocumentedSupport(const Operator& op) {
  std::vector<Support> rows;
  for (const EmbeddedRow& cells : op.products_csv.subspan(1)) {
    rows.push_back({cells[0], cells[1] == "yes",
                    cells[2] == "always" ? Promise::kAlways : Promise::kOnRequest});
  }
  return rows;
}

Support SupportOn(const Operator& op, std::string_view product) {
  for (const Support& support : DocumentedSupport(op)) {
    if (support.product == product) return support;
  }
  throw std::logic_error(fmt::format("{}: products.csv has no row for {}", op.name, product));
}

}  // namespace normgrad
