// SPDX-License-Identifier: Apache-2.0
// What the norms with a mean have in common. Included once per target (foreach_target).

#if defined(NORMGRAD_KERNELS_CPU_CENTRED_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef NORMGRAD_KERNELS_CPU_CENTRED_INL_H_
#undef NORMGRAD_KERNELS_CPU_CENTRED_INL_H_
#else
#define NORMGRAD_KERNELS_CPU_CENTRED_INL_H_
#endif

#include "kernels/cpu/convert-inl.h"

HWY_BEFORE_NAMESPACE();
namespace normgrad::cpu::HWY_NAMESPACE {

/// Not x * rstd - mean * rstd, which loses the bits that cancel.
HWY_INLINE VF Normalized(VF x, VF mean, VF rstd) { return hn::Mul(hn::Sub(x, mean), rstd); }

/// factor * (dy * scale - offset - xhat * slope). Nothing is multiplied out: factor * slope can
/// overflow where xhat is an ordinary number.
HWY_INLINE VF CentredGradient(VF dy, VF xhat, VF scale, VF offset, VF slope, VF factor) {
  return hn::Mul(factor, hn::NegMulAdd(xhat, slope, hn::MulSub(dy, scale, offset)));
}

}  // namespace normgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
