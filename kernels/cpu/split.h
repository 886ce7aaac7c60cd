// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

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

}  // namespace normgrad::cpu
