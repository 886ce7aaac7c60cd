// SPDX-License-Identifier: Apache-2.0
#include "base/lanes.h"

#include <bit>
#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include <gtest/gtest.h>

#include "base/dtype.h"
#include "base/random.h"
#include "with_vectors.h"

namespace normgrad {
namespace {

INSTANTIATE_TEST_SUITE_P(All, WithVectors, kAllVectors);

constexpr DType kFloats[] = {DType::kFloat32, DType::kFloat16, DType::kBFloat16};

/// Numbers of all magnitudes, ties of every dtype, the ends of their ranges, and no numbers.
std::vector<double> Numbers() {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  std::vector<double> numbers = {0.0,       kInfinity, std::numeric_limits<double>::quiet_NaN(),
                                 65504,     65519.99,  65520,
                                 3.3895e38, 3.396e38,  0x1p-24,
                                 0x1p-25,   0x1p-133,  0x1p-134,
                                 0x1p-149,  0x1p-150,  0x1.8p-150,
                                 0x1p-1074, 1e300};
  const RandomStream random(3);
  for (std::uint64_t i = 0; i < 4000; ++i) {
    const double value = std::ldexp(random.Normal(2 * i), static_cast<int>(i % 320) - 160);
    numbers.push_back(value);
    for (const int bits : {8, 11, 24}) {  // halfway between two numbers of so many bits
      int exponent = 0;
      const double fraction = std::frexp(value, &exponent);
      numbers.push_back(std::ldexp(std::floor(std::ldexp(fraction, bits)) + 0.5, exponent - bits));
    }
  }
  for (const double number : std::vector(numbers)) numbers.push_back(-number);
  return numbers;
}

TEST_P(WithVectors, StoreAllStoresAsStoreDoes) {
  const std::vector<double> numbers = Numbers();
  for (const DType dtype : kFloats) {
    const std::size_t bytes = SizeOf(dtype);
    std::vector<std::byte> all(numbers.size() * bytes), each(all.size());
    StoreAll(dtype, numbers.data(), numbers.size(), all.data());
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      Store(dtype, numbers[i], &each[i * bytes]);
      ASSERT_EQ(std::memcmp(&all[i * bytes], &each[i * bytes], bytes), 0)
          << Name(dtype) << " of " << numbers[i];
    }
  }
}

TEST_P(WithVectors, RoundAllRoundsAsRoundDoes) {
  const std::vector<double> numbers = Numbers();
  std::vector<double> rounded(numbers.size());
  for (const DType dtype : kFloats) {
    RoundAll(dtype, numbers.data(), numbers.size(), rounded.data());
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const double golden = Round(dtype, numbers[i]);
      ASSERT_EQ(std::signbit(rounded[i]), std::signbit(golden));
      if (std::isnan(golden)) {
        ASSERT_TRUE(std::isnan(rounded[i]));
      } else {
        ASSERT_EQ(rounded[i], golden) << Name(dtype) << " of " << numbers[i];
      }
    }
  }
}

TEST_P(WithVectors, LoadAllLoadsEveryHalfAsLoadDoes) {
  std::vector<std::uint16_t> bits(0x10000);
  for (std::size_t i = 0; i < bits.size(); ++i) bits[i] = static_cast<std::uint16_t>(i);
  std::vector<double> values(bits.size());
  for (const DType dtype : {DType::kFloat16, DType::kBFloat16}) {
    LoadAll(dtype, bits.data(), bits.size(), values.data());
    for (std::size_t i = 0; i < bits.size(); ++i) {
      const double golden = Load(dtype, &bits[i]);
      if (std::isnan(golden)) {
        ASSERT_TRUE(std::isnan(values[i]));
      } else {
        ASSERT_EQ(std::bit_cast<std::uint64_t>(values[i]), std::bit_cast<std::uint64_t>(golden));
      }
    }
  }
}

TEST_P(WithVectors, NormalsAreBoxMullersToTheLastBitsOfFloat64) {
  const RandomStream random(11);
  std::vector<double> normals(100'003);
  random.Normals(5, normals);
  for (std::size_t i = 0; i < normals.size(); ++i) {
    const std::size_t index = 5 + i, first = index & ~std::size_t{8};
    ASSERT_EQ(normals[i], random.Normal(index)) << "whatever its lane";
    // The angle is not public: its cosine and sine are what the radius leaves.
    const double radius = std::sqrt(-2 * std::log(1 - random.Uniform(first)));
    const double length = std::hypot(random.Normal(first), random.Normal(first + 8));
    ASSERT_NEAR(length, radius, radius * 0x1p-50) << index;
  }
}

TEST(Vectors, AreAllTheSameToTheLastBit) {
  std::vector<double> normals(1003), widest(1003);
  RandomStream(9).Normals(0, widest);
  for (const Vectors vectors : {Vectors::kBaseline, Vectors::kAvx2}) {
    LimitVectors(vectors);
    RandomStream(9).Normals(0, normals);
    EXPECT_EQ(normals, widest);
  }
  LimitVectors(Vectors::kAvx512);
}

TEST(Vectors, MakeNormalsThatArePinned) {
  // From the C library's log, cos and sin, which differ from these by 3 units in the last place at
  // most.
  EXPECT_DOUBLE_EQ(RandomStream(0).Normal(0), 0.935773199694723);
  EXPECT_DOUBLE_EQ(RandomStream(0).Normal(8), 1.112660454658233);
  EXPECT_DOUBLE_EQ(RandomStream(42).Normal(0), -0.6953801172374812);
  EXPECT_DOUBLE_EQ(RandomStream(42).Normal(8), 0.597894524791927);
}

}  // namespace
}  // namespace normgrad
