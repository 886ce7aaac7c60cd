// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/row_plan.h"

#include <array>
#include <cstddef>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/cpu/caches.h"

namespace normgrad::cpu {
namespace {

constexpr RowPass kPass = {
    .statistics = 2,
    .row_sums = 2,
    .column_sums = 2,
    .most_packed_cols = [](DType) -> std::size_t { return 12; },
    .kernels = LayerNormRowKernels,
};

constexpr std::array kDTypes = {DType::kFloat32, DType::kFloat16, DType::kBFloat16};
constexpr std::array<std::size_t, 14> kRows = {1,  2,   7,   8,    15,   16,    31,
                                               33, 127, 128, 1023, 1024, 40000, 1000000};
constexpr std::array<std::size_t, 14> kCols = {1,    11,   12,   13,    128,   129,   511,
                                               1433, 1434, 4096, 16384, 49151, 49152, 262144};

/// Both first-level caches that plans tell apart.
class RowPlanTest : public testing::TestWithParam<std::size_t> {
 protected:
  RowPlanTest() { AssumeFirstLevelCache(GetParam() << 10); }
  ~RowPlanTest() override { AssumeFirstLevelCache({}); }

  static RowTaking Taking(DType data, std::size_t rows, std::size_t cols, RowLayout layout) {
    const RowPlan plan(kPass, data, rows, cols);
    return {kPass, LayerNormRowKernels(data), plan, data, rows, cols, layout};
  }

  template <typename Visit>
  static void ForEachCall(Visit visit) {
    for (const DType data : kDTypes) {
      for (const std::size_t rows : kRows) {
        for (const std::size_t cols : kCols) visit(data, rows, cols);
      }
    }
  }
};

INSTANTIATE_TEST_SUITE_P(FirstLevelKibibytes, RowPlanTest, testing::Values(32, 48));

TEST_P(RowPlanTest, PartsAreAllOfACallAndNoMoreThanThreadsNeed) {
  ForEachCall([](DType data, std::size_t rows, std::size_t cols) {
    SCOPED_TRACE(testing::Message() << Name(data) << ' ' << rows << 'x' << cols);
    const RowPlan plan(kPass, data, rows, cols);
    ASSERT_GT(plan.part_cols, 0U);
    EXPECT_EQ(plan.part_cols % kColumnPadding, 0U);
    EXPECT_EQ(plan.padded_cols % kColumnPadding, 0U);
    EXPECT_GE(plan.padded_cols, cols);
    EXPECT_LE(plan.parts, kMaxParts);
    if (plan.by_rows) {
      ASSERT_GT(plan.part_rows, 0U);
      EXPECT_EQ(plan.part_rows % kMaxTileRows, 0U);
      EXPECT_EQ(plan.parts, DivideUp(rows, plan.part_rows));
      EXPECT_EQ(plan.ColumnSumParts(), plan.parts);
    } else {
      EXPECT_FALSE(plan.packed);
      EXPECT_EQ(plan.parts, DivideUp(cols, plan.part_cols));
      EXPECT_EQ(plan.ColumnSumParts(), 1U);
    }
  });
}

TEST_P(RowPlanTest, FewRowsAreSplitByColumnsAndManyByRows) {
  ForEachCall([](DType data, std::size_t rows, std::size_t cols) {
    const RowPlan plan(kPass, data, rows, cols);
    if (rows < 16 || rows >= 1024) {
      EXPECT_EQ(plan.by_rows, rows >= 1024) << rows << 'x' << cols;
    }
  });
}

TEST_P(RowPlanTest, LongRowsAreSplitByRowsWhereALargeFirstLevelCacheHasTheNextOnesFetched) {
  const bool large = HasLargeFirstLevelCache();
  const auto by_rows = [](DType data, std::size_t cols) {
    return RowPlan(kPass, data, 256, cols).by_rows;
  };
  for (const DType data : kDTypes) EXPECT_TRUE(by_rows(data, 49151)) << Name(data);
  EXPECT_EQ(by_rows(DType::kFloat32, 49152), large);
  EXPECT_EQ(by_rows(DType::kBFloat16, 49152), large);
  EXPECT_FALSE(by_rows(DType::kFloat16, 49152));
}

TEST_P(RowPlanTest, TilesAreOnesThatTheVectorCodeKnows) {
  ForEachCall([](DType data, std::size_t rows, std::size_t cols) {
    for (const bool stream : {false, true}) {
      const RowTaking taking = Taking(
          data, rows, cols, {.adjacent = true, .dense = true, .stream = stream, .has_dx = true});
      const std::size_t tile = taking.TileRows(cols);
      EXPECT_TRUE(tile == 1 || tile == 2 || tile == 4) << tile;
    }
  });
}

// What is fetched is read soon, and what is not adjacent is not fetched: it may not exist.
TEST_P(RowPlanTest, OnlyAdjacentRowsFromMemoryAreFetched) {
  ForEachCall([](DType data, std::size_t rows, std::size_t cols) {
    for (const bool has_dx : {false, true}) {
      for (const auto& [adjacent, stream] :
           std::vector<std::pair<bool, bool>>{{false, true}, {true, false}, {false, false}}) {
        const RowTaking taking =
            Taking(data, rows, cols,
                   {.adjacent = adjacent, .dense = true, .stream = stream, .has_dx = has_dx});
        EXPECT_EQ(taking.Ahead(1), 0U);
        EXPECT_EQ(taking.Ahead(4), 0U);
      }
    }
  });
}

TEST_P(RowPlanTest, OnlyRowsWithDenseColumnsOverlap) {
  ForEachCall([](DType data, std::size_t rows, std::size_t cols) {
    for (const bool stream : {false, true}) {
      const RowWay way =
          Taking(data, rows, cols,
                 {.adjacent = true, .dense = false, .stream = stream, .has_dx = true})
              .Way();
      EXPECT_NE(way, RowWay::kOverlapping) << rows << 'x' << cols;
    }
  });
}

TEST_P(RowPlanTest, RowsFromMemoryOverlapOrHaveTheNextTileFetched) {
  const RowLayout from_memory = {.adjacent = true, .dense = true, .stream = true, .has_dx = true};
  const RowTaking taking = Taking(DType::kFloat32, 4096, 4096, from_memory);
  if (HasLargeFirstLevelCache()) {
    EXPECT_EQ(taking.Way(), RowWay::kTiles);
    EXPECT_EQ(taking.Ahead(4), std::size_t{4} * 4096);
    EXPECT_EQ(Taking(DType::kFloat32, 8192, 1024, from_memory).TileRows(1024), 1U);
  } else {
    EXPECT_EQ(taking.Way(), RowWay::kOverlapping);
    EXPECT_EQ(taking.Ahead(1), kFetchAheadBytes / sizeof(float));
  }
}

}  // namespace
}  // namespace normgrad::cpu
