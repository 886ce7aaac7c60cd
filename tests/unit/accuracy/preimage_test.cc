// SPDX-License-Identifier: Apache-2.0
#include "accuracy/preimage.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "base/random.h"

namespace normgrad {
namespace {

void ExpectSameAsOneByOne(DType dtype, const std::vector<std::uint32_t>& patterns) {
  const std::size_t size = SizeOf(dtype), count = patterns.size();
  std::vector<std::byte> bytes(count * size);
  for (std::size_t i = 0; i < count; ++i) std::memcpy(&bytes[i * size], &patterns[i], size);
  std::vector<double> low(count), high(count);
  RoundingPreimages(dtype, {}, bytes.data(), count, low.data(), high.data());
  for (std::size_t i = 0; i < count; ++i) {
    const Preimage expected = RoundingPreimage(dtype, &bytes[i * size]);
    if (std::isnan(expected.low)) {
      ASSERT_TRUE(std::isnan(low[i]) && std::isnan(high[i])) << Name(dtype) << " " << patterns[i];
    } else {
      ASSERT_EQ(low[i], expected.low) << Name(dtype) << " " << patterns[i];
      ASSERT_EQ(high[i], expected.high) << Name(dtype) << " " << patterns[i];
    }
  }
}

TEST(RoundingPreimages, EqualRoundingPreimageForEverySixteenBitPattern) {
  std::vector<std::uint32_t> patterns(1 << 16);
  for (std::uint32_t i = 0; i < patterns.size(); ++i) patterns[i] = i;
  ExpectSameAsOneByOne(DType::kFloat16, patterns);
  ExpectSameAsOneByOne(DType::kBFloat16, patterns);
}

TEST(RoundingPreimages, EqualRoundingPreimageForFloat32OfEveryKind) {
  std::vector<std::uint32_t> patterns;
  // Both ends of every binade, subnormal numbers, zero, infinity, NaN and both signs.
  for (std::uint32_t exponent = 0; exponent < 512; ++exponent) {
    for (const std::uint32_t fraction : {0U, 1U, 0x400000U, 0x7ffffeU, 0x7fffffU}) {
      patterns.push_back((exponent << 23) | fraction);
    }
  }
  const RandomStream random(7);
  for (std::uint64_t i = 0; i < 10'000; ++i) {
    patterns.push_back(static_cast<std::uint32_t>(random.Bits(i)));
  }
  ExpectSameAsOneByOne(DType::kFloat32, patterns);
}

TEST(RoundingPreimages, OfFloat64IsTheElementItself) {
  const double value = 0.1;
  double low = 0, high = 0;
  RoundingPreimages(DType::kFloat64, {}, &value, 1, &low, &high);
  EXPECT_EQ(low, 0.1);
  EXPECT_EQ(high, 0.1);
}

struct Interval {
  double low = 0, high = 0;
};

Interval PreimageOf(double value, const BoundRule& rule) {
  std::uint16_t element = 0;
  Store(DType::kFloat16, value, &element);
  Interval interval;
  RoundingPreimages(DType::kFloat16, rule, &element, 1, &interval.low, &interval.high);
  return interval;
}

TEST(RoundingPreimages, OfAFaithfulDeviceReachToBothNeighbours) {
  const BoundRule rule{.rounding = Rounding::kFaithful};
  EXPECT_EQ(PreimageOf(1, rule).low, 1 - 0x1p-11);
  EXPECT_EQ(PreimageOf(1, rule).high, 1 + 0x1p-10);
  EXPECT_EQ(PreimageOf(-1, rule).low, -1 - 0x1p-10);
  EXPECT_EQ(PreimageOf(0, rule).low, -0x1p-24);
  EXPECT_EQ(PreimageOf(0, rule).high, 0x1p-24);
}

TEST(RoundingPreimages, OfADeviceThatTruncatesBeginAtTheElement) {
  const BoundRule rule{.rounding = Rounding::kTowardZero};
  EXPECT_EQ(PreimageOf(1, rule).low, 1);
  EXPECT_EQ(PreimageOf(1, rule).high, 1 + 0x1p-10);
  EXPECT_EQ(PreimageOf(-1, rule).low, -1 - 0x1p-10);
  EXPECT_EQ(PreimageOf(-1, rule).high, -1);
  EXPECT_EQ(PreimageOf(0, rule).low, -0x1p-24);
  EXPECT_EQ(PreimageOf(0, rule).high, 0x1p-24);
  // Nothing finite is truncated to infinity.
  EXPECT_EQ(PreimageOf(65504, rule).high, std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isnan(PreimageOf(1e6, rule).low));
}

TEST(RoundingPreimages, OfADeviceThatSaturatesEndAtTheLargestNumber) {
  const BoundRule rule{.saturates = true};
  EXPECT_EQ(PreimageOf(65504, rule).low, 65488);
  EXPECT_EQ(PreimageOf(65504, rule).high, std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isnan(PreimageOf(-1e6, rule).low));
  EXPECT_EQ(PreimageOf(1, rule).high, 1 + 0x1p-11);
}

bool OwnsEnd(double value, Rounding rounding, double end) {
  std::uint16_t element = 0;
  Store(DType::kFloat16, value, &element);
  return IsOwnEnd(DType::kFloat16, rounding, &element, end);
}

TEST(IsOwnEnd, GivesATieToTheEvenNeighbour) {
  const double odd = 1 + 0x1p-10, tie = 1 + 0x1p-11;
  EXPECT_TRUE(OwnsEnd(1, Rounding::kNearestEven, tie));
  EXPECT_FALSE(OwnsEnd(odd, Rounding::kNearestEven, tie));
  EXPECT_FALSE(OwnsEnd(-odd, Rounding::kNearestEven, -tie));
  EXPECT_FALSE(OwnsEnd(65504, Rounding::kNearestEven, 65520));  // infinity's
}

TEST(IsOwnEnd, GivesANumberOfTheDTypeToItselfAlone) {
  EXPECT_FALSE(OwnsEnd(1, Rounding::kFaithful, 1 + 0x1p-10));
  EXPECT_FALSE(OwnsEnd(1, Rounding::kTowardZero, 1 + 0x1p-10));
  EXPECT_TRUE(OwnsEnd(1, Rounding::kTowardZero, 1));
}

}  // namespace
}  // namespace normgrad
