// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>

#include "golden/normalisation.h"

namespace normgrad {

/// Hands the gradients of scale and bias to `consume`, as Oracle::reference does, those of the two
/// outputs that are present: sums over the elements of each scale's owner.
///
///   dscale = sum of dy * xhat,   xhat = (x - mean) * rstd
///   dbias  = sum of dy
///
/// Of a float32 evaluation: the terms of dscale carry RoundingsOf() and 2 act on the sum (partial
/// sums stored, result stored); those of dbias carry none and 1 acts on the sum.
void StreamScaleGradients(const Normalisation& call, Profile profile, unsigned threads,
                          const std::function<void(const ReferenceBlock&)>& consume);

}  // namespace normgrad
