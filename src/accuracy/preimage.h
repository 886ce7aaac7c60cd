// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "accuracy/bound.h"
#include "base/dtype.h"

namespace normgrad {

/// The real numbers that may become each of `count` consecutive elements from `address` on, when a
/// device rounds as `rule` says: low[i] <= v <= high[i], both exact in float64, NaN for an element
/// that no number becomes. Ends belong to the interval only where IsOwnEnd() says so. Less
/// than a nanosecond per element; RoundingPreimage() is the same for the rule by default.
void RoundingPreimages(DType dtype, const BoundRule& rule, const void* address, std::size_t count,
                       double* low, double* high);

/// Whether `end`, an end of the preimage of the element at `address`, becomes that element itself:
/// at a tie, only the even one of two neighbours is right.
bool IsOwnEnd(DType dtype, Rounding rounding, const void* address, double end);

}  // namespace normgrad
