// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "base/dtype.h"

namespace normgrad::cpu {

/// `count` dense elements of a float dtype as float32.
void Widen(DType dtype, const std::byte* from, std::size_t count, float* to);

/// The reverse, rounding to nearest, ties to even.
void Narrow(const float* from, std::size_t count, DType dtype, std::byte* to);

}  // namespace normgrad::cpu
