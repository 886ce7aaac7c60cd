// SPDX-License-Identifier: Apache-2.0
#include "accuracy/preimage.h"

#include <cmath>
#include <cstring>
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
  RoundingPreimages(dtype, bytes.data(), count, low.data(), high.data());
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
  RoundingPreimages(DType::kFloat64, &value, 1, &low, &high);
  EXPECT_EQ(low, 0.1);
  EXPECT_EQ(high, 0.1);
}

}  // namespace
}  // namespace normgrad
