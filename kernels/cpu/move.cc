// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/move.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/move.cc"
#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/copy-inl.h"
#include "kernels/cpu/copy.h"
#include "kernels/cpu/thread_pool.h"

HWY_BEFORE_NAMESPACE();
namespace normgrad::cpu::HWY_NAMESPACE {

std::uint64_t SumRange(const std::uint8_t* src, std::size_t bytes) {
  std::size_t i = 0;
  std::uint64_t sum = 0;
#if HWY_TARGET != HWY_SCALAR  // whose vectors are too short for a word
  const hn::ScalableTag<std::uint8_t> d;
  const hn::Repartition<std::uint64_t, decltype(d)> words;
  const std::size_t n = hn::Lanes(d);
  // Four sums, so that none waits for the one before it.
  auto sum0 = hn::Zero(words), sum1 = sum0, sum2 = sum0, sum3 = sum0;
  for (; i + 4 * n <= bytes; i += 4 * n) {
    sum0 = hn::Add(sum0, hn::BitCast(words, hn::LoadU(d, src + i)));
    sum1 = hn::Add(sum1, hn::BitCast(words, hn::LoadU(d, src + i + n)));
    sum2 = hn::Add(sum2, hn::BitCast(words, hn::LoadU(d, src + i + 2 * n)));
    sum3 = hn::Add(sum3, hn::BitCast(words, hn::LoadU(d, src + i + 3 * n)));
  }
  const auto sums = hn::Add(hn::Add(sum0, sum1), hn::Add(sum2, sum3));
  // Not SumOfLanes(), whose sum of words overflows as a signed number with AVX-512.
  HWY_ALIGN std::uint64_t lanes[hn::MaxLanes(words)];
  hn::Store(sums, words, lanes);
  for (std::size_t lane = 0; lane < hn::Lanes(words); ++lane) sum += lanes[lane];
#endif
  while (i < bytes) {
    std::uint64_t word = 0;
    const std::size_t taken = std::min(sizeof word, bytes - i);
    std::memcpy(&word, src + i, taken);
    sum += word;
    i += taken;
  }
  return sum;
}

void CachedCopyRange(std::uint8_t* HWY_RESTRICT dst, const std::uint8_t* HWY_RESTRICT src,
                     std::size_t bytes) {
  CopyVectors<StoreKind::kCached>(dst, src, bytes);
}

void AddBytes(std::uint8_t* dst, const std::uint8_t* a, const std::uint8_t* b, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) dst[i] = static_cast<std::uint8_t>(a[i] + b[i]);
}

void StreamingTriadRange(std::uint8_t* HWY_RESTRICT dst, const std::uint8_t* a,
                         const std::uint8_t* b, std::size_t bytes) {
  const hn::ScalableTag<std::uint8_t> d;
  const std::size_t n = hn::Lanes(d);
  // Streaming stores need whole vectors; what is left at both ends goes through the cache.
  const std::size_t misaligned = reinterpret_cast<std::uintptr_t>(dst) % n;
  const std::size_t head = std::min(bytes, misaligned == 0 ? 0 : n - misaligned);
  AddBytes(dst, a, b, head);
  std::size_t i = head;
  const auto sum_at = [&](std::size_t at) {
    return hn::Add(hn::LoadU(d, a + at), hn::LoadU(d, b + at));
  };
  for (; i + 4 * n <= bytes; i += 4 * n) {
    const auto v0 = sum_at(i);
    const auto v1 = sum_at(i + n);
    const auto v2 = sum_at(i + 2 * n);
    const auto v3 = sum_at(i + 3 * n);
    hn::Stream(v0, d, dst + i);
    hn::Stream(v1, d, dst + i + n);
    hn::Stream(v2, d, dst + i + 2 * n);
    hn::Stream(v3, d, dst + i + 3 * n);
  }
  AddBytes(dst + i, a + i, b + i, bytes - i);
  hwy::FlushStream();
}

}  // namespace normgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace normgrad::cpu {
namespace {

HWY_EXPORT(SumRange);
HWY_EXPORT(CachedCopyRange);
HWY_EXPORT(StreamingTriadRange);

/// Calls body(first, count) with the share of every thread, on that thread. Shares start at
/// multiples of 64 bytes: threads share no line of aligned memory, and no word.
template <typename Body>
void OnShares(std::size_t bytes, Body body) {
  constexpr std::size_t kLine = 64;
  const std::shared_ptr<ThreadPool> pool = Threads();
  const std::size_t lines = bytes / kLine + (bytes % kLine != 0 ? 1 : 0);
  const std::size_t share = (lines + pool->Size() - 1) / pool->Size() * kLine;
  pool->Run(pool->Size(), [&](std::size_t part) {
    const std::size_t first = std::min(part * share, bytes);
    body(first, std::min(share, bytes - first));
  });
}

/// OnShares(), `times` times without the threads waiting for each other.
template <typename Pass>
void OnSharesAgain(std::size_t bytes, std::uint32_t times, Pass pass) {
  OnShares(bytes, [&](std::size_t first, std::size_t count) {
    for (std::uint32_t i = 0; i < times; ++i) pass(first, count);
  });
}

std::uint8_t* Bytes(void* address) { return static_cast<std::uint8_t*>(address); }
const std::uint8_t* Bytes(const void* address) { return static_cast<const std::uint8_t*>(address); }

}  // namespace

std::uint64_t Sum(const void* src, std::size_t bytes, std::uint32_t times) {
  std::atomic<std::uint64_t> sum = 0;
  OnShares(bytes, [&](std::size_t first, std::size_t count) {
    std::uint64_t mine = 0;  // threads that met at one sum after every pass would wait there
    for (std::uint32_t i = 0; i < times; ++i) {
      mine += HWY_DYNAMIC_DISPATCH(SumRange)(Bytes(src) + first, count);
    }
    sum += mine;
  });
  return sum;
}

void CachedCopy(void* dst, const void* src, std::size_t bytes, std::uint32_t times) {
  OnSharesAgain(bytes, times, [&](std::size_t first, std::size_t count) {
    HWY_DYNAMIC_DISPATCH(CachedCopyRange)(Bytes(dst) + first, Bytes(src) + first, count);
  });
}

void RepeatedStreamingCopy(void* dst, const void* src, std::size_t bytes, std::uint32_t times) {
  OnSharesAgain(bytes, times, [&](std::size_t first, std::size_t count) {
    StreamingCopyOnThisThread(Bytes(dst) + first, Bytes(src) + first, count);
  });
}

void StreamingTriad(void* dst, const void* a, const void* b, std::size_t bytes,
                    std::uint32_t times) {
  OnSharesAgain(bytes, times, [&](std::size_t first, std::size_t count) {
    HWY_DYNAMIC_DISPATCH(StreamingTriadRange)
    (Bytes(dst) + first, Bytes(a) + first, Bytes(b) + first, count);
  });
}

}  // namespace normgrad::cpu
#endif  // HWY_ONCE
