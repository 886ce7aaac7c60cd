// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>

namespace normgrad::cpu {

/// Copies `bytes` bytes past the caches on every thread of the pool: the roofline that kernels are
/// measured against. No alignment needed; the two ranges must not overlap.
void StreamingCopy(void* dst, const void* src, std::size_t bytes);

/// StreamingCopy() on the calling thread alone.
void StreamingCopyOnThisThread(void* dst, const void* src, std::size_t bytes);

/// What a file of Linux's about a cache, with a content like "32768K", says in bytes; 0 when it
/// cannot be read.
std::size_t ReadCacheBytes(const char* path);

/// Bytes of the third-level cache; 0 when unknown.
std::size_t LastLevelCacheBytes();

/// Has LastLevelCacheBytes() say `bytes`, or, given nothing, the truth again, so that small tensors
/// can be made to exceed the cache. Not while kernels run.
void AssumeLastLevelCache(std::optional<std::size_t> bytes);

}  // namespace normgrad::cpu
