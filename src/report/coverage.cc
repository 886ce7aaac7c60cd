// SPDX-License-Identifier: Apache-2.0
#include "report/coverage.h"

#include <algorithm>
#include <tuple>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "ops/contract.h"
#include "ops/operators.h"

namespace normgrad {
namespace {

bool Passed(const Result& result, std::string_view check) {
  return std::ranges::any_of(result.checks, [&](const CheckResult& answer) {
    return answer.check == check && answer.outcome == Outcome::kPassed;
  });
}

/// "float16-float32-none": the inverse of how results spell dtypes.
DTypes ParseDTypes(std::string_view text) {
  DTypes dtypes;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('-'), text.size());
    dtypes.push_back(ParseDTypeOrNone(text.substr(0, end)));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return dtypes;
}

/// Pairs of dtypes in two columns of `row`, and how many of them combinations in `seen` have.
Share PairsShown(const DTypeRow& row, const std::set<DTypes>& seen) {
  using Pair = std::tuple<std::size_t, DType, std::size_t, DType>;
  std::set<Pair> shown;
  for (const DTypes& dtypes : seen) {
    if (!row.Allows(dtypes)) continue;
    for (std::size_t i = 0; i < dtypes.size(); ++i) {
      for (std::size_t j = i + 1; j < dtypes.size(); ++j) {
        shown.emplace(i, dtypes[i], j, dtypes[j]);
      }
    }
  }
  Share pairs{shown.size(), 0};
  for (std::size_t i = 0; i < row.cells.size(); ++i) {
    for (std::size_t j = i + 1; j < row.cells.size(); ++j) {
      pairs.all += row.cells[i].size() * row.cells[j].size();
    }
  }
  return pairs;
}

std::string RowText(const DTypeRow& row) {
  std::vector<std::string> cells;
  for (const std::vector<DType>& cell : row.cells) {
    std::vector<std::string_view> names;
    names.reserve(cell.size());
    for (const DType dtype : cell) names.push_back(Name(dtype));
    cells.push_back(fmt::format("{}", fmt::join(names, "|")));
  }
  return fmt::format("{}", fmt::join(cells, "-"));
}

}  // namespace

void Coverage::Add(const Result& result) {
  Seen& seen = seen_[result.op][result.product];
  // With an output left out, so is what is known of its dtype.
  const bool whole = result.variant.find("mask=") == std::string::npos;
  if (whole && Passed(result, "accuracy")) seen.dtypes.insert(ParseDTypes(result.dtypes));
  if (!result.rule.empty()) seen.asks_rules = true;
  if (!result.rule.empty() && Passed(result, "contract")) seen.rules.insert(result.rule);
}

std::vector<OperatorCoverage> Coverage::Operators() const {
  std::vector<OperatorCoverage> all;
  for (const Operator* op : AllOperators()) {
    const auto of_op = seen_.find(std::string(op->name));
    if (of_op == seen_.end()) continue;
    OperatorCoverage& coverage = all.emplace_back();
    coverage.op = op->name;
    static const Seen kNothing;
    for (const Support& support : DocumentedSupport(*op)) {
      const auto found = of_op->second.find(std::string(support.product));
      const bool asked = found != of_op->second.end();
      const Seen& seen = asked ? found->second : kNothing;
      // What nobody asked for is one line, not one for everything that could have been asked.
      const auto miss = [&](std::string text) {
        if (asked) coverage.missing.push_back(fmt::format("{}: {}", support.product, text));
      };
      if (!asked) coverage.missing.push_back(fmt::format("{}: no case", support.product));
      if (support.supported) {
        ++coverage.products.all;
        if (!seen.dtypes.empty()) ++coverage.products.shown;
      }
      for (const DTypeRow& row : DocumentedDTypes(*op)) {
        if (row.product != support.product) continue;
        const Share pairs = PairsShown(row, seen.dtypes);
        ++coverage.dtype_rows.all;
        if (pairs.shown == pairs.all) {
          ++coverage.dtype_rows.shown;
        } else {
          miss(fmt::format("dtype row {}: {} of {} pairs", RowText(row), pairs.shown, pairs.all));
        }
      }
      if (asked && !seen.asks_rules) miss("no call that breaks a rule");
      for (const DocumentedRule& rule : DocumentedRules(*op, support.product)) {
        ++coverage.rules.all;
        if (seen.rules.contains(rule.text)) {
          ++coverage.rules.shown;
        } else if (seen.asks_rules) {
          miss(fmt::format("rule: {}", rule.text));
        }
      }
    }
  }
  return all;
}

}  // namespace normgrad
