// SPDX-License-Identifier: Apache-2.0
// A device library whose kernel table is empty; no_operator.map hides the operators' entry points.
#include "kernels/api/kernel.h"

namespace normgrad {

std::span<const Kernel> Kernels() { return {}; }

std::optional<Violation> CheckCall(const Operator& op, std::string_view product,
                                   std::span<const CallArg> args, Dims* dims, DTypes* dtypes) {
  return CheckContract(op, product, args, dims, dtypes);
}

}  // namespace normgrad
