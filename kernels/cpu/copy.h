// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace normgrad::cpu {

/// Copies `bytes` bytes past the caches on every thread of the pool: the roofline that kernels are
/// measured against. No alignment needed; the two ranges must not overlap.
void StreamingCopy(void* dst, const void* src, std::size_t bytes);

/// StreamingCopy() on the calling thread alone.
void StreamingCopyOnThisThread(void* dst, const void* src, std::size_t bytes);

}  // namespace normgrad::cpu
