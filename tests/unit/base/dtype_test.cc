// SPDX-License-Identifier: Apache-2.0
#include "base/dtype.h"

#include <bit>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace normgrad {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// A 16-bit float type, and what its bit patterns mean.
struct Narrow {
  DType dtype;
  std::uint16_t infinity;
  double (*value)(std::uint16_t bits);
};

// IEEE 754-2019, 3.4: binary16 has 5 exponent bits, biased by 15, and 10 significand bits.
double Float16Value(std::uint16_t bits) {
  const double sign = bits >> 15 != 0 ? -1 : 1;
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  if (exponent == 31) return fraction == 0 ? sign * kInfinity : std::copysign(kNan, sign);
  if (exponent == 0) return sign * fraction * 0x1p-24;
  return sign * (1024 + fraction) * std::pow(2.0, exponent - 25);
}

double BFloat16Value(std::uint16_t bits) {
  return static_cast<double>(std::bit_cast<float>(std::uint32_t{bits} << 16));
}

class NarrowFloat : public testing::TestWithParam<Narrow> {
 protected:
  static std::uint16_t Stored(double value) {
    std::uint16_t bits = 0;
    Store(GetParam().dtype, value, &bits);
    return bits;
  }
};

INSTANTIATE_TEST_SUITE_P(DType, NarrowFloat,
                         testing::Values(Narrow{DType::kFloat16, 0x7c00, Float16Value},
                                         Narrow{DType::kBFloat16, 0x7f80, BFloat16Value}),
                         [](const auto& test) { return std::string(Name(test.param.dtype)); });

TEST_P(NarrowFloat, LoadsEveryBitPattern) {
  for (std::uint32_t i = 0; i <= 0xffff; ++i) {
    const auto bits = static_cast<std::uint16_t>(i);
    const double expected = GetParam().value(bits), loaded = Load(GetParam().dtype, &bits);
    ASSERT_EQ(std::isnan(loaded), std::isnan(expected)) << std::hex << i;
    ASSERT_EQ(std::signbit(loaded), std::signbit(expected)) << std::hex << i;
    if (!std::isnan(expected)) {
      ASSERT_EQ(loaded, expected) << std::hex << i;
    }
  }
}

TEST_P(NarrowFloat, StoresBackEveryNumberItLoads) {
  for (std::uint32_t i = 0; i <= 0xffff; ++i) {
    const auto bits = static_cast<std::uint16_t>(i);
    const double value = Load(GetParam().dtype, &bits);
    if (!std::isnan(value)) {
      ASSERT_EQ(Stored(value), bits);
    }
  }
}

TEST_P(NarrowFloat, RoundsEveryMidpointToTheEvenNeighbour) {
  // The step beyond the largest finite number counts as wide as the one before it.
  const auto infinity = GetParam().infinity;
  const auto value = [infinity](std::uint16_t bits) {
    if (bits != infinity) return GetParam().value(bits);
    const auto largest = static_cast<std::uint16_t>(infinity - 1);
    const auto second = static_cast<std::uint16_t>(infinity - 2);
    return 2 * GetParam().value(largest) - GetParam().value(second);
  };
  for (std::uint16_t low = 0; low < infinity; ++low) {
    const auto high = static_cast<std::uint16_t>(low + 1);
    const auto sign = static_cast<std::uint16_t>(0x8000);
    const std::uint16_t even = low % 2 == 0 ? low : high;
    const double middle = (value(low) + value(high)) / 2;
    ASSERT_EQ(Stored(middle), even);
    ASSERT_EQ(Stored(std::nextafter(middle, 0.0)), low);
    ASSERT_EQ(Stored(std::nextafter(middle, kInfinity)), high);
    ASSERT_EQ(Stored(-middle), sign | even);
    ASSERT_EQ(Stored(std::nextafter(-middle, 0.0)), sign | low);
    ASSERT_EQ(Stored(std::nextafter(-middle, -kInfinity)), sign | high);
  }
}

TEST_P(NarrowFloat, KeepsInfinitiesAndTheSignOfZeroAndNan) {
  EXPECT_EQ(Stored(kInfinity), GetParam().infinity);
  EXPECT_EQ(Stored(-kInfinity), 0x8000 | GetParam().infinity);
  EXPECT_EQ(Stored(std::numeric_limits<double>::max()), GetParam().infinity);
  EXPECT_EQ(Stored(std::numeric_limits<double>::denorm_min()), 0);
  EXPECT_EQ(Stored(-0.0), 0x8000);
  for (const double nan : {kNan, -kNan}) {
    const std::uint16_t bits = Stored(nan);
    EXPECT_GT(bits & 0x7fff, GetParam().infinity);
    EXPECT_EQ((bits & 0x8000) != 0, std::signbit(nan));
  }
}

TEST_P(NarrowFloat, PreimageIsExactlyWhatRoundsToTheElement) {
  for (std::uint32_t i = 0; i <= 0xffff; ++i) {
    const auto bits = static_cast<std::uint16_t>(i);
    const auto [low, high] = RoundingPreimage(GetParam().dtype, &bits);
    const double value = GetParam().value(bits);
    if (std::isnan(value)) {
      ASSERT_TRUE(std::isnan(low) && std::isnan(high));
      continue;
    }
    ASSERT_LT(low, high);
    const bool even = bits % 2 == 0;
    // The two zeros share one preimage, so compare as numbers.
    const auto rounded = [](double v) { return Round(GetParam().dtype, v); };
    ASSERT_EQ(rounded(std::nextafter(low, kInfinity)), value);
    ASSERT_EQ(rounded(std::nextafter(high, -kInfinity)), value);
    ASSERT_EQ(rounded(low) == value, even || low == -kInfinity);
    ASSERT_EQ(rounded(high) == value, even || high == kInfinity);
    if (low != -kInfinity) {
      ASSERT_NE(rounded(std::nextafter(low, -kInfinity)), value);
    }
    if (high != kInfinity) {
      ASSERT_NE(rounded(std::nextafter(high, kInfinity)), value);
    }
  }
}

TEST(DType, RoundsToFloat16) {
  EXPECT_EQ(Round(DType::kFloat16, 0.1), 0.0999755859375);
  EXPECT_EQ(Round(DType::kFloat16, 65519.99), 65504);
  EXPECT_EQ(Round(DType::kFloat16, 65520), kInfinity);
  EXPECT_EQ(Round(DType::kFloat16, 0x1p-24), 0x1p-24);
  EXPECT_EQ(Round(DType::kFloat16, 0x1p-25), 0);
  EXPECT_EQ(Round(DType::kFloat16, 0x1.8p-25), 0x1p-24);
}

TEST(DType, RoundsToBFloat16OnceWhereTwoRoundingsWouldDiffer) {
  // Just above the midpoint of 1 and 1 + 2^-7; by way of float32 it would tie and go to 1.
  EXPECT_EQ(Round(DType::kBFloat16, 1 + 0x1p-8 + 0x1p-40), 1 + 0x1p-7);
  EXPECT_EQ(Round(DType::kBFloat16, 1 + 0x1p-8), 1);
}

TEST(DType, RoundsToFloat32WithGradualUnderflow) {
  EXPECT_EQ(Round(DType::kFloat32, 0.1), 0x1.99999ap-4);
  EXPECT_EQ(Round(DType::kFloat32, 0x1p-149), 0x1p-149);
  EXPECT_EQ(Round(DType::kFloat32, 0x1p-150), 0);
  EXPECT_EQ(Round(DType::kFloat32, 0x1.fffffefp127), 0x1.fffffep127);
  EXPECT_EQ(Round(DType::kFloat32, 0x1.ffffffp127), kInfinity);
}

TEST(DType, PreimageOfFloat32IsHalfAStepEachWay) {
  const auto preimage = [](float value) { return RoundingPreimage(DType::kFloat32, &value); };
  EXPECT_EQ(preimage(1).low, 1 - 0x1p-25);
  EXPECT_EQ(preimage(1).high, 1 + 0x1p-24);
  EXPECT_EQ(preimage(-1).low, -1 - 0x1p-24);
  EXPECT_EQ(preimage(-1).high, -1 + 0x1p-25);
  EXPECT_EQ(preimage(-0.0F).low, -0x1p-150);
  EXPECT_EQ(preimage(-0.0F).high, 0x1p-150);
  EXPECT_EQ(preimage(std::numeric_limits<float>::max()).high, 0x1.ffffffp127);
  EXPECT_EQ(preimage(std::numeric_limits<float>::infinity()).low, 0x1.ffffffp127);
  EXPECT_EQ(preimage(std::numeric_limits<float>::infinity()).high, kInfinity);
  EXPECT_TRUE(std::isnan(preimage(std::numeric_limits<float>::quiet_NaN()).low));
}

TEST(DType, IntegersSaturateAndHaveNoPreimage) {
  EXPECT_EQ(Round(DType::kInt32, 2.5), 2);
  EXPECT_EQ(Round(DType::kInt32, -3.5), -4);
  EXPECT_EQ(Round(DType::kInt32, 1e10), 2147483647);
  EXPECT_EQ(Round(DType::kInt32, -kInfinity), -2147483648.0);
  EXPECT_EQ(Round(DType::kInt32, kNan), 0);
  const std::int32_t one = 1;
  EXPECT_THROW(RoundingPreimage(DType::kInt32, &one), std::logic_error);
}

TEST(DType, Float64PassesThrough) {
  EXPECT_EQ(Round(DType::kFloat64, 0.1), 0.1);
  const double value = 0.1;
  EXPECT_EQ(RoundingPreimage(DType::kFloat64, &value).low, 0.1);
  EXPECT_EQ(RoundingPreimage(DType::kFloat64, &value).high, 0.1);
}

TEST(DType, NeedsNoAlignment) {
  alignas(double) std::byte bytes[16] = {};
  for (const DType dtype :
       {DType::kFloat32, DType::kFloat16, DType::kInt32, DType::kFloat64, DType::kBFloat16}) {
    Store(dtype, 2, bytes + 1);
    EXPECT_EQ(Load(dtype, bytes + 1), 2) << Name(dtype);
    EXPECT_EQ(bytes[0], std::byte{0});
    EXPECT_EQ(bytes[1 + SizeOf(dtype)], std::byte{0}) << Name(dtype);
    std::fill(std::begin(bytes), std::end(bytes), std::byte{0});
  }
}

TEST(DType, NamesAreParsedBack) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat16, DType::kInt32, DType::kBFloat16}) {
    EXPECT_EQ(ParseDType(Name(dtype)), dtype);
  }
  EXPECT_THAT([] { ParseDType("fp16"); },
              testing::ThrowsMessage<Error>("unknown dtype 'fp16': expected float32, float16, "
                                            "bfloat16 or int32"));
}

}  // namespace
}  // namespace normgrad
