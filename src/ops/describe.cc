// SPDX-License-Identifier: Apache-2.0
#include "ops/describe.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "ops/contract.h"

namespace normgrad {
namespace {

std::string Indented(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    out += fmt::format("  {}\n", text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

/// Legal cells, "float32|none" where there is a choice.
std::string CellText(const std::vector<DType>& cell) {
  std::string text;
  for (const DType dtype : cell) {
    if (!text.empty()) text += '|';
    text += Name(dtype);
  }
  return text;
}

/// Products that share a dtype row are listed beside it once.
std::string DTypeRows(const Operator& op) {
  const auto columns = DTypeColumns(op);
  std::vector<std::size_t> widths;
  widths.reserve(columns.size());
  for (const std::string_view column : columns) widths.push_back(column.size());
  std::vector<std::pair<std::vector<std::string>, std::vector<std::string_view>>> merged;
  for (const DTypeRow& row : DocumentedDTypes(op)) {
    std::vector<std::string> cells;
    for (std::size_t i = 0; i < row.cells.size(); ++i) {
      cells.push_back(CellText(row.cells[i]));
      widths[i] = std::max(widths[i], cells[i].size());
    }
    const auto same = std::ranges::find_if(merged, [&](const auto& m) { return m.first == cells; });
    auto& entry =
        same != merged.end() ? *same : merged.emplace_back(cells, std::vector<std::string_view>{});
    entry.second.push_back(row.product);
  }
  std::string out = "  ";
  for (std::size_t i = 0; i < columns.size(); ++i) {
    out += fmt::format("{:<{}}", columns[i], widths[i] + 2);
  }
  out += "products\n";
  for (const auto& [cells, products] : merged) {
    out += "  ";
    for (std::size_t i = 0; i < cells.size(); ++i) {
      out += fmt::format("{:<{}}", cells[i], widths[i] + 2);
    }
    out += fmt::format("{}\n", fmt::join(products, ", "));
  }
  return out;
}

std::string_view KindText(const Param& param) {
  switch (param.kind) {
    case Param::Kind::kInput: return "input";
    case Param::Kind::kOutput: return "output";
    case Param::Kind::kExtents: return "int array";
    case Param::Kind::kExtent: return "int64";
    case Param::Kind::kOutputMask: return "bool array";
  }
  return "";
}

std::string ShapeText(const Operator& op, const Param& param) {
  if (param.kind == Param::Kind::kOutputMask) {
    return fmt::format("{} bits, one per output", OutputCount(op));
  }
  std::string text = fmt::format("{}", param.pattern);
  if (param.kind == Param::Kind::kExtent) text = fmt::format("product of {}", param.pattern);
  if (param.fit == Fit::kTrailingOnes) text += "  (trailing ones may be left out)";
  if (param.fit == Fit::kCount) text += "  (any shape with as many elements)";
  if (!param.same_shape_as.empty()) text += fmt::format("  (as {})", param.same_shape_as);
  if (param.optional) text += "  (may be null)";
  return text;
}

std::string Products(const Operator& op) {
  std::string out;
  for (const Support& support : DocumentedSupport(op)) {
    const Product* product = FindProduct(support.product);
    out += fmt::format("  {:<18}{:<14}{}\n", support.product,
                       support.supported ? "supported" : "unsupported",
                       product != nullptr ? product->family : "");
  }
  return out;
}

/// Every rule, whichever products it holds for.
std::vector<DocumentedRule> RulesOfAnyProduct(const Operator& op) {
  std::vector<DocumentedRule> rules;
  for (const Support& support : DocumentedSupport(op)) {
    for (DocumentedRule& rule : DocumentedRules(op, support.product)) {
      const bool known = std::ranges::any_of(
          rules, [&](const DocumentedRule& other) { return other.text == rule.text; });
      if (!known) rules.push_back(std::move(rule));
    }
  }
  return rules;
}

}  // namespace

std::string DescribeSupport(std::span<const Operator* const> operators) {
  std::string out = fmt::format("{:<20}", "product");
  for (const Operator* op : operators) out += fmt::format("{:<28}", op->name);
  out += '\n';
  for (const Product& product : AllProducts()) {
    out += fmt::format("{:<20}", product.key);
    for (const Operator* op : operators) {
      std::size_t rows = 0;
      for (const DTypeRow& row : DocumentedDTypes(*op)) {
        if (row.product != product.key) continue;
        std::size_t combinations = 1;
        for (const auto& cell : row.cells) combinations *= cell.size();
        rows += combinations;
      }
      out += fmt::format("{:<28}", SupportOn(*op, product.key).supported
                                       ? fmt::format("{} dtype combinations", rows)
                                       : "-");
    }
    out.erase(out.find_last_not_of(' ') + 1);
    out += '\n';
  }
  return out;
}

std::string Describe(const Operator& op) {
  std::string out = fmt::format("{}: {}\n\nformula\n{}", op.name, op.api, Indented(op.formula));
  out += "\nparameters (in C order; *X stands for zero or more axes)\n";
  for (const Param& param : op.params) {
    out += fmt::format("  {:<16} {:<11}{:<12}{}\n", param.name, KindText(param),
                       param.IsTensor() ? Name(param.role) : "", ShapeText(op, param));
  }
  out += fmt::format("\nproducts\n{}\ndtypes, one legal combination a row\n{}", Products(op),
                     DTypeRows(op));
  out +=
      "\nwhat phase 1 refuses: null pointers first, then any call for which one of these fails\n";
  for (const DocumentedRule& rule : RulesOfAnyProduct(op)) {
    out += fmt::format("  {}  {}\n", rule.status, rule.text);
  }
  const bool always = std::ranges::all_of(DocumentedSupport(op), [](const Support& support) {
    return support.deterministic == Promise::kAlways;
  });
  out +=
      fmt::format("\ndeterminism\n  equal inputs give equal bits {}\n",
                  always ? "always" : "once ACL_OPT_DETERMINISTIC is 1; by default they may not");
  out += fmt::format("\nsource\n  {}\n", op.source);
  return out;
}

}  // namespace normgrad
