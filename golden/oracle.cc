// SPDX-License-Identifier: Apache-2.0
#include "golden/oracle.h"

#include <stdexcept>

#include <fmt/format.h>

namespace normgrad {

std::span<const Oracle> AllOracles() {
  static const Oracle kAll[] = {
      kRmsNormGradOracle,
      kLayerNormBackwardOracle,
      kGroupNormBackwardOracle,
      kBatchNormElemtBackwardOracle,
  };
  return kAll;
}

const Oracle& OracleOf(const Operator& op) {
  for (const Oracle& oracle : AllOracles()) {
    if (oracle.name == op.name) return oracle;
  }
  throw std::logic_error(fmt::format("{} has no oracle", op.name));
}

}  // namespace normgrad
