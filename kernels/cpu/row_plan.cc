// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/row_plan.h"

#include <algorithm>

#include "kernels/cpu/caches.h"

namespace normgrad::cpu {
namespace {

// A part of rows leaves a vector of column sums behind, to be written and read once more. From 32
// rows on that is little beside the rows themselves, of 8 it is still less than going through the
// rows twice, so that few rows make up to eight parts; and more than 32 parts are not worth it, as
// memory is busy with fewer threads.
constexpr std::size_t kMinPartRows = 8;
constexpr std::size_t kGoodPartRows = 32;
constexpr std::size_t kGoodRowParts = 8;
constexpr std::size_t kMaxRowParts = 32;

// Two long rows, gamma and the column sums exceed a common second-level cache, the halves of them
// that two threads have do not; so that long rows are split by columns up to as many rows as make
// enough parts for many threads; but not where a large first-level cache has the next rows fetched,
// which pays unless they are float16, whose conversions take a core the least time. Columns make a
// few parts only: a call of the vector code for less of a row costs more than it is worth. All
// measured.
constexpr std::size_t kLongRow = std::size_t{3} << 14;
constexpr std::size_t kLongRowParts = 8;

constexpr std::size_t kSecondLevel = std::size_t{1} << 20;  // a common one, of a core

/// Rows that are split by rows. Measured; long ones should be enough parts for many threads.
std::size_t LeastRowsByRows(DType data, std::size_t cols) {
  constexpr std::size_t kShort = 4096;
  const bool fetched = HasLargeFirstLevelCache() && data != DType::kFloat16;
  if (cols >= kLongRow && !fetched) return kMaxRowParts * kGoodPartRows;
  return (cols <= kShort ? 2 : 4) * kMinPartRows;
}

/// Whether a row, gamma and the column sums together stay in any first-level cache.
bool FitsFirstLevel(const RowPass& pass, std::size_t element_bytes, std::size_t cols) {
  constexpr std::size_t kRoom = std::size_t{28} << 10;
  return cols * (2 * element_bytes + (1 + pass.column_sums) * sizeof(float)) <= kRoom;
}

}  // namespace

RowPlan::RowPlan(const RowPass& pass, DType data, std::size_t rows, std::size_t cols)
    : by_rows(rows >= LeastRowsByRows(data, cols)),
      packed(by_rows && cols <= std::min(pass.most_packed_cols(data), kMostPackedCols)),
      padded_cols(packed ? PackedPeriod(cols) : RoundUp(cols, kColumnPadding)) {
  if (by_rows) {
    part_rows = std::max({std::clamp(DivideUp(rows, kGoodRowParts), kMinPartRows, kGoodPartRows),
                          DivideUp(rows, kMaxRowParts), DivideUp(kMinPartElements, cols)});
    // Of packed rows, a part begins where dx does, as far as whole lines go.
    part_rows = RoundUp(part_rows, packed ? kMaxBlock : kMaxTileRows);
    parts = DivideUp(rows, part_rows);
    part_cols = RoundUp(DivideUp(kMinPartElements, parts), kColumnPadding);
  } else {
    const std::size_t per_part = std::max(DivideUp(rows * cols, kMaxParts), kMinPartElements);
    const std::size_t long_part = cols >= kLongRow ? DivideUp(cols, kLongRowParts) : 0;
    part_cols = RoundUp(std::max(DivideUp(per_part, rows), long_part), kColumnPadding);
    parts = DivideUp(cols, part_cols);
    part_rows = rows;
  }
}

RowTaking::RowTaking(const RowPass& pass, const RowKernels& kernels, const RowPlan& plan,
                     DType data, std::size_t rows, std::size_t cols, RowLayout layout)
    : element_bytes_(SizeOf(data)),
      cols_(cols),
      layout_(layout),
      large_first_level_(HasLargeFirstLevelCache()),
      fits_first_level_(FitsFirstLevel(pass, element_bytes_, cols)),
      way_(WayOf(plan, rows, kernels)),
      fetches_next_tile_(large_first_level_ && way_ == RowWay::kTiles && plan.by_rows &&
                         layout.stream && layout.adjacent && layout.has_dx) {}

RowWay RowTaking::WayOf(const RowPlan& plan, std::size_t rows, const RowKernels& kernels) const {
  if (plan.packed) return RowWay::kPacked;
  if (plan.by_rows && AreShort(kernels)) return RowWay::kShort;
  return Overlap(plan, rows) ? RowWay::kOverlapping : RowWay::kTiles;
}

/// Measured: short rows, and longer ones that do not end where a line and a block of the vector
/// code do.
bool RowTaking::AreShort(const RowKernels& kernels) const {
  constexpr std::size_t kShort = 128;
  constexpr std::size_t kShortBytes = 768;
  constexpr std::size_t kLine = 64;
  if (cols_ > kernels.most_short_cols) return false;
  const std::size_t bytes = cols_ * element_bytes_;
  const bool whole = bytes % kLine == 0 && cols_ % kernels.block == 0;
  return cols_ <= kShort || (!whole && bytes <= kShortBytes);
}

/// All measured. Split by columns: where memory brings them; where a cache does, threads would have
/// to wait for each other after every row. Split by rows: where memory or a farther cache brings
/// them, and where several rows at a time would collide; but with a large first-level cache only
/// rows that fit it from a farther cache, and very short ones from memory, as the next tile finds
/// room in it.
bool RowTaking::Overlap(const RowPlan& plan, std::size_t rows) const {
  constexpr std::size_t kVeryShort = 512;
  if (!layout_.dense || !layout_.has_dx) return false;
  if (!plan.by_rows) return layout_.stream;
  const bool near = 3 * rows * cols_ * element_bytes_ <= 2 * kSecondLevel;  // of two cores
  if (!large_first_level_) return layout_.stream || !near || Collide();
  const bool very_short = element_bytes_ < sizeof(float) && cols_ <= kVeryShort;
  return layout_.stream ? very_short : !near && fits_first_level_;
}

/// Whether all rows have the same places in a common first-level cache: few of them find room.
bool RowTaking::Collide() const {
  constexpr std::size_t kSamePlaces = std::size_t{4} << 10;
  return !large_first_level_ && cols_ * element_bytes_ % kSamePlaces == 0;
}

/// Several rows share the loads of gamma and of the column sums, but they must find room in a
/// cache. All measured: one, of rows that fit the first level beside those fetched into it. Else
/// four, in float32 unless they collide or take more than a quarter of a common second-level cache,
/// in 16 bits, where gamma and the sums are more than the rows, unless they take more than half of
/// it. Else two are still better than one, in float32 up to half of it.
std::size_t RowTaking::TileRows(std::size_t cols) const {
  const std::size_t row_bytes = 2 * cols * element_bytes_;
  if (fetches_next_tile_ && fits_first_level_) return 1;
  if (element_bytes_ < sizeof(float)) return 4 * row_bytes <= kSecondLevel / 2 ? 4 : 2;
  if (4 * row_bytes <= kSecondLevel / 4 && !Collide()) return 4;
  return 2 * row_bytes <= kSecondLevel / 2 ? 2 : 1;
}

/// Where the rows behind a tile are fetched while it is finished, those of the next tile, behind
/// the last row of a part, too: a thread's next part is the next one, mostly. Else a little, where
/// rows are read once.
std::size_t RowTaking::Ahead(std::size_t rows) const {
  constexpr std::size_t kMore = 1024;  // of short rows, for memory to have the time it needs
  if (fetches_next_tile_) return rows * cols_ + (fits_first_level_ ? kMore : 0);
  const bool once = way_ == RowWay::kOverlapping || !layout_.has_dx;
  return once && layout_.stream && layout_.adjacent ? kFetchAheadBytes / element_bytes_ : 0;
}

}  // namespace normgrad::cpu
