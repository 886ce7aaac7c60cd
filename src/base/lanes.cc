// SPDX-License-Identifier: Apache-2.0
#include "base/lanes.h"

#include <algorithm>
#include <atomic>

namespace normgrad {
namespace {

Vectors VectorsOfThisProcessor() {
#if defined(__x86_64__)
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl");
  // Processors with AVX2 have the rest of x86-64-v3, too, but for these.
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("bmi2");
  if (avx512 && avx2) return Vectors::kAvx512;
  if (avx2) return Vectors::kAvx2;
#endif
  return Vectors::kBaseline;
}

std::atomic<Vectors> limit = Vectors::kAvx512;

}  // namespace

Vectors WidestVectors() {
  static const Vectors kVectors = VectorsOfThisProcessor();
  return std::min(kVectors, limit.load(std::memory_order_relaxed));
}

void LimitVectors(Vectors widest) { limit = widest; }

}  // namespace normgrad
