// SPDX-License-Identifier: Apache-2.0
#include "sweep/call_choices.h"

#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/text.h"
#include "ops/product.h"
#include "sweep/dtype_file.h"
#include "sweep/limits.h"

namespace normgrad {
namespace {

using Kind = YamlNode::Kind;

/// `all` or `[all]`
bool IsAll(std::span<const YamlNode> products) {
  return products.size() == 1 && products[0].kind == Kind::kScalar && products[0].text == "all";
}

/// How many combinations of dtypes `rows` allow, one counted as often as it is allowed.
std::uint64_t CountChoices(const std::vector<DTypeRow>& rows) {
  std::uint64_t count = 0;
  for (const DTypeRow& row : rows) {
    std::uint64_t choices = 1;  // at most 5 per cell: no overflow
    for (const auto& cell : row.cells) choices *= cell.size();
    count += choices;
  }
  return count;
}

}  // namespace

std::vector<DTypes> ReadRows(const YamlNode& node, const Operator& op) {
  const auto columns = DTypeColumns(op);
  std::vector<DTypes> rows;
  for (const YamlNode& item : Alternatives(node, "rows")) {
    DTypes& row = rows.emplace_back();
    std::string_view text = Scalar(item, "row");
    for (bool more = true; more;) {
      const auto end = text.find('-');
      more = end != std::string_view::npos;
      // No dtype's name is as long as what is cut off here: it would only fill the message.
      constexpr std::size_t kLongestShown = 40;
      try {
        row.push_back(ParseDTypeOrNone(text.substr(0, std::min(end, kLongestShown))));
      } catch (const Error& error) {
        item.Fail("row {}: {}", item.Shown(), error.what());
      }
      if (more) text.remove_prefix(end + 1);
    }
    if (row.size() != columns.size()) {
      item.Fail("row {} has {} dtypes: expected {} ({})", item.Shown(), row.size(), columns.size(),
                fmt::join(columns, "-"));
    }
  }
  return rows;
}

std::vector<std::string> ReadProducts(const YamlNode* node, const Operator& op) {
  std::vector<std::string> products;
  if (node == nullptr || IsAll(Alternatives(*node, "products"))) {
    for (const Support& support : DocumentedSupport(op)) {
      if (support.supported) products.emplace_back(support.product);
    }
    return products;
  }
  Names known;
  for (const Product& product : AllProducts()) known.push_back(product.key);
  return Words(*node, "products", "product", known);
}

const DTypeTable& DTypeTables::Of(const YamlNode* node, const Operator& op) {
  const std::string path = node == nullptr ? "" : PathOf(*node, "dtype table");
  const auto found = tables_.find({path, &op});
  if (found != tables_.end()) return found->second;
  if (tables_.size() == kMaxFiles) node->Fail("more than {} dtype tables", kMaxFiles);
  DTypeTable table;
  if (node == nullptr) {
    table.name = fmt::format("the document of {}", op.api);
    for (const DTypeRow& row : DocumentedDTypes(op)) {
      table.rows[std::string(row.product)].push_back(row);
    }
  } else {
    table.name = path;
    for (FileDTypeRow& row : LoadDTypeFile(path, op)) {
      // The product is the key of the map, which outlives the row.
      auto& rows = *table.rows.try_emplace(std::move(row.product)).first;
      rows.second.push_back({rows.first, std::move(row.cells)});
    }
  }
  return tables_.emplace(std::pair(path, &op), std::move(table)).first->second;
}

std::vector<CallChoice> ReadCalls(const std::vector<std::string>& products, const DTypeTable& table,
                                  const std::vector<DTypes>& wanted, const Operator& op) {
  static const std::vector<DTypeRow> kNoRows;
  std::vector<CallChoice> calls;
  for (const std::string& product : products) {
    const auto found = table.rows.find(product);
    const std::vector<DTypeRow>& rows = found == table.rows.end() ? kNoRows : found->second;
    std::vector<DTypes> asked = wanted;
    if (asked.empty()) {
      if (CountChoices(rows) > kMaxCombinations) {
        throw Error("{}: {} combinations of dtypes for {}: expected at most {}", table.name,
                    Grouped(CountChoices(rows)), product, Grouped(kMaxCombinations));
      }
      for (const DTypeRow& row : rows) {
        const auto combinations = row.Combinations();
        asked.insert(asked.end(), combinations.begin(), combinations.end());
      }
    }
    if (asked.empty()) asked.emplace_back();  // still counts as a combination
    for (DTypes& dtypes : asked) {
      const bool in_table = wanted.empty() || std::ranges::any_of(rows, [&](const DTypeRow& row) {
                              return row.Allows(dtypes);
                            });
      std::string refusal;
      if (!SupportOn(op, product).supported) {
        refusal = fmt::format("{} does not support {}", product, op.api);
      } else if (dtypes.empty()) {
        refusal = fmt::format("{} has no row for {}", table.name, product);
      } else if (!in_table) {
        refusal = fmt::format("{} has no row {} for {}", table.name, DTypesText(dtypes), product);
      } else if (!IsDocumented(op, product, dtypes)) {
        refusal = fmt::format("the document of {} has no row {} for {}", op.api, DTypesText(dtypes),
                              product);
      }
      calls.push_back({product, std::move(dtypes), std::move(refusal)});
    }
  }
  return calls;
}

std::vector<CallChoice> ReadRejectCalls(const std::vector<std::string>& products,
                                        const std::vector<DTypes>& wanted, const Operator& op) {
  std::vector<CallChoice> calls;
  for (const std::string& product : products) {
    if (!wanted.empty()) {
      for (const DTypes& dtypes : wanted) calls.push_back({product, dtypes, ""});
      continue;
    }
    const auto rows = DocumentedDTypes(op);
    const auto own = std::ranges::find(rows, product, &DTypeRow::product);
    const DTypeRow& row = own != rows.end() ? *own : rows.front();
    calls.push_back({product, row.Combinations().front(), ""});
  }
  return calls;
}

}  // namespace normgrad
