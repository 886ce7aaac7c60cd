// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/api/kernel.h"

namespace normgrad::cpu {

// One per operator, defined in the file of its name.
extern const Kernel kBatchNormElemtBackward;
extern const Kernel kGroupNormBackward;
extern const Kernel kLayerNormBackward;
extern const Kernel kRmsNormGrad;

}  // namespace normgrad::cpu
