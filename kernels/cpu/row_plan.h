// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "base/dtype.h"
#include "kernels/cpu/row_pass.h"
#include "kernels/cpu/split.h"

/// How a call of the row pass is shared by threads, and how a thread takes its rows.
namespace normgrad::cpu {

/// How a call is split into parts that can run at the same time, and what its workspace holds.
/// A function of shape, dtype and the machine's caches alone, so that neither threads nor layouts
/// change a result.
///
/// Many rows: a part is some rows, all columns; column sums are added up at the end. Few rows, or
/// long ones: a part is some columns; row sums are added up between the two sweeps over a row.
struct RowPlan {
  bool by_rows;
  bool packed;  // by rows, several to a vector
  std::size_t parts;
  std::size_t part_rows;    // by rows: a multiple of kMaxTileRows
  std::size_t part_cols;    // by columns: a multiple of kColumnPadding; also how vectors are split
  std::size_t padded_cols;  // length of a vector of columns in the workspace

  RowPlan(const RowPass& pass, DType data, std::size_t rows, std::size_t cols);

  std::size_t ColumnParts(std::size_t cols) const { return DivideUp(cols, part_cols); }

  /// How many parts have column sums of their own.
  std::size_t ColumnSumParts() const { return by_rows ? parts : 1; }
};

/// The ways to take rows. A row's results are the same in all but packed ones, which are a matter
/// of the plan.
enum class RowWay {
  kPacked,       // several to a vector
  kShort,        // many to a call of the vector code
  kOverlapping,  // one finished while the next is summed up
  kTiles,        // one or some summed up, then finished
};

/// What the way depends on beside the plan.
struct RowLayout {
  bool adjacent;  // the rows of dy and of x, without gaps
  bool dense;     // the columns of dy, x and dx
  bool stream;    // the tensors are not in the caches
  bool has_dx;
};

/// How the rows of a call are taken.
class RowTaking {
 public:
  RowTaking(const RowPass& pass, const RowKernels& kernels, const RowPlan& plan, DType data,
            std::size_t rows, std::size_t cols, RowLayout layout);

  RowWay Way() const { return way_; }

  /// Rows of a tile of `cols` columns.
  std::size_t TileRows(std::size_t cols) const;

  /// RowTile::ahead of a tile of `rows` whole rows.
  std::size_t Ahead(std::size_t rows) const;

 private:
  RowWay WayOf(const RowPlan& plan, std::size_t rows, const RowKernels& kernels) const;
  bool AreShort(const RowKernels& kernels) const;
  bool Overlap(const RowPlan& plan, std::size_t rows) const;
  bool Collide() const;

  std::size_t element_bytes_;
  std::size_t cols_;
  RowLayout layout_;
  bool large_first_level_;
  bool fits_first_level_;
  RowWay way_;
  bool fetches_next_tile_;
};

}  // namespace normgrad::cpu
