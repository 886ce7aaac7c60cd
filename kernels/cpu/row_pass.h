// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>

#include "kernels/api/kernel.h"
#include "kernels/cpu/split.h"

/// The pass that layer norm and RMS norm share: every row of dy and x is read once from memory,
/// first for its sums over the columns, then, now in cache, for its dx and its share of the sums
/// over the rows, while the ones behind are fetched or the next one is read for its own sums, as
/// suits the caches. An operator is a small policy (row_pass-inl.h) and a call of RunRowPass().
namespace normgrad::cpu {

inline constexpr std::size_t kMaxTileRows = 4;
inline constexpr std::size_t kMaxSums = 2;

/// Some rows, or a range of columns of them, as dense memory. What the vector code works on.
struct RowTile {
  std::size_t rows = 0;  // 1, 2 or 4
  std::size_t cols = 0;
  std::array<const std::byte*, kMaxTileRows> dy{};
  std::array<const std::byte*, kMaxTileRows> x{};
  std::array<std::byte*, kMaxTileRows> dx{};  // null where it is not wanted
  // How many elements ahead of its loads from dy and x to fetch, 0 for nothing: in every row where
  // rows are read once, else from the first element on, in the order of memory.
  std::size_t ahead = 0;
  std::array<std::array<float, kMaxSums>, kMaxTileRows> statistics{};
  std::array<std::array<float, kMaxSums>, kMaxTileRows> sums{};  // over the columns; later means
  const float* gamma = nullptr;                                  // processing order, padded
  std::array<float*, kMaxSums> column_sums{};                    // the same; added to
  bool readable = false;  // kMaxBlock elements behind every row of dy and x can be read
  bool stream = false;    // write dx past the caches
};

/// Row `r` of a tile, as a tile.
RowTile RowOf(const RowTile& tile, std::size_t r);

/// Adjacent rows, as dense memory. What the vector code works on where a call for every row would
/// cost more than the row.
struct AdjacentRows {
  std::size_t rows = 0;
  std::size_t cols = 0;
  const std::byte* dy = nullptr;
  const std::byte* x = nullptr;
  std::byte* dx = nullptr;                          // null where it is not wanted
  bool stream = false;                              // write dx past the caches
  std::array<const float*, kMaxSums> statistics{};  // one per row
};

/// Rows of a few vectors, 1 to RowKernels::most_short_cols columns.
struct ShortRows : AdjacentRows {
  std::size_t spare = 0;  // elements that may be read behind the last row of dy and x
  // Where rows differ in gamma and column sums, row r has those in slot
  // (first_slot + r) % slots, slot_stride floats apart. Else there is one slot.
  const float* gamma = nullptr;  // as in RowTile
  std::array<float*, kMaxSums> column_sums{};
  std::size_t slots = 1;
  std::size_t first_slot = 0;
  std::size_t slot_stride = 0;
};

/// The most columns that PackedRows may have: what is best for group norm, measured.
inline constexpr std::size_t kMostPackedCols = 24;

/// Rows of 1 to kMostPackedCols columns, as many to a vector as it has room for. Behind the
/// statistics of the last row there are kMaxBlock zeros.
struct PackedRows : AdjacentRows {
  // One float for every element of as many rows as it takes until they begin with a block again,
  // `period` in all, which is a multiple of kMaxBlock; then the same again. In processing order.
  const float* gamma = nullptr;
  std::array<float*, kMaxSums> column_sums{};  // added to
  std::size_t period = 0;
  std::size_t first = 0;  // where in a period row 0 begins, a multiple of kMaxBlock
};

/// The vector code of one operator for one data type on one target. Vectors of columns are padded
/// with zeros to kColumnPadding, and in the *processing order* of the data type (convert-inl.h).
struct RowKernels {
  void (*sum)(RowTile& tile);           // sets sums
  void (*finish)(const RowTile& tile);  // writes dx where it is wanted, adds to column_sums
  /// finish() of one row, whose dx is wanted, and sum() of another with as many columns and the
  /// same gamma, so that memory is read while it is written.
  void (*finish_and_sum)(const RowTile& row, RowTile& next);
  /// All of that for many rows at once.
  void (*short_rows)(const ShortRows& rows);
  void (*packed_rows)(const PackedRows& rows);
  std::size_t block;  // elements that the vector code takes at a time
  std::size_t most_short_cols;
  /// Converts `count` elements of a scale, from a multiple of kColumnPadding on, and pads.
  void (*load_scale)(DType dtype, const std::byte* scale, std::size_t count, float* to);
  /// Adds `parts` vectors of column sums that lie `stride` floats apart, in order, and converts.
  void (*store_sums)(const float* sums, std::size_t parts, std::size_t stride, std::size_t count,
                     DType dtype, std::byte* to);
};

/// The vector code of layer norm. Group norm with short planes is the same, row by row.
RowKernels LayerNormRowKernels(DType data);

/// Columns are split, and vectors of columns padded, in units of this many.
inline constexpr std::size_t kColumnPadding = kMaxBlock;

/// PackedRows::period of rows that begin with the same gamma again after `elements`.
inline std::size_t PackedPeriod(std::size_t elements) { return std::lcm(elements, kColumnPadding); }

/// What distinguishes the operators of this pass.
struct RowPass {
  std::size_t statistics;   // per row: rstd, or mean and rstd
  std::size_t row_sums;     // per row, over the columns
  std::size_t column_sums;  // per column, over the rows
  // Rows of up to as many columns are best taken many to a vector: measured.
  std::size_t (*most_packed_cols)(DType data);
  RowKernels (*kernels)(DType data);
};

/// The tensors of a call. dy, x and dx are of one dtype and shape; all other dtypes are free. dx
/// and the column sums are written where they are present; a gamma that is not is all ones.
struct RowPassTensors {
  std::size_t leading_axes;  // axes of dy that are rows
  const KernelTensor& dy;
  const KernelTensor& x;
  const KernelTensor& dx;
  const KernelTensor& gamma;
  std::array<const KernelTensor*, kMaxSums> statistics;
  std::array<const KernelTensor*, kMaxSums> column_sums;
};

/// Bytes of workspace a call needs; 0 without elements.
std::uint64_t RowPassWorkspaceBytes(const RowPass& pass, DType data, std::size_t rows,
                                    std::size_t cols);

/// Runs the pass on every thread. Results do not depend on the number of threads.
void RunRowPass(const RowPass& pass, const RowPassTensors& tensors, std::size_t rows,
                std::size_t cols, std::byte* workspace);

}  // namespace normgrad::cpu
