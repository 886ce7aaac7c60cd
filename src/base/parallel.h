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

/// Calls make(i) for i = 0 … count - 1 in turn, on the caller's thread alone, and use(i), which
/// must not throw, on any of up to `threads` threads once make(i) has returned true. Ends early
/// where it returns false. What make(i) makes may lie in place i % kPlaces: use(i) has returned
/// before make(i + kPlaces) is called.
inline constexpr std::size_t kPlaces = 4;
void MakeAndUse(std::size_t count, unsigned threads, const std::function<bool(std::size_t)>& make,
                const std::function<void(std::size_t)>& use);

}  // namespace normgrad
