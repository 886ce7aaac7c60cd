// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>

/// The data caches of this machine, and what kernels make of them.
namespace normgrad::cpu {

/// What a file of Linux's about a cache, with a content like "32768K", says in bytes; 0 when it
/// cannot be read.
std::size_t ReadCacheBytes(const char* path);

/// Bytes of a core's first-level data cache; 0 when unknown.
std::size_t FirstLevelCacheBytes();

/// Bytes of the third-level cache; 0 when unknown.
std::size_t LastLevelCacheBytes();

/// Have them say `bytes`, or, given nothing, the truth again, so that what kernels do with other
/// caches can be tested: small tensors exceed the one, rows find room in the other. Not while
/// kernels run, nor between the two phases of a call.
void AssumeFirstLevelCache(std::optional<std::size_t> bytes);
void AssumeLastLevelCache(std::optional<std::size_t> bytes);

/// Whether the first-level cache is one of 48 KiB (Zen 5; Intel's cores since Sunny Cove), not 32.
/// The streams of four rows that lie a multiple of 4 KiB apart find a place each in its 12 ways.
inline bool HasLargeFirstLevelCache() { return FirstLevelCacheBytes() >= std::size_t{48} << 10; }

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
