// SPDX-License-Identifier: Apache-2.0
#include "ops/describe.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

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

/// Products that share a dtype row are listed beside it once.
std::string DTypeRows(const Operator& op) {
  std::vector<std::pair<DTypes, std::vector<std::string_view>>> merged;
  for (const DTypeRow& row : DocumentedDTypes(op)) {
    const auto same =
        std::ranges::find_if(merged, [&](const auto& m) { return m.first == row.dtypes; });
    auto& entry = same != merged.end()
                      ? *same
                      : merged.emplace_back(row.dtypes, std::vector<std::string_view>{});
    entry.second.push_back(row.product);
  }
  std::string out = "  ";
  for (const std::string_view column : DTypeColumns(op)) out += fmt::format("{:<12}", column);
  out += "products\n";
  for (const auto& [dtypes, products] : merged) {
    out += "  ";
    for (const DType dtype : dtypes) out += fmt::format("{:<12}", Name(dtype));
    out += fmt::format("{}\n", fmt::join(products, ", "));
  }
  return out;
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

}  // namespace

std::string Describe(const Operator& op) {
  std::string out = fmt::format("{}: {}\n\nformula\n{}", op.name, op.api, Indented(op.formula));
  out += "\nparameters (in C order; *X stands for zero or more axes)\n";
  for (const Param& param : op.params) {
    out += fmt::format("  {:<12}{:<8}{:<12}{}{}\n", param.name,
                       param.kind == Param::Kind::kInput ? "input" : "output", Name(param.role),
                       param.pattern,
                       param.optional        ? "  (optional)"
                       : param.may_omit_ones ? "  (trailing ones may be left out)"
                                             : "");
  }
  out += fmt::format("\nproducts\n{}\ndtypes, one legal combination a row\n{}", Products(op),
                     DTypeRows(op));
  out +=
      "\nphase-1 checks, in this order\n"
      "  161001  workspaceSize, executor or a required tensor is null\n"
      "  161002  the product does not support the operator, or no row of its dtype table fits\n";
  out += fmt::format("  {}  a shape disagrees with the patterns above\n", op.shape_status);
  for (const Rule& rule : op.rules)
    out += fmt::format("  {}  unless {}\n", op.shape_status, rule.text);
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
