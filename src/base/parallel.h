// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>

namespace normgrad {

/// Calls body(0) … body(count - 1), each once, on up to `threads` threads (the caller's included).
/// Which thread gets which index is not fixed: make results depend on the index only.
/// The first exception a body throws is rethrown here after all threads have stopped. Threads are
/// kept for the next call; a call from within a body, or beside another one, stays on its own.
void ParallelFor(std::size_t count, unsigned threads, const std::function<void(std::size_t)>& body);

}  // namespace normgrad
