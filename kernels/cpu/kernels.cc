// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/kernels.h"

namespace normgrad {

std::span<const Kernel> Kernels() {
  static const Kernel kAll[] = {
      cpu::kBatchNormElemtBackward,
      cpu::kGroupNormBackward,
      cpu::kLayerNormBackward,
      cpu::kRmsNormGrad,
  };
  return kAll;
}

std::optional<Violation> CheckCall(const Operator& op, std::string_view product,
                                   std::span<const CallArg> args, Dims* dims, DTypes* dtypes) {
  return CheckContract(op, product, args, dims, dtypes);
}

}  // namespace normgrad
