// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "ops/operator.h"
#include "report/result.h"

namespace normgrad {

/// How much of something a run has shown.
struct Share {
  std::size_t shown = 0;
  std::size_t all = 0;

  bool operator==(const Share&) const = default;
};

/// How much of one operator's document the cases of a run have shown to hold.
struct OperatorCoverage {
  std::string op{};
  Share products{};    // supported ones with a case whose accuracy passed
  Share dtype_rows{};  // rows of the dtype tables of all products, see Coverage
  Share rules{};       // documented rules, of all products, with a case that breaks it and was
                       // refused as documented
  std::vector<std::string> missing{};  // what is not shown, product by product

  bool operator==(const OperatorCoverage&) const = default;
};

/// What the cases of a run cover of the operators' documents: products, dtype rows, rules.
///
/// A dtype row is covered once cases have passed for every pair of dtypes that it allows in two of
/// its columns: for a row without alternatives, by one case.
class Coverage {
 public:
  void Add(const Result& result);

  /// One entry per operator that has a result, in the order of AllOperators().
  std::vector<OperatorCoverage> Operators() const;

 private:
  struct Seen {
    std::set<DTypes> dtypes;      // of cases whose accuracy passed
    std::set<std::string> rules;  // of calls refused as documented
    bool asks_rules = false;      // some call breaks one
  };

  std::map<std::string, std::map<std::string, Seen>> seen_;  // by operator, by product
};

}  // namespace normgrad
