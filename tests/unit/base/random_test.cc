// SPDX-License-Identifier: Apache-2.0
#include "base/random.h"

#include <cmath>
#include <numbers>

#include <gtest/gtest.h>

namespace normgrad {
namespace {

constexpr std::uint64_t kSamples = 200'000;

TEST(HashText, IsFnv1a) {
  // Source: test vectors of draft-eastlake-fnv, 64-bit FNV-1a of "", "a" and "foobar".
  EXPECT_EQ(HashText(""), 0xcbf29ce484222325ULL);
  EXPECT_EQ(HashText("a"), 0xaf63dc4c8601ec8cULL);
  EXPECT_EQ(HashText("foobar"), 0x85944171f73967e8ULL);
}

TEST(HashText, ContinuesFromAHash) {
  EXPECT_EQ(HashText("bar", HashText("foo")), HashText("foobar"));
}

// Reports quote seeds, so these numbers must never change. Computed from the definition in random.h
// with arbitrary-precision integers.
TEST(RandomStream, BitsArePinned) {
  EXPECT_EQ(RandomStream(0).Bits(0), 0xa706dd2f4d197e6fULL);
  EXPECT_EQ(RandomStream(0).Bits(1), 0x46b73e79f0c37c00ULL);
  EXPECT_EQ(RandomStream(42).Bits(0), 0x57e1faba65107204ULL);
  EXPECT_EQ(RandomStream(42).Bits(1ULL << 63), 0x4bf8f8b1b54f67a5ULL);
  EXPECT_EQ(RandomStream(~0ULL).Bits(7), 0x71e3a388b76be3f8ULL);
}

TEST(RandomStream, NumbersArePinned) {
  EXPECT_EQ(RandomStream(42).Uniform(0), 0.34329192209867343);
  EXPECT_DOUBLE_EQ(RandomStream(0).Normal(0), 0.935773199694723);
  EXPECT_DOUBLE_EQ(RandomStream(42).Normal(0), -0.6953801172374812);
}

TEST(RandomStream, UniformLiesInItsIntervalWithItsMoments) {
  const RandomStream stream(1);
  double sum = 0, sum_squares = 0;
  for (std::uint64_t i = 0; i < kSamples; ++i) {
    const double u = stream.Uniform(i);
    ASSERT_GE(u, 0);
    ASSERT_LT(u, 1);
    sum += u;
    sum_squares += u * u;
  }
  // Five standard errors: sd(u) = 0.289, sd(u^2) = 0.298, over sqrt(200000).
  EXPECT_NEAR(sum / kSamples, 1.0 / 2, 0.0033);
  EXPECT_NEAR(sum_squares / kSamples, 1.0 / 3, 0.0034);
}

TEST(RandomStream, NormalHasItsMoments) {
  const RandomStream stream(2);
  double moments[5] = {};
  for (std::uint64_t i = 0; i < kSamples; ++i) {
    const double z = stream.Normal(i);
    ASSERT_TRUE(std::isfinite(z));
    for (int power = 1; power <= 4; ++power) moments[power] += std::pow(z, power) / kSamples;
  }
  // Five standard errors: sd of z, z^2, z^3, z^4 is 1, 1.41, 3.87, 9.80, over sqrt(200000).
  EXPECT_NEAR(moments[1], 0, 0.0112);
  EXPECT_NEAR(moments[2], 1, 0.0159);
  EXPECT_NEAR(moments[3], 0, 0.0434);
  EXPECT_NEAR(moments[4], 3, 0.110);
}

TEST(RandomStream, NeighbouringIndicesAndKeysAreUncorrelated) {
  const RandomStream stream(3), next_key(4);
  double by_index = 0, by_pair = 0, by_key = 0;
  for (std::uint64_t i = 0; i < kSamples; ++i) {
    by_index += stream.Normal(i) * stream.Normal(i + 1) / kSamples;
    by_pair += stream.Normal(i) * stream.Normal(i ^ 8) / kSamples;
    by_key += stream.Normal(i) * next_key.Normal(i) / kSamples;
  }
  EXPECT_NEAR(by_index, 0, 0.0112);
  // Each pair counts twice.
  EXPECT_NEAR(by_pair, 0, 0.0112 * std::numbers::sqrt2);
  EXPECT_NEAR(by_key, 0, 0.0112);
}

TEST(RandomStream, FlipsEveryBitHalfOfTheTime) {
  const RandomStream stream(5);
  int ones[64] = {};
  for (std::uint64_t i = 0; i < 40'000; ++i) {
    const std::uint64_t bits = stream.Bits(i);
    for (int bit = 0; bit < 64; ++bit) ones[bit] += static_cast<int>(bits >> bit & 1);
  }
  for (const int count : ones) EXPECT_NEAR(count, 20'000, 500);  // five standard errors
}

}  // namespace
}  // namespace normgrad
