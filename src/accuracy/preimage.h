// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "base/dtype.h"

namespace normgrad {

/// RoundingPreimage() of `count` consecutive elements from `address` on: low[i] <= v <= high[i].
/// The same numbers, bit for bit but for the sign of zero, in a few nanoseconds per element.
void RoundingPreimages(DType dtype, const void* address, std::size_t count, double* low,
                       double* high);

}  // namespace normgrad
