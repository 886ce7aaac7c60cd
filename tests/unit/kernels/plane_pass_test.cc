// SPDX-License-Identifier: Apache-2.0
// What calls that fit into the caches never show: stores past them.
#include "kernels/cpu/plane_pass.h"

#include <cstring>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/cpu/row_pass.h"
#include "tests/unit/kernels/kernel_fixture.h"

namespace normgrad::cpu {
namespace {

// Beyond two turns of the row pass in every data type.
constexpr std::size_t kMaxCount = 1100;

class StreamedStores : public testing::TestWithParam<DType> {
 protected:
  void SetUp() override {
    for (std::size_t i = 0; i < kMaxCount; ++i) {
      Store(GetParam(), 0.37 * static_cast<double>(i), dy_.data() + i * ElementBytes());
      Store(GetParam(), 5 - 0.11 * static_cast<double>(i), x_.data() + i * ElementBytes());
    }
  }

  static std::size_t ElementBytes() { return SizeOf(GetParam()); }

  /// Calls write(count, dx, stream) for every length and many addresses, and expects the same bytes
  /// either way, in dx and on both sides of it.
  template <typename Write>
  void ExpectSameBytes(Write write) {
    for (const std::size_t count : {1,   15,  16,  17,  31,  32,  33,  63,   64,   65,  127,
                                    128, 255, 256, 257, 511, 512, 513, 1023, 1024, 1025}) {
      for (std::size_t skipped = 0; skipped <= 64; skipped += ElementBytes()) {
        std::vector<std::byte> memory[2];
        for (const bool stream : {false, true}) {
          std::vector<std::byte>& bytes = memory[stream ? 1 : 0];
          bytes.assign(kMaxCount * ElementBytes() + 256, std::byte{0xAB});
          void* aligned = bytes.data() + 1;
          std::size_t space = bytes.size() - 1;
          std::align(64, 1, aligned, space);
          auto* const dx = static_cast<std::byte*>(aligned) + skipped;
          write(count, dx, stream);
          EXPECT_EQ(dx[-1], std::byte{0xAB});
          EXPECT_EQ(dx[count * ElementBytes()], std::byte{0xAB});
          std::memmove(bytes.data(), dx, count * ElementBytes());
          bytes.resize(count * ElementBytes());
        }
        ASSERT_TRUE(memory[0] == memory[1]) << count << " elements, skipped " << skipped;
      }
    }
  }

  alignas(64) std::array<std::byte, kMaxCount * 4> dy_{};
  alignas(64) std::array<std::byte, kMaxCount * 4> x_{};
};

TEST_P(StreamedStores, GiveThePlanesTheSameBytes) {
  ForEachTarget([&] {
    const PlaneKernels kernels = PlaneKernelsFor(GetParam());
    ExpectSameBytes([&](std::size_t count, std::byte* dx, bool stream) {
      kernels.gradient({dy_.data(), x_.data(), dx, count, stream}, {0.5, 2, 3, 0.25, 0.75, 2});
    });
  });
}

TEST_P(StreamedStores, GiveTheRowsTheSameBytes) {
  ForEachTarget([&] {
    const RowKernels kernels = LayerNormRowKernels(GetParam());
    const std::vector<float> gamma(RoundUp(kMaxCount, kColumnPadding), 1.5F);
    ExpectSameBytes([&](std::size_t count, std::byte* dx, bool stream) {
      const RowSlice slice = {dy_.data(), x_.data(), dx, {0.5, 2}, {0.25, 0.75}};
      RowStep step;
      step.differentiated = &slice;
      step.cols = count;
      step.gamma = gamma.data();
      step.stream = stream;
      kernels.step(step);
    });
  });
}

TEST_P(StreamedStores, StepsOfTwoRowsAreThoseOfEach) {
  ForEachTarget([&] {
    const RowKernels kernels = LayerNormRowKernels(GetParam());
    const std::size_t padded = RoundUp(kMaxCount, kColumnPadding);
    const std::vector<float> gamma(padded, 1.5F);
    for (const std::size_t count : {1, 63, 255, 256, 257, 511, 512, 513, 1025}) {
      std::vector<std::byte> dx[2];
      std::vector<float> columns[2];
      RowSlice accumulated[2];
      for (const bool together : {false, true}) {
        dx[together].resize(count * ElementBytes());
        columns[together].assign(2 * padded, 0.25F);
        RowSlice& first = accumulated[together];
        first = {dy_.data(), x_.data(), nullptr, {0.25, 3}, {}};
        const RowSlice second = {x_.data(), dy_.data(), dx[together].data(), {0.5, 2}, {1, 0.75}};
        RowStep step;
        step.cols = count;
        step.gamma = gamma.data();
        step.column_sums = {columns[together].data(), columns[together].data() + padded};
        step.accumulated = &first;
        if (!together) {
          kernels.step(step);
          step.accumulated = nullptr;
        }
        step.differentiated = &second;
        kernels.step(step);
      }
      EXPECT_EQ(accumulated[0].sums, accumulated[1].sums) << count;
      EXPECT_EQ(columns[0], columns[1]) << count;
      EXPECT_TRUE(dx[0] == dx[1]) << count;
    }
  });
}

TEST(CoefficientVectors, GiveTheSameBytesStreamedAndFromEveryElement) {
  ForEachTarget([] {
    std::vector<float> dy(100);
    for (std::size_t i = 0; i < dy.size(); ++i) dy[i] = static_cast<float>(i);
    CoefficientVectors coefficients(100);
    for (std::size_t i = 0; i < 100; ++i) {
      const auto value = static_cast<float>(i);
      coefficients.Set(i, 1, {.mean = 1, .rstd = 2, .scale = value, .slope = 3, .factor = 0.5});
    }
    alignas(64) std::array<float, 164> dx{};
    for (const bool stream : {false, true}) {
      for (std::size_t skipped = 0; skipped <= 16; ++skipped) {
        dx.fill(-1);
        const auto bytes = [](float* from) { return reinterpret_cast<std::byte*>(from); };
        coefficients.Gradient(
            {bytes(dy.data()), bytes(dy.data()), bytes(&dx[16 + skipped]), 100, stream});
        EXPECT_EQ(dx[15 + skipped], -1);
        for (std::size_t i = 0; i < 100; ++i) {
          // (i * i - (i - 1) * 2 * 3) / 2
          const auto value = static_cast<float>(i);
          ASSERT_EQ(dx[16 + skipped + i], (value * value - (value - 1) * 6) / 2) << i;
        }
        EXPECT_EQ(dx[116 + skipped], -1);
      }
    }
  });
}

INSTANTIATE_TEST_SUITE_P(DTypes, StreamedStores, testing::Values(kF32, kF16, kBF16),
                         [](const testing::TestParamInfo<DType>& param) {
                           return std::string(Name(param.param));
                         });

}  // namespace
}  // namespace normgrad::cpu
