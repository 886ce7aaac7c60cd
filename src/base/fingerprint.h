// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace normgrad {

/// What tells the contents of memory from others without the memory itself: a sum per block, which
/// is made at the speed of reading.
///
/// Of a block of 32-bit words w and two keys k, k' of as many random words, the sums of k[i] * w[i]
/// and of k'[i] * w[i] modulo 2^64. Blocks that differ in word i have equal sums of one key for at
/// most one of the 2^32 values that k[i] may have, whatever the other words are: one pair of
/// contents in 2^64 is taken for equal, if neither was chosen knowing the keys (Carter and Wegman,
/// "Universal classes of hash functions", JCSS 18(2), 1979). The keys are always the same, so that
/// a verdict is.
class Fingerprint {
 public:
  static constexpr std::size_t kBlockBytes = 4096;

  /// Of contents of `bytes` bytes that are not known yet.
  explicit Fingerprint(std::size_t bytes = 0);

  std::size_t Bytes() const { return bytes_; }

  /// Notes the contents from byte `first` on, a multiple of kBlockBytes: whole blocks, or all that
  /// is left. Threads may note different blocks at the same time.
  void Note(std::span<const std::byte> contents, std::size_t first);

  /// Whether those that were noted there were `contents`.
  bool Matches(std::span<const std::byte> contents, std::size_t first) const;

  /// A hash of all contents and their length, continued from `hash`.
  std::uint64_t Hash(std::uint64_t hash) const;

 private:
  struct Sums {
    std::uint64_t a = 0, b = 0;
    bool operator==(const Sums&) const = default;
  };

  static Sums SumsOf(std::span<const std::byte> block);

  std::size_t bytes_;
  std::vector<Sums> blocks_;
};

}  // namespace normgrad
