// SPDX-License-Identifier: Apache-2.0
#include "ops/operators.h"

#include "base/error.h"
#include "base/text.h"

namespace normgrad {

std::span<const Operator* const> AllOperators() {
  static constexpr const Operator* kAll[] = {
      &kRmsNormGrad,
      &kLayerNormBackward,
      &kGroupNormBackward,
      &kBatchNormElemtBackward,
  };
  return kAll;
}

const Operator& FindOperator(std::string_view name) {
  std::vector<std::string_view> known;
  for (const Operator* op : AllOperators()) {
    if (op->name == name) return *op;
    known.push_back(op->name);
  }
  throw Error("unknown operator '{}': {}", name, Suggest(name, known));
}

}  // namespace normgrad
