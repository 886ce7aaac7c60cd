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

constexpr std::size_t kMaxCount = 200;

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
    for (const std::size_t count : {1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 200}) {
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
      RowTile tile;
      tile.rows = 1;
      tile.cols = count;
      tile.dy[0] = dy_.data();
      tile.x[0] = x_.data();
      tile.dx[0] = dx;
      tile.statistics[0] = {0.5, 2};
      tile.sums[0] = {0.25, 0.75};
      tile.gamma = gamma.data();
      tile.stream = stream;
      kernels.gradient(tile);
    });
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
