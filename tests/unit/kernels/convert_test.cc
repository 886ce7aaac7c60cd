// SPDX-License-Identifier: Apache-2.0
// Conversions of the CPU kernels, exhaustively, with every instruction set this machine has.
#include <bit>
#include <cmath>
#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tests/unit/kernels/convert_test.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/convert-inl.h"

HWY_BEFORE_NAMESPACE();
namespace normgrad::cpu::HWY_NAMESPACE {

void WidenAll(DType dtype, const std::uint16_t* from, std::size_t count, float* to) {
  WithFormat(dtype, [=](auto format) {
    using Format = decltype(format);
    if constexpr (sizeof(typename Format::Element) == sizeof *from) {
      for (std::size_t i = 0; i < count; i += kBlock) {
        StoreInMemoryOrder<Format>(Format::Load(from + i), to + i);
      }
    }
  });
}

void NarrowAll(DType dtype, const float* from, std::size_t count, std::uint16_t* to) {
  WithFormat(dtype, [=](auto format) {
    using Format = decltype(format);
    if constexpr (sizeof(typename Format::Element) == sizeof *to) {
      for (std::size_t i = 0; i < count; i += kBlock) {
        Format::template Store<StoreKind::kCached>(LoadFromMemoryOrder<Format>(from + i), to + i);
      }
    }
  });
}

}  // namespace normgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

#include <gtest/gtest.h>

#include "base/dtype.h"
#include "kernels/cpu/instruction_set.h"

namespace normgrad::cpu {
namespace {

HWY_EXPORT(WidenAll);
HWY_EXPORT(NarrowAll);

constexpr std::size_t kPatterns = 1U << 16;

class Conversion : public testing::TestWithParam<std::tuple<DType, std::string>> {
 protected:
  void SetUp() override { ASSERT_TRUE(SetInstructionSet(std::get<1>(GetParam()))); }
  void TearDown() override { SetInstructionSet(""); }

  static DType Format() { return std::get<0>(GetParam()); }

  static void Widen(const std::vector<std::uint16_t>& from, std::vector<float>* to) {
    to->resize(from.size());
    HWY_DYNAMIC_DISPATCH(WidenAll)(Format(), from.data(), from.size(), to->data());
  }

  static void Narrow(const std::vector<float>& from, std::vector<std::uint16_t>* to) {
    to->resize(from.size());
    HWY_DYNAMIC_DISPATCH(NarrowAll)(Format(), from.data(), from.size(), to->data());
  }
};

TEST_P(Conversion, WidensEveryPatternExactly) {
  std::vector<std::uint16_t> patterns(kPatterns);
  for (std::size_t i = 0; i < kPatterns; ++i) patterns[i] = static_cast<std::uint16_t>(i);
  std::vector<float> widened;
  Widen(patterns, &widened);
  for (std::size_t i = 0; i < kPatterns; ++i) {
    const auto golden = static_cast<float>(Load(Format(), &patterns[i]));
    if (std::isnan(golden)) {
      ASSERT_TRUE(std::isnan(widened[i])) << std::hex << i;
      ASSERT_EQ(std::signbit(widened[i]), i >= kPatterns / 2) << std::hex << i;
    } else {
      ASSERT_EQ(std::bit_cast<std::uint32_t>(widened[i]), std::bit_cast<std::uint32_t>(golden))
          << std::hex << i;
    }
  }
}

TEST_P(Conversion, RoundsToNearestEvenAroundEveryMidpoint) {
  std::vector<float> values;
  for (std::size_t i = 0; i < kPatterns; ++i) {
    const auto pattern = static_cast<std::uint16_t>(i);
    const Preimage preimage = RoundingPreimage(Format(), &pattern);
    for (const double end : {preimage.low, Load(Format(), &pattern), preimage.high}) {
      const auto middle = static_cast<float>(end);
      const auto bits = std::bit_cast<std::uint32_t>(middle);
      values.push_back(std::bit_cast<float>(bits - 1));
      values.push_back(middle);
      values.push_back(std::bit_cast<float>(bits + 1));
    }
  }
  for (const float edge : {0.0F, -0.0F, 0x1p-149F, 0x1p-126F, 0x1.fffffep127F, INFINITY}) {
    values.insert(values.end(), {edge, -edge});
  }
  values.resize(values.size() / 64 * 64 + 64);  // a whole number of blocks on every target
  std::vector<std::uint16_t> narrowed;
  Narrow(values, &narrowed);
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::uint16_t golden = 0;
    Store(Format(), static_cast<double>(values[i]), &golden);
    if (std::isnan(values[i])) {
      ASSERT_TRUE(std::isnan(Load(Format(), &narrowed[i])));
      ASSERT_EQ(narrowed[i] >> 15, golden >> 15);
    } else {
      ASSERT_EQ(narrowed[i], golden) << values[i];
    }
  }
}

TEST_P(Conversion, RoundsSubnormalNumbersAmongOthers) {
  // Instructions that flush them are kept from blocks with one, wherever it is.
  for (const float other : {1.0F, 0.0F, INFINITY, NAN}) {
    for (const float subnormal : {0x1p-130F, -0x1.8p-127F}) {
      for (std::size_t place = 0; place < kMaxBlock; ++place) {
        std::vector<float> values(kMaxBlock, other);
        values[place] = subnormal;
        std::vector<std::uint16_t> narrowed;
        Narrow(values, &narrowed);
        std::uint16_t golden = 0;
        Store(Format(), static_cast<double>(subnormal), &golden);
        ASSERT_EQ(narrowed[place], golden) << place << " beside " << other;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, Conversion,
                         testing::Combine(testing::Values(DType::kFloat16, DType::kBFloat16),
                                          testing::ValuesIn(InstructionSets())),
                         [](const testing::TestParamInfo<std::tuple<DType, std::string>>& param) {
                           return std::string(Name(std::get<0>(param.param))) + "_" +
                                  std::get<1>(param.param);
                         });

}  // namespace
}  // namespace normgrad::cpu
#endif  // HWY_ONCE
