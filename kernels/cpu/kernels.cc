// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/kernels.h"

namespace normgrad {

std::span<const Kernel> Kernels() {
  static const Kernel kAll[] = {
      cpu::kRmsNormGrad,
  };
  return kAll;
}

}  // namespace normgrad
