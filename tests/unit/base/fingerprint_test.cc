// SPDX-License-Identifier: Apache-2.0
#include "base/fingerprint.h"

#include <algorithm>
#include <set>

#include <gtest/gtest.h>

#include "base/lanes.h"
#include "base/random.h"

namespace normgrad {
namespace {

constexpr std::size_t kBlock = Fingerprint::kBlockBytes;

std::vector<std::byte> Random(std::size_t bytes) {
  const RandomStream random(7);
  std::vector<std::byte> contents(bytes);
  for (std::size_t i = 0; i < bytes; ++i) contents[i] = static_cast<std::byte>(random.Bits(i));
  return contents;
}

Fingerprint Of(const std::vector<std::byte>& contents) {
  Fingerprint fingerprint(contents.size());
  fingerprint.Note(contents, 0);
  return fingerprint;
}

TEST(Fingerprint, SeesEveryBitOfEveryByte) {
  std::vector<std::byte> contents = Random(2 * kBlock + 7);  // the last word is not whole
  const Fingerprint fingerprint = Of(contents);
  EXPECT_TRUE(fingerprint.Matches(contents, 0));
  for (std::size_t at = 0; at < contents.size(); at += at < 64 || at >= 2 * kBlock ? 1 : 61) {
    for (int bit = 0; bit < 8; ++bit) {
      contents[at] ^= std::byte{1} << bit;
      EXPECT_FALSE(fingerprint.Matches(contents, 0)) << "bit " << bit << " of byte " << at;
      contents[at] ^= std::byte{1} << bit;
    }
  }
}

// What kernels get wrong: signs, elements that trade places, rows one element off.
TEST(Fingerprint, SeesChangesThatASimpleSumDoesNot) {
  const std::vector<std::byte> contents = Random(kBlock);
  const Fingerprint fingerprint = Of(contents);
  for (std::size_t a = 0; a < kBlock; a += 68) {
    for (std::size_t b = a + 4; b < kBlock; b += 100) {
      std::vector<std::byte> changed = contents;
      changed[a + 3] ^= std::byte{0x80};
      changed[b + 3] ^= std::byte{0x80};
      EXPECT_FALSE(fingerprint.Matches(changed, 0)) << "signs of " << a << " and " << b;
      changed = contents;
      std::swap_ranges(&changed[a], &changed[a + 4], &changed[b]);
      EXPECT_FALSE(fingerprint.Matches(changed, 0)) << "places of " << a << " and " << b;
    }
  }
  std::vector<std::byte> rotated = contents;
  std::rotate(rotated.begin(), rotated.begin() + 4, rotated.end());
  EXPECT_FALSE(fingerprint.Matches(rotated, 0));
  EXPECT_FALSE(fingerprint.Matches(std::vector<std::byte>(kBlock), 0));
}

TEST(Fingerprint, IsNotedAndComparedBlockByBlockInAnyOrder) {
  const std::vector<std::byte> contents = Random(3 * kBlock + 5);
  const std::span<const std::byte> all = contents;
  Fingerprint fingerprint(contents.size());
  fingerprint.Note(all.subspan(2 * kBlock), 2 * kBlock);
  fingerprint.Note(all.first(2 * kBlock), 0);
  EXPECT_EQ(fingerprint.Bytes(), contents.size());
  EXPECT_TRUE(fingerprint.Matches(contents, 0));
  EXPECT_TRUE(fingerprint.Matches(all.subspan(kBlock, kBlock), kBlock));
  EXPECT_FALSE(fingerprint.Matches(all.subspan(kBlock, kBlock), 0));
  EXPECT_EQ(fingerprint.Hash(1), Of(contents).Hash(1));
}

TEST(Fingerprint, IsTheSameWithAnyVectors) {
  const std::vector<std::byte> contents = Random(kBlock + 100);
  const std::uint64_t hash = Of(contents).Hash(0);
  for (const Vectors widest : {Vectors::kBaseline, Vectors::kAvx2}) {
    LimitVectors(widest);
    EXPECT_EQ(Of(contents).Hash(0), hash);
  }
  LimitVectors(Vectors::kAvx512);
}

TEST(Fingerprint, HashesContentsAndTheirLength) {
  std::set<std::uint64_t> hashes;
  for (std::size_t bytes : {std::size_t{0}, std::size_t{1}, std::size_t{4}, kBlock, kBlock + 1}) {
    EXPECT_TRUE(hashes.insert(Of(std::vector<std::byte>(bytes)).Hash(0)).second) << bytes;
  }
  EXPECT_NE(Of({}).Hash(0), Of({}).Hash(1));
}

}  // namespace
}  // namespace normgrad
