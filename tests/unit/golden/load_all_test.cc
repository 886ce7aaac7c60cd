// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <cstring>
#include <vector>

#include <gtest/gtest.h>

#include "base/dtype.h"
#include "base/random.h"

namespace normgrad {
namespace {

void ExpectSameAsLoad(DType dtype, const std::vector<std::byte>& bytes) {
  const std::size_t size = SizeOf(dtype), count = bytes.size() / size;
  std::vector<double> values(count);
  LoadAll(dtype, bytes.data(), count, values.data());
  for (std::size_t i = 0; i < count; ++i) {
    const double expected = Load(dtype, bytes.data() + i * size);
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(values[i])) << Name(dtype) << " element " << i;
    } else {
      ASSERT_EQ(values[i], expected) << Name(dtype) << " element " << i;
      ASSERT_EQ(std::signbit(values[i]), std::signbit(expected)) << Name(dtype) << " element " << i;
    }
  }
}

TEST(LoadAll, ReadsEverySixteenBitPatternAsLoadDoes) {
  std::vector<std::byte> bytes(2 << 16);
  for (std::size_t i = 0; i < (1 << 16); ++i) {
    const auto bits = static_cast<std::uint16_t>(i);
    std::memcpy(bytes.data() + 2 * i, &bits, 2);
  }
  ExpectSameAsLoad(DType::kFloat16, bytes);
  ExpectSameAsLoad(DType::kBFloat16, bytes);
}

TEST(LoadAll, ReadsWiderPatternsAsLoadDoes) {
  std::vector<std::byte> bytes(8 << 12);
  const RandomStream random(1);
  for (std::size_t i = 0; i < (1 << 12); ++i) {
    const std::uint64_t bits = random.Bits(i);
    std::memcpy(bytes.data() + 8 * i, &bits, 8);
  }
  for (const DType dtype : {DType::kFloat32, DType::kInt32, DType::kFloat64}) {
    ExpectSameAsLoad(dtype, bytes);
  }
}

}  // namespace
}  // namespace normgrad
