// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "ops/operators.h"
#include "sweep/sweep_file.h"
#include "sweep/values.h"

namespace normgrad {

/// The keys of an entry that are about products and dtypes. Every function throws Error, at the
/// node that is wrong.

/// `rows`: dtype rows in the spelling of ids, "float16-float32-float16-float32".
std::vector<DTypes> ReadRows(const YamlNode& node, const Operator& op);

/// `products`: keys of products, or all that the operator supports where there is no node.
std::vector<std::string> ReadProducts(const YamlNode* node, const Operator& op);

/// The dtype rows that one table allows.
struct DTypeTable {
  std::string name;                                                  // for messages
  std::map<std::string, std::vector<DTypeRow>, std::less<>> rows{};  // by product
};

/// The tables that sweeps name, each read once: a thousand entries may name the same.
class DTypeTables {
 public:
  /// The table that `node` names; null: the documented one.
  const DTypeTable& Of(const YamlNode* node, const Operator& op);

 private:
  std::map<std::pair<std::string, const Operator*>, DTypeTable> tables_;
};

/// Every product with each combination of its rows of `table`, or each of `wanted` where that is
/// given. What the contract refuses stays in, with the reason, so that it is counted.
std::vector<CallChoice> ReadCalls(const std::vector<std::string>& products, const DTypeTable& table,
                                  const std::vector<DTypes>& wanted, const Operator& op);

/// For calls made to be refused: each product with `wanted`, or with its first documented
/// combination; with the operator's first where the product has none.
std::vector<CallChoice> ReadRejectCalls(const std::vector<std::string>& products,
                                        const std::vector<DTypes>& wanted, const Operator& op);

}  // namespace normgrad
