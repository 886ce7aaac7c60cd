// SPDX-License-Identifier: Apache-2.0
// What calls that fit into the caches never show: stores past them.
#include "kernels/cpu/plane_pass.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
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

  /// A row of the first `count` elements, of which gamma and the column sums are missing.
  RowTile Row(std::size_t count, std::byte* dx) const {
    RowTile row;
    row.rows = 1;
    row.cols = count;
    row.dy[0] = dy_.data();
    row.x[0] = x_.data();
    row.dx[0] = dx;
    row.statistics[0] = {0.5, 2};
    row.sums[0] = {0.25, 0.75};
    return row;
  }

  alignas(64) std::array<std::byte, kMaxCount * 4> dy_{};
  alignas(64) std::array<std::byte, kMaxCount * 4> x_{};
};

/// Coefficients of planes that all differ.
std::vector<PlaneCoefficients> SomeCoefficients(std::size_t planes) {
  std::vector<PlaneCoefficients> coefficients(planes);
  for (std::size_t i = 0; i < planes; ++i) {
    const auto value = static_cast<float>(i);
    coefficients[i] = {0.5F + value, 2, 3, 0.25F * value, 0.75F, 2 + value};
  }
  return coefficients;
}

TEST_P(StreamedStores, GiveThePlanesTheSameBytes) {
  const std::vector<PlaneCoefficients> coefficients = SomeCoefficients(kMaxCount);
  ForEachInstructionSet([&] {
    const PlaneKernels kernels = PlaneKernelsFor(GetParam());
    for (const std::size_t plane : {1, 5, 16, 31, 32, 33, 64, 100, 128, 200}) {
      ExpectSameBytes([&](std::size_t count, std::byte* dx, bool stream) {
        PlaneRun run = {dy_.data(), x_.data(), dx};
        run.count = count / plane * plane;
        run.stream = stream;
        kernels.gradient(run, plane, coefficients.data());
      });
    }
  });
}

TEST_P(StreamedStores, GiveElementsWithTheirOwnCoefficientsWhatTheirPlanesGet) {
  const std::vector<PlaneCoefficients> coefficients = SomeCoefficients(7);
  ForEachInstructionSet([&] {
    const PlaneKernels kernels = PlaneKernelsFor(GetParam());
    for (const std::size_t plane : {1, 2, 5, 15, 16, 31}) {
      const CoefficientVectors vectors(GetParam(), plane, coefficients, 3 * plane, kMaxCount);
      std::array<std::byte, kMaxCount * 4> expected{};
      for (std::size_t first = 0; first < kMaxCount; first += plane) {
        const std::size_t bytes = first * ElementBytes();
        PlaneRun run = {dy_.data() + bytes, x_.data() + bytes, expected.data() + bytes};
        run.count = std::min(plane, kMaxCount - first);
        kernels.gradient(run, run.count, &coefficients[(3 + first / plane) % 7]);
      }
      ExpectSameBytes([&](std::size_t count, std::byte* dx, bool stream) {
        PlaneRun run = {dy_.data(), x_.data(), dx};
        run.count = count;
        run.spare = kMaxCount - count;
        run.stream = stream;
        vectors.Gradient(run, 0);
        EXPECT_EQ(std::memcmp(dx, expected.data(), count * ElementBytes()), 0) << plane;
      });
    }
  });
}

TEST_P(StreamedStores, GiveShortRowsTheSameBytes) {
  ForEachInstructionSet([&] {
    const RowKernels kernels = LayerNormRowKernels(GetParam());
    constexpr std::size_t kSlots = 3;
    const std::vector<float> gamma(kSlots * RoundUp(kMaxCount, kColumnPadding), 1.5F);
    const std::vector<float> statistics(kMaxCount, 0.75F);
    // Every length that has code of its own, then some of those that share theirs.
    for (std::size_t cols = 1; cols <= kernels.most_short_cols;
         cols += cols < 2 * kMaxBlock ? 1 : 7) {
      for (const std::size_t slots : {std::size_t{1}, kSlots}) {
        ExpectSameBytes([&](std::size_t count, std::byte* dx, bool stream) {
          std::vector<float> sums[kMaxSums] = {std::vector<float>(gamma.size()),
                                               std::vector<float>(gamma.size())};
          ShortRows rows;
          rows.rows = count / cols;
          rows.cols = cols;
          rows.dy = dy_.data();
          rows.x = x_.data();
          rows.dx = dx;
          rows.spare = kMaxCount - rows.rows * cols;
          rows.statistics = {statistics.data(), statistics.data()};
          rows.gamma = gamma.data();
          rows.column_sums = {sums[0].data(), sums[1].data()};
          rows.slots = slots;
          rows.first_slot = slots - 1;
          rows.slot_stride = RoundUp(kMaxCount, kColumnPadding);
          rows.stream = stream;
          kernels.short_rows(rows);
        });
      }
    }
  });
}

TEST_P(StreamedStores, GivePackedRowsTheSameBytes) {
  ForEachInstructionSet([&] {
    const RowKernels kernels = LayerNormRowKernels(GetParam());
    std::vector<float> statistics(kMaxCount + kMaxBlock);
    std::fill_n(statistics.begin(), kMaxCount, 0.75F);
    for (std::size_t cols = 1; cols <= kMostPackedCols; ++cols) {
      const std::size_t period = PackedPeriod(cols);
      const std::vector<float> gamma(period, 1.5F);
      ExpectSameBytes([&](std::size_t count, std::byte* dx, bool stream) {
        std::vector<float> sums[kMaxSums] = {std::vector<float>(period),
                                             std::vector<float>(period)};
        PackedRows rows;
        rows.rows = count / cols;
        rows.cols = cols;
        rows.dy = dy_.data();
        rows.x = x_.data();
        rows.dx = dx;
        // Behind the last row there are zeros.
        const float* const of_rows = &statistics[kMaxCount - rows.rows];
        rows.statistics = {of_rows, of_rows};
        rows.gamma = gamma.data();
        rows.column_sums = {sums[0].data(), sums[1].data()};
        rows.period = period;
        rows.stream = stream;
        kernels.packed_rows(rows);
      });
    }
  });
}

TEST_P(StreamedStores, TakePlanesTogetherAsEachAlone) {
  ForEachInstructionSet([&] {
    const PlaneKernels kernels = PlaneKernelsFor(GetParam());
    for (const std::size_t plane : {1, 5, 16, 31, 32, 33, 64, 100}) {
      const std::size_t planes = kMaxCount / plane;
      PlaneRun all = {dy_.data(), x_.data()};
      all.count = planes * plane;
      const std::vector<PlaneCoefficients> coefficients = SomeCoefficients(planes);
      std::vector<PlaneSums> together(planes);
      kernels.sums(all, plane, coefficients.data(), together.data());
      for (std::size_t p = 0; p < planes; ++p) {
        const std::size_t bytes = p * plane * ElementBytes();
        PlaneRun run = {dy_.data() + bytes, x_.data() + bytes};
        run.count = plane;
        PlaneSums alone;
        kernels.sums(run, plane, &coefficients[p], &alone);
        EXPECT_EQ(together[p].dy, alone.dy) << plane << " elements, number " << p;
        EXPECT_EQ(together[p].dy_xhat, alone.dy_xhat) << plane << " elements, number " << p;
      }
    }
  });
}

TEST_P(StreamedStores, GiveTheRowsTheSameBytes) {
  ForEachInstructionSet([&] {
    const RowKernels kernels = LayerNormRowKernels(GetParam());
    const std::vector<float> gamma(RoundUp(kMaxCount, kColumnPadding), 1.5F);
    ExpectSameBytes([&](std::size_t count, std::byte* dx, bool stream) {
      std::vector<float> sums[kMaxSums] = {std::vector<float>(gamma.size()),
                                           std::vector<float>(gamma.size())};
      RowTile tile = Row(count, dx);
      tile.gamma = gamma.data();
      tile.column_sums = {sums[0].data(), sums[1].data()};
      tile.stream = stream;
      kernels.finish(tile);
    });
  });
}

TEST_P(StreamedStores, TakeRowsTogetherAsEachAlone) {
  ForEachInstructionSet([&] {
    const RowKernels kernels = LayerNormRowKernels(GetParam());
    const std::vector<float> gamma(RoundUp(kMaxCount, kColumnPadding), 1.5F);
    for (const std::size_t rows : {2, 4}) {
      ExpectSameBytes([&](std::size_t count, std::byte* dx, bool stream) {
        if (count % rows != 0) return;
        const std::size_t cols = count / rows;
        const std::size_t bytes = cols * ElementBytes();
        std::vector<std::byte> dx_alone(rows * bytes);
        std::vector<float> together(2 * gamma.size());
        std::vector<float> alone(together.size());
        RowTile tile;
        tile.rows = rows;
        tile.cols = cols;
        tile.gamma = gamma.data();
        tile.stream = stream;
        for (std::size_t r = 0; r < rows; ++r) {
          tile.dy[r] = dy_.data() + r * bytes;
          tile.x[r] = x_.data() + r * bytes;
          tile.dx[r] = dx + r * bytes;
          tile.statistics[r] = {0.5F + static_cast<float>(r), 2};
        }
        tile.column_sums = {together.data(), together.data() + gamma.size()};
        tile.ahead = 1;  // of which nothing is to be seen
        kernels.sum(tile);
        for (std::size_t r = 0; r < rows; ++r) {
          RowTile row = RowOf(tile, r);
          row.dx[0] = dx_alone.data() + r * bytes;
          row.column_sums = {alone.data(), alone.data() + gamma.size()};
          row.stream = false;
          row.ahead = 0;
          kernels.sum(row);
          EXPECT_EQ(row.sums[0], tile.sums[r]) << r << " of " << rows;
          kernels.finish(row);
        }
        kernels.finish(tile);
        EXPECT_EQ(std::memcmp(dx, dx_alone.data(), dx_alone.size()), 0) << rows << " rows";
        EXPECT_EQ(together, alone) << rows << " rows";
        std::vector<float> without_dx(together.size());
        tile.dx = {};
        tile.column_sums = {without_dx.data(), without_dx.data() + gamma.size()};
        kernels.finish(tile);
        EXPECT_EQ(together, without_dx) << rows << " rows";
      });
    }
  });
}

TEST_P(StreamedStores, SumTheNextRowBesideAsAlone) {
  ForEachInstructionSet([&] {
    const RowKernels kernels = LayerNormRowKernels(GetParam());
    std::vector<float> gamma(RoundUp(kMaxCount, kColumnPadding));
    for (std::size_t i = 0; i < gamma.size(); ++i) gamma[i] = 1.5F - static_cast<float>(i % 7);
    ExpectSameBytes([&](std::size_t count, std::byte* dx, bool beside) {
      std::vector<float> sums(2 * gamma.size());
      RowTile row = Row(count, dx);
      row.gamma = gamma.data();
      row.column_sums = {sums.data(), sums.data() + gamma.size()};
      row.ahead = 1;  // of which nothing is to be seen
      row.readable = count + kMaxBlock <= kMaxCount;
      row.stream = true;
      if (!beside) return kernels.finish(row);
      RowTile next = row;
      std::swap(next.dy, next.x);  // something else
      next.statistics[0] = {1.5, 0.25};
      RowTile alone = next;
      kernels.sum(alone);
      kernels.finish_and_sum(row, next);
      EXPECT_EQ(next.sums[0], alone.sums[0]) << count << " elements";
      std::vector<float> expected(sums.size());
      row.column_sums = {expected.data(), expected.data() + gamma.size()};
      row.dx = {};
      kernels.finish(row);
      EXPECT_EQ(sums, expected) << count << " elements";
    });
  });
}

INSTANTIATE_TEST_SUITE_P(DTypes, StreamedStores, testing::Values(kF32, kF16, kBF16),
                         [](const testing::TestParamInfo<DType>& param) {
                           return std::string(Name(param.param));
                         });

}  // namespace
}  // namespace normgrad::cpu
