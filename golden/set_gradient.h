// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>

#include "golden/normalisation.h"

namespace normgrad {

/// Hands the gradient of x to `consume`, where elements that share statistics are adjacent, as
/// Oracle::reference does; nothing if that output is not present.
///
///   p  = dy * scale                      (exact in float64)
///   m1 = mean of p over a set, 0 without a mean;  m2 = mean of p * xhat
///   dx = rstd * (p - m1 - xhat * m2),    xhat = (x - mean) * rstd
///
/// Of a float32 evaluation, with u = 2^-24, n elements in a set, and X = (|x| + |mean|) * |rstd| in
/// the expanded profile, |xhat| in the centred one:
///   local  RoundingsOf() act on |rstd| * (|p| + |m1| + X * |m2|)
///   m1     its terms carry 1 rounding; an error E of its sum moves dx by |rstd| / n * E
///   m2     the same by |rstd| * (|xhat| + 4 u X) / n * E in the expanded profile, where 4 u X is
///          the error of xhat itself, without it in the centred one
void StreamSetGradient(const Normalisation& call, Profile profile, unsigned threads,
                       const std::function<void(const ReferenceBlock&)>& consume);

}  // namespace normgrad
