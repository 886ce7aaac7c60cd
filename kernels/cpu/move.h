// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

namespace normgrad::cpu {

// Memory moved on every thread of the pool, for its own sake: each thread works through a share of
// the `bytes` bytes `times` times. No alignment needed; what is written must not overlap what is
// read.

/// The sum, modulo 2^64, of the 64-bit words read in all passes; the last word of a pass is filled
/// up with zeros.
std::uint64_t Sum(const void* src, std::size_t bytes, std::uint32_t times);

/// Copies through the caches.
void CachedCopy(void* dst, const void* src, std::size_t bytes, std::uint32_t times);

/// Copies past the caches, as StreamingCopy() does once.
void RepeatedStreamingCopy(void* dst, const void* src, std::size_t bytes, std::uint32_t times);

/// Writes a + b, byte by byte and modulo 256, past the caches: the traffic of a norm's gradient.
void StreamingTriad(void* dst, const void* a, const void* b, std::size_t bytes,
                    std::uint32_t times);

}  // namespace normgrad::cpu
