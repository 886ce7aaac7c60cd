// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "kernels/cpu/copy.h"

/// How the work of a call is cut into parts for the threads.
namespace normgrad::cpu {

inline std::size_t DivideUp(std::size_t a, std::size_t b) { return (a + b - 1) / b; }
inline std::size_t RoundUp(std::size_t a, std::size_t b) { return DivideUp(a, b) * b; }

/// Elements of the largest block of any target's vector code (convert-inl.h).
inline constexpr std::size_t kMaxBlock = 64;

/// A part is worth a thread's attention from about this many elements on: a few microseconds.
inline constexpr std::size_t kMinPartElements = std::size_t{1} << 14;

/// More parts than this are not needed to keep threads busy.
inline constexpr std::size_t kMaxParts = 64;

/// Whether tensors of `bytes` bytes together are better not kept in the caches, so that an output
/// among them is written past them. Half a cache is where that changes over: the other half is
/// somebody else's, and the next call's tensors are others.
inline bool ExceedsCaches(std::size_t bytes) {
  constexpr std::size_t kCommon = std::size_t{32} << 20;  // on servers
  const std::size_t known = LastLevelCacheBytes();
  return bytes > (known > 0 ? known : kCommon) / 2;
}

/// How far ahead of its loads a loop fetches that reads one thing while it finishes another: such
/// loads fill the queue of a core long before memory has brought them. A page, because processors
/// that fetch ahead on their own do not go on into the next.
inline constexpr std::size_t kFetchAheadBytes = std::size_t{4} << 10;

}  // namespace normgrad::cpu
