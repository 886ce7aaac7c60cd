// SPDX-License-Identifier: Apache-2.0
// Copies and outputs in whole vectors. Included once per target (foreach_target).

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
    if (i > 0) std::memcpy(dst, src, i);
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
  for (; i + n <= bytes; i += n) StoreVector<kKind>(hn::LoadU(d, src + i), d, dst + i);
  if (i < bytes) std::memcpy(dst + i, src + i, bytes - i);  // a call takes longer than a look
}

/// Writes adjacent elements that come in pieces of any length, up to kMost. They are collected and
/// moved a few lines at a time, because only whole aligned vectors can go past the caches; no more
/// than a few, so that memory is written while what comes next is read.
template <class Element, std::size_t kMost>
class CollectedOutput {
 public:
  /// `stream`: past the caches.
  HWY_INLINE CollectedOutput(Element* to, bool stream)
      : to_(reinterpret_cast<std::uint8_t*>(to)), stream_(stream) {}

  /// Where to put the next piece. What is written behind it, up to kMaxBlock elements, is
  /// overwritten by the piece after it, or lost.
  HWY_INLINE Element* Next() { return reinterpret_cast<Element*>(bytes_ + filled_); }

  HWY_INLINE void Add(std::size_t count) {
    filled_ += count * sizeof(Element);
    if (filled_ < kMoveBytes) return;
    const std::size_t whole = filled_ - (reinterpret_cast<std::uintptr_t>(to_) + filled_) % kLine;
    Move(whole);
    filled_ -= whole;
    std::memcpy(bytes_, bytes_ + whole, kLine);  // what is left is less
  }

  HWY_INLINE void Finish() { Move(filled_); }

 private:
  static constexpr std::size_t kLine = 64;
  static constexpr std::size_t kMoveBytes = 512;

  HWY_INLINE void Move(std::size_t bytes) {
    stream_ ? CopyVectors<StoreKind::kStreamed>(to_, bytes_, bytes)
            : CopyVectors<StoreKind::kCached>(to_, bytes_, bytes);
    to_ += bytes;
  }

  HWY_ALIGN std::uint8_t bytes_[kMoveBytes + (kMost + kMaxBlock) * sizeof(Element)];
  std::size_t filled_ = 0;
  std::uint8_t* to_;
  bool stream_;
};

}  // namespace normgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
