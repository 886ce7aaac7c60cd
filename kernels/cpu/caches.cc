// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/caches.h"

#include <atomic>
#include <fstream>
#include <limits>

namespace normgrad::cpu {
namespace {

constexpr std::size_t kNothing = std::numeric_limits<std::size_t>::max();
std::atomic<std::size_t> assumed_first_level = kNothing;
std::atomic<std::size_t> assumed_last_level = kNothing;

}  // namespace

std::size_t ReadCacheBytes(const char* path) {
  std::size_t kibibytes = 0;  // stays 0 where nothing can be read
  std::ifstream(path) >> kibibytes;
  return kibibytes << 10;
}

std::size_t FirstLevelCacheBytes() {
  if (const std::size_t assumed = assumed_first_level; assumed != kNothing) return assumed;
  static const std::size_t kBytes =
      ReadCacheBytes("/sys/devices/system/cpu/cpu0/cache/index0/size");
  return kBytes;
}

std::size_t LastLevelCacheBytes() {
  if (const std::size_t assumed = assumed_last_level; assumed != kNothing) return assumed;
  // Not sysconf(_SC_LEVEL3_CACHE_SIZE), which counts the caches of all core complexes together.
  static const std::size_t kBytes =
      ReadCacheBytes("/sys/devices/system/cpu/cpu0/cache/index3/size");
  return kBytes;
}

void AssumeFirstLevelCache(std::optional<std::size_t> bytes) {
  assumed_first_level = bytes.value_or(kNothing);
}

void AssumeLastLevelCache(std::optional<std::size_t> bytes) {
  assumed_last_level = bytes.value_or(kNothing);
}

}  // namespace normgrad::cpu
