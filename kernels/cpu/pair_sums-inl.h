// SPDX-License-Identifier: Apache-2.0
// Sums of adjacent lanes. Included once per target (foreach_target).

#if defined(NORMGRAD_KERNELS_CPU_PAIR_SUMS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef NORMGRAD_KERNELS_CPU_PAIR_SUMS_INL_H_
#undef NORMGRAD_KERNELS_CPU_PAIR_SUMS_INL_H_
#else
#define NORMGRAD_KERNELS_CPU_PAIR_SUMS_INL_H_
#endif

#include "kernels/cpu/convert-inl.h"

HWY_BEFORE_NAMESPACE();
namespace normgrad::cpu::HWY_NAMESPACE {

/// Adds up pairs of adjacent lanes: those of `a`, then those of `b`.
HWY_INLINE VF PairSums(VF a, VF b) {
#if HWY_TARGET == HWY_SCALAR
  return hn::Add(a, b);  // the only pair
#else
  return hn::Add(hn::ConcatEven(DF(), b, a), hn::ConcatOdd(DF(), b, a));
#endif
}

/// Adds up every kCount adjacent lanes of kCount vectors, a power of 2, one vector behind the
/// other.
template <std::size_t kCount>
HWY_INLINE VF ReducedTogether(const VF* vectors) {
  if constexpr (kCount == 1) {
    return vectors[0];
  } else {
    constexpr std::size_t kHalf = kCount / 2;
    return PairSums(ReducedTogether<kHalf>(vectors), ReducedTogether<kHalf>(vectors + kHalf));
  }
}

}  // namespace normgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
