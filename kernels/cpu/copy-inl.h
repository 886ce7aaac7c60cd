// SPDX-License-Identifier: Apache-2.0
// A copy in whole vectors. Included once per target (foreach_target).

#if defined(NORMGRAD_KERNELS_CPU_COPY_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef NORMGRAD_KERNELS_CPU_COPY_INL_H_
#undef NORMGRAD_KERNELS_CPU_COPY_INL_H_
#else
#define NORMGRAD_KERNELS_CPU_COPY_INL_H_
#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/cpu/convert-inl.h"

HWY_BEFORE_NAMESPACE();
namespace normgrad::cpu::HWY_NAMESPACE {

/// Copies `bytes` bytes; the ranges must not overlap, and need no alignment. Streamed ones are
/// visible to other threads behind a hwy::FlushStream().
template <StoreKind kKind>
HWY_INLINE void CopyVectors(std::uint8_t* HWY_RESTRICT dst, const std::uint8_t* HWY_RESTRICT src,
                            std::size_t bytes) {
  const hn::ScalableTag<std::uint8_t> d;
  const std::size_t n = hn::Lanes(d);
  std::size_t i = 0;
  if constexpr (kKind == StoreKind::kStreamed) {
    // Streaming stores need whole vectors; what is left at both ends goes through the cache.
    const std::size_t misaligned = reinterpret_cast<std::uintptr_t>(dst) % n;
    i = std::min(bytes, misaligned == 0 ? 0 : n - misaligned);
    std::memcpy(dst, src, i);
  }
  for (; i + 4 * n <= bytes; i += 4 * n) {
    const auto v0 = hn::LoadU(d, src + i);
    const auto v1 = hn::LoadU(d, src + i + n);
    const auto v2 = hn::LoadU(d, src + i + 2 * n);
    const auto v3 = hn::LoadU(d, src + i + 3 * n);
    StoreVector<kKind>(v0, d, dst + i);
    StoreVector<kKind>(v1, d, dst + i + n);
    StoreVector<kKind>(v2, d, dst + i + 2 * n);
    StoreVector<kKind>(v3, d, dst + i + 3 * n);
  }
  std::memcpy(dst + i, src + i, bytes - i);
}

}  // namespace normgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
