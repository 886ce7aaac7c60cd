// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace normgrad {

/// 64-bit FNV-1a of `text`, continued from `hash`. Stable across platforms and releases: seeds and
/// case hashes in reports depend on it.
std::uint64_t HashText(std::string_view text, std::uint64_t hash = 0xcbf29ce484222325ULL);

/// A counter-based stream of random numbers: element `index` is a pure function of (key, index), so
/// elements can be made in any order, by any number of threads, again and again.
///
/// Generator: SplitMix64's output function over key + index * golden gamma, twice (Steele, Lea and
/// Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
class RandomStream {
 public:
  explicit RandomStream(std::uint64_t key) : key_(key) {}

  /// Uniform over all 64-bit values.
  std::uint64_t Bits(std::uint64_t index) const;

  /// Uniform in [0, 1), 53 bits.
  double Uniform(std::uint64_t index) const;

  /// Standard normal. Of Box and Muller's pair, made from two uniforms of one index, the cosine
  /// belongs to that index and the sine to the one 8 behind: of 16 indices 8 have a pair.
  double Normal(std::uint64_t index) const;

  /// Normal(first), Normal(first + 1), … as many as `out` takes: a nanosecond or two each.
  void Normals(std::uint64_t first, std::span<double> out) const;

 private:
  std::uint64_t key_;
};

}  // namespace normgrad
