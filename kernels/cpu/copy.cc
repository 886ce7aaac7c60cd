// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/copy.h"

#include <algorithm>
#include <cstdint>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/copy.cc"
#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/copy-inl.h"
#include "kernels/cpu/thread_pool.h"

HWY_BEFORE_NAMESPACE();
namespace normgrad::cpu::HWY_NAMESPACE {

void CopyRange(std::uint8_t* HWY_RESTRICT dst, const std::uint8_t* HWY_RESTRICT src,
               std::size_t bytes) {
  CopyVectors<StoreKind::kStreamed>(dst, src, bytes);
  hwy::FlushStream();
}

}  // namespace normgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace normgrad::cpu {
namespace {

HWY_EXPORT(CopyRange);

}  // namespace

void StreamingCopyOnThisThread(void* dst, const void* src, std::size_t bytes) {
  HWY_DYNAMIC_DISPATCH(CopyRange)
  (static_cast<std::uint8_t*>(dst), static_cast<const std::uint8_t*>(src), bytes);
}

void StreamingCopy(void* dst, const void* src, std::size_t bytes) {
  constexpr std::size_t kPartBytes = std::size_t{1} << 20;
  Threads()->Run((bytes + kPartBytes - 1) / kPartBytes, [&](std::size_t part) {
    const std::size_t first = part * kPartBytes;
    StreamingCopyOnThisThread(static_cast<std::uint8_t*>(dst) + first,
                              static_cast<const std::uint8_t*>(src) + first,
                              std::min(kPartBytes, bytes - first));
  });
}

}  // namespace normgrad::cpu
#endif  // HWY_ONCE
