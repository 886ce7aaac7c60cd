// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/copy.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <fstream>
#include <limits>

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

constexpr std::size_t kNothing = std::numeric_limits<std::size_t>::max();
std::atomic<std::size_t> assumed_cache_bytes = kNothing;

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

std::size_t ReadCacheBytes(const char* path) {
  std::size_t kibibytes = 0;  // stays 0 where nothing can be read
  std::ifstream(path) >> kibibytes;
  return kibibytes << 10;
}

std::size_t LastLevelCacheBytes() {
  if (const std::size_t assumed = assumed_cache_bytes; assumed != kNothing) return assumed;
  // Not sysconf(_SC_LEVEL3_CACHE_SIZE), which counts the caches of all core complexes together.
  static const std::size_t kBytes =
      ReadCacheBytes("/sys/devices/system/cpu/cpu0/cache/index3/size");
  return kBytes;
}

void AssumeLastLevelCache(std::optional<std::size_t> bytes) {
  assumed_cache_bytes = bytes.value_or(kNothing);
}

}  // namespace normgrad::cpu
#endif  // HWY_ONCE
