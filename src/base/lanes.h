// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace normgrad {

/// Loops over plain arrays at the speed of the processor's vectors: eight elements at a time, in
/// the vector extension of GNU C++, where arithmetic, comparison and `mask ? a : b` work lane by
/// lane. The compiler makes of them what vectors there are. Nothing is fused or reordered, so that
/// results have the same bits on every processor.

inline constexpr std::size_t kLanes = 8;

using Lanes = double __attribute__((vector_size(kLanes * sizeof(double))));
using LaneBits = std::uint64_t __attribute__((vector_size(kLanes * sizeof(std::uint64_t))));
using LaneMask = std::int64_t __attribute__((vector_size(kLanes * sizeof(std::int64_t))));

/// The bits of eight elements of a device's dtypes.
using WordLanes = std::uint32_t __attribute__((vector_size(kLanes * sizeof(std::uint32_t))));
using HalfLanes = std::uint16_t __attribute__((vector_size(kLanes * sizeof(std::uint16_t))));

/// Eight consecutive elements from `address` on, which needs no alignment.
template <typename Vector>
inline Vector LoadAs(const void* address) {
  Vector vector;
  std::memcpy(&vector, address, sizeof vector);
  return vector;
}

/// The first `count` elements from `address` on, at most kLanes, and zeros behind.
template <typename Vector>
inline Vector LoadAs(const void* address, std::size_t count) {
  if (count == kLanes) return LoadAs<Vector>(address);
  Vector vector{};
  std::memcpy(&vector, address, count * (sizeof vector / kLanes));
  return vector;
}

inline Lanes LoadLanes(const double* from, std::size_t count) { return LoadAs<Lanes>(from, count); }

inline Lanes LoadLanes(const double* from) { return LoadLanes(from, kLanes); }

/// Stores the first `count` of them, at most kLanes.
inline void StoreLanes(Lanes lanes, std::size_t count, double* to) {
  std::memcpy(to, &lanes, count == kLanes ? sizeof lanes : count * sizeof(double));
}

inline void StoreLanes(Lanes lanes, double* to) { StoreLanes(lanes, kLanes, to); }

inline Lanes Broadcast(double value) { return Lanes{} + value; }

inline Lanes AbsOf(Lanes lanes) {
  return std::bit_cast<Lanes>(std::bit_cast<LaneBits>(lanes) & ~(std::uint64_t{1} << 63));
}

/// The larger of each pair, `a` where one is NaN.
inline Lanes MaxOf(Lanes a, Lanes b) { return b > a ? b : a; }

/// Calls step(i, lanes) for i = 0, kLanes, … below `count`: `lanes` is kLanes, which the compiler
/// knows and makes single instructions of, and last what is left.
template <typename Step>
inline void ForEachVector(std::size_t count, Step step) {
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) step(i, kLanes);
  if (i < count) step(i, count - i);
}

/// A comparison as the mask of its lanes, where it is more than the condition of `a ? b : c`: GCC
/// evaluates logic on bare comparisons of eight lanes one lane at a time.
inline LaneMask MaskOf(LaneMask comparison) {
  const auto all = std::bit_cast<Lanes>(~LaneMask{});
  return std::bit_cast<LaneMask>(comparison ? all : Lanes{});
}

/// Whether a mask holds anywhere.
inline bool AnyOf(LaneMask mask) {
  std::int64_t any = 0;
  for (std::size_t k = 0; k < kLanes; ++k) any |= mask[k];
  return any != 0;
}

/// Of masks that were subtracted from zero, one per element: how many held.
inline std::uint64_t CountOf(LaneMask held) {
  std::uint64_t count = 0;
  for (std::size_t k = 0; k < kLanes; ++k) count += static_cast<std::uint64_t>(held[k]);
  return count;
}

/// Lanes added pairwise, in a fixed order.
inline double SumOf(Lanes lanes) {
  for (std::size_t half = kLanes / 2; half > 0; half /= 2) {
    for (std::size_t k = 0; k < half; ++k) lanes[k] += lanes[k + half];
  }
  return lanes[0];
}

/// The vectors a loop is compiled for.
enum class Vectors { kBaseline, kAvx2, kAvx512 };

/// The widest that this processor has, or those of LimitVectors() if they are narrower.
Vectors WidestVectors();

/// Lets tests compare; not while anything runs.
void LimitVectors(Vectors widest);

#if defined(__x86_64__)
template <typename Body>
[[gnu::target("arch=x86-64-v4"), gnu::flatten, gnu::noinline]] auto RunForAvx512(Body body) {
  return body();
}

template <typename Body>
[[gnu::target("arch=x86-64-v3"), gnu::flatten, gnu::noinline]] auto RunForAvx2(Body body) {
  return body();
}
#endif

/// Calls `body`, compiled with everything it calls for the widest vectors of this processor. What
/// it captures by value the compiler can keep in registers; vectors it must neither capture by
/// value nor return, because how they are passed depends on what a function is compiled for.
template <typename Body>
auto Vectorised(Body body) {
  static_assert(alignof(Body) < alignof(Lanes));
#if defined(__x86_64__)
  switch (WidestVectors()) {
    case Vectors::kAvx512: return RunForAvx512(body);
    case Vectors::kAvx2: return RunForAvx2(body);
    case Vectors::kBaseline: break;
  }
#endif
  return body();
}

}  // namespace normgrad
