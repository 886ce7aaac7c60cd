// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/row_pass.h"

#include <algorithm>
#include <array>
#include <cstring>

#include <hwy/cache_control.h>

#include "kernels/cpu/caches.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/row_plan.h"
#include "kernels/cpu/row_view.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/split.h"
#include "kernels/cpu/thread_pool.h"

namespace normgrad::cpu {
namespace {

/// A tensor that an operator has, or one that is not there.
const KernelTensor& OrAbsent(const KernelTensor* tensor) {
  static const KernelTensor kAbsent;
  return tensor != nullptr ? *tensor : kAbsent;
}

/// Where the parts of a call find things.
class Call {
 public:
  Call(const RowPass& pass, const RowPassTensors& tensors, std::size_t rows, std::size_t cols,
       std::byte* workspace)
      : pass_(pass),
        kernels_(pass.kernels(tensors.dy.dtype)),
        plan_(pass, tensors.dy.dtype, rows, cols),
        rows_(rows),
        cols_(cols),
        dy_(tensors.dy, tensors.leading_axes),
        x_(tensors.x, tensors.leading_axes),
        dx_(tensors.dx, tensors.leading_axes),
        gamma_(tensors.gamma, 0),
        statistics_{Scalars(OrAbsent(tensors.statistics[0])),
                    Scalars(OrAbsent(tensors.statistics[1]))},
        outputs_{RowView(OrAbsent(tensors.column_sums[0]), 0),
                 RowView(OrAbsent(tensors.column_sums[1]), 0)},
        gamma_sorted_(reinterpret_cast<float*>(workspace)),
        column_sums_(gamma_sorted_ + plan_.padded_cols),
        row_sums_(column_sums_ + pass.column_sums * plan_.ColumnSumParts() * plan_.padded_cols),
        layout_{
            .adjacent = dy_.Adjacent() && x_.Adjacent(),
            .dense = dy_.Columns().Dense() && x_.Columns().Dense() && dx_.Columns().Dense(),
            .stream = ExceedsCaches(3 * rows * cols * dy_.ElementBytes()),
            .has_dx = dx_.Present(),
        },
        taking_(pass, kernels_, plan_, tensors.dy.dtype, rows, cols, layout_) {}

  void Run() {
    const auto pool = Threads();
    if (plan_.by_rows) {
      pool->Run(plan_.ColumnParts(cols_), [&](std::size_t part) { LoadGamma(part); });
      pool->Run(plan_.parts, [&](std::size_t part) { Rows(part); });
    } else {
      pool->Run(plan_.parts, [&](std::size_t part) { Prepare(part); });
      taking_.Way() == RowWay::kOverlapping ? RunColumnsOverlapped(*pool) : RunColumns(*pool);
    }
    pool->Run(plan_.ColumnParts(cols_), [&](std::size_t part) { StoreColumnSums(part); });
  }

 private:
  /// Sums number `i` over the rows of part `part`, from column `first` on.
  float* ColumnSums(std::size_t i, std::size_t part, std::size_t first) const {
    return column_sums_ + (i * plan_.ColumnSumParts() + part) * plan_.padded_cols + first;
  }

  /// Row sums of one part of columns and one row.
  float* RowSums(std::size_t part, std::size_t row) const {
    return row_sums_ + (part * rows_ + row) * pass_.row_sums;
  }

  /// Length of a vector of `count` columns in the workspace.
  std::size_t VectorLength(std::size_t count) const {
    return plan_.packed ? plan_.padded_cols : RoundUp(count, kColumnPadding);
  }

  std::size_t FirstColumn(std::size_t part) const { return part * plan_.part_cols; }
  std::size_t Columns(std::size_t part) const {
    return std::min(plan_.part_cols, cols_ - FirstColumn(part));
  }

  void LoadGamma(std::size_t part) {
    const std::size_t first = FirstColumn(part);
    const std::size_t count = Columns(part);
    if (!gamma_.Present()) {
      std::fill_n(gamma_sorted_ + first, VectorLength(count), 1.0F);
      return;
    }
    const std::size_t bytes = count * gamma_.ElementBytes();
    const Scratch scratch(gamma_.Columns().Dense() ? 0 : bytes);
    const std::byte* const gamma = gamma_.Read(0, first, count, scratch.data());
    if (!plan_.packed) {
      return kernels_.load_scale(gamma_.Type(), gamma, count, gamma_sorted_ + first);
    }
    const std::size_t times = plan_.padded_cols / cols_;
    const Scratch repeated(times * bytes);
    for (std::size_t i = 0; i < times; ++i) std::copy_n(gamma, bytes, repeated.data() + i * bytes);
    kernels_.load_scale(gamma_.Type(), repeated.data(), plan_.padded_cols, gamma_sorted_);
  }

  void StoreColumnSums(std::size_t part) {
    const std::size_t first = FirstColumn(part);
    const std::size_t count = Columns(part);
    for (std::size_t i = 0; i < pass_.column_sums; ++i) {
      const RowView& output = outputs_[i];
      if (!output.Present()) continue;
      const Scratch scratch(output.Columns().Dense() ? 0 : count * output.ElementBytes());
      std::byte* const target = output.Target(0, first, scratch.data());
      if (plan_.packed) {
        StorePackedSums(i, output.Type(), target);
      } else {
        kernels_.store_sums(ColumnSums(i, 0, first), plan_.ColumnSumParts(), plan_.padded_cols,
                            count, output.Type(), target);
      }
      output.Write(0, first, count, scratch.data());
    }
  }

  /// Column sums number `i`, each of which is in as many parts as a vector has room for.
  void StorePackedSums(std::size_t i, DType dtype, std::byte* to) const {
    const Scratch scratch(plan_.padded_cols * sizeof(float));
    auto* const sums = scratch.As<float>();
    kernels_.store_sums(ColumnSums(i, 0, 0), plan_.ColumnSumParts(), plan_.padded_cols,
                        plan_.padded_cols, DType::kFloat32, scratch.data());
    for (std::size_t c = 0; c < cols_; ++c) {
      double sum = 0;
      for (std::size_t at = c; at < plan_.padded_cols; at += cols_) {
        sum += static_cast<double>(sums[at]);
      }
      sums[c] = static_cast<float>(sum);
    }
    Narrow(sums, cols_, dtype, to);
  }

  /// A tile of one row, columns [first, first + count), of which only the row is missing.
  RowTile TileOf(std::size_t first, std::size_t count, std::size_t part) const {
    RowTile tile;
    tile.rows = 1;
    tile.cols = count;
    tile.ahead = count == cols_ ? taking_.Ahead(1) : 0;
    tile.gamma = gamma_sorted_ + first;
    for (std::size_t i = 0; i < pass_.column_sums; ++i) {
      tile.column_sums[i] = ColumnSums(i, part, first);
    }
    tile.stream = layout_.stream && dx_.Columns().Dense();
    return tile;
  }

  /// Whether a block of dy and of x can be read from element `at` on.
  bool IsReadable(std::size_t at) const {
    return layout_.adjacent && at + kMaxBlock <= rows_ * cols_;
  }

  /// Sets the rows of `tile` from `row` on. `scratch` has room for three tensors' rows of a tile,
  /// or is null where all of them are dense.
  void PointAt(std::size_t row, std::size_t first, std::byte* scratch, RowTile* tile) const {
    const std::size_t bytes = tile->cols * dy_.ElementBytes();
    tile->readable = IsReadable((row + tile->rows - 1) * cols_ + first + tile->cols);
    const auto room = [&](std::size_t tensor, std::size_t r) {
      return layout_.dense ? nullptr : scratch + (tensor * kMaxTileRows + r) * bytes;
    };
    for (std::size_t r = 0; r < tile->rows; ++r) {
      tile->dy[r] = dy_.Read(row + r, first, tile->cols, room(0, r));
      tile->x[r] = x_.Read(row + r, first, tile->cols, room(1, r));
      if (layout_.has_dx) tile->dx[r] = dx_.Target(row + r, first, room(2, r));
      for (std::size_t i = 0; i < pass_.statistics; ++i) {
        tile->statistics[r][i] = statistics_[i][row + r];
      }
    }
  }

  /// Walks rows [first_row, end_row) x columns [first, first + count) tile by tile and calls
  /// visit(tile, first row of the tile), then puts dx where it belongs.
  template <typename Visit>
  void ForEachTile(std::size_t first_row, std::size_t end_row, std::size_t first, std::size_t count,
                   std::size_t part, Visit visit) {
    const std::size_t bytes = count * dy_.ElementBytes();
    const Scratch scratch(layout_.dense ? 0 : 3 * kMaxTileRows * bytes);
    RowTile tile = TileOf(first, count, part);
    const std::size_t tile_rows = taking_.TileRows(count);
    for (std::size_t row = first_row; row < end_row; row += tile.rows) {
      const std::size_t taken = row + tile_rows <= end_row ? tile_rows : 1;
      if (taken != tile.rows) {
        tile.rows = taken;
        tile.ahead = count == cols_ ? taking_.Ahead(taken) : 0;
      }
      PointAt(row, first, scratch.data(), &tile);
      visit(tile, row);
      for (std::size_t r = 0; !layout_.dense && layout_.has_dx && r < tile.rows; ++r) {
        dx_.Write(row + r, first, count, scratch.data() + (2 * kMaxTileRows + r) * bytes);
      }
    }
    if (tile.stream) hwy::FlushStream();
  }

  float Mean(double sum) const { return static_cast<float>(sum / static_cast<double>(cols_)); }

  void Rows(std::size_t part) {
    for (std::size_t i = 0; i < pass_.column_sums; ++i) {
      std::fill_n(ColumnSums(i, part, 0), plan_.padded_cols, 0.0F);
    }
    const std::size_t first = part * plan_.part_rows;
    const std::size_t end = std::min(rows_, first + plan_.part_rows);
    switch (taking_.Way()) {
      case RowWay::kPacked: return TakePackedRows(first, end, part);
      case RowWay::kShort: return TakeShortRows(first, end, part);
      case RowWay::kOverlapping: return TakeOverlapped(first, end, part);
      case RowWay::kTiles: return TakeTiles(first, end, part);
    }
  }

  void TakeTiles(std::size_t first, std::size_t end, std::size_t part) {
    ForEachTile(first, end, 0, cols_, part, [&](RowTile& tile, std::size_t) {
      if (layout_.has_dx) {
        kernels_.sum(tile);
        TakeMeans(&tile);
      }
      kernels_.finish(tile);
    });
  }

  void TakeMeans(RowTile* tile) const {
    for (std::size_t r = 0; r < tile->rows; ++r) {
      for (std::size_t i = 0; i < pass_.row_sums; ++i) {
        tile->sums[r][i] = Mean(static_cast<double>(tile->sums[r][i]));
      }
    }
  }

  /// Rows [first, end), each finished while the next one is summed up. One at a time: two share the
  /// loads of gamma and of the column sums, but take registers, and places in the first-level
  /// cache, that are not there.
  void TakeOverlapped(std::size_t first, std::size_t end, std::size_t part) {
    constexpr std::size_t kBatch = 16;  // rows whose statistics are read together
    std::array<std::array<float, kBatch>, kMaxSums> statistics;
    std::array<RowTile, 2> rows;
    rows.fill(TileOf(0, cols_, part));
    for (std::size_t row = first; row < end; ++row) {
      const std::size_t in_batch = (row - first) % kBatch;
      RowTile& next = rows[row % 2];
      // Not PointAt(): beside a short row, all that it allows for takes long.
      next.readable = IsReadable((row + 1) * cols_);
      next.dy[0] = dy_.Row(row);
      next.x[0] = x_.Row(row);
      next.dx[0] = dx_.Row(row);
      for (std::size_t i = 0; i < pass_.statistics; ++i) {
        if (in_batch == 0) {
          statistics_[i].Read(row, std::min(kBatch, end - row), statistics[i].data());
        }
        next.statistics[0][i] = statistics[i][in_batch];
      }
      row == first ? kernels_.sum(next) : kernels_.finish_and_sum(rows[(row + 1) % 2], next);
      TakeMeans(&next);
    }
    kernels_.finish(rows[(end + 1) % 2]);
    hwy::FlushStream();
  }

  /// Rows of a few vectors.
  void TakeShortRows(std::size_t first, std::size_t end, std::size_t part) {
    ShortRows rows;
    rows.gamma = gamma_sorted_;
    for (std::size_t i = 0; i < pass_.column_sums; ++i) {
      rows.column_sums[i] = ColumnSums(i, part, 0);
    }
    TakeAdjacent(first, end, &rows, [&](std::size_t row) {
      rows.spare = layout_.adjacent ? (rows_ - row - rows.rows) * cols_ : 0;
      kernels_.short_rows(rows);
    });
  }

  /// Rows packed into vectors.
  void TakePackedRows(std::size_t first, std::size_t end, std::size_t part) {
    PackedRows rows;
    rows.gamma = gamma_sorted_;
    for (std::size_t i = 0; i < pass_.column_sums; ++i) {
      rows.column_sums[i] = ColumnSums(i, part, 0);
    }
    rows.period = plan_.padded_cols;  // which the rows taken at once are a multiple of
    TakeAdjacent(first, end, &rows, [&](std::size_t) { kernels_.packed_rows(rows); });
  }

  /// Rows [first, end), many at a time, whatever their layout: the sums depend on the order they
  /// are taken in. Calls take(row) with `rows` those from `row` on.
  template <typename Take>
  void TakeAdjacent(std::size_t first, std::size_t end, AdjacentRows* rows, Take take) {
    constexpr std::size_t kRows = StatisticOfRows::kMostRows;
    static_assert(kRows % kColumnPadding == 0);
    const std::size_t room_bytes = kRows * cols_ * dy_.ElementBytes();
    const bool in_place = layout_.adjacent && (!layout_.has_dx || dx_.Adjacent());
    const Scratch room(in_place ? 0 : 3 * room_bytes);
    std::byte* const dy_room = room.data();
    std::byte* const x_room = in_place ? nullptr : dy_room + room_bytes;
    std::byte* const dx_room = in_place ? nullptr : x_room + room_bytes;
    std::array<StatisticOfRows, kMaxSums> statistics;
    rows->cols = cols_;
    rows->stream = layout_.stream && dx_.Adjacent();
    for (std::size_t i = 0; i < pass_.statistics; ++i) rows->statistics[i] = statistics[i].data();
    for (std::size_t row = first; row < end; row += rows->rows) {
      rows->rows = std::min(kRows, end - row);
      rows->dy = dy_.ReadRows(row, rows->rows, dy_room);
      rows->x = x_.ReadRows(row, rows->rows, x_room);
      rows->dx = layout_.has_dx ? dx_.TargetRows(row, dx_room) : nullptr;
      for (std::size_t i = 0; i < pass_.statistics; ++i) {
        statistics[i].Read(statistics_[i], row, rows->rows);
      }
      take(row);
      if (layout_.has_dx) dx_.WriteRows(row, rows->rows, dx_room);
    }
    if (layout_.stream) hwy::FlushStream();
  }

  void Prepare(std::size_t part) {
    LoadGamma(part);
    const std::size_t first = FirstColumn(part);
    for (std::size_t i = 0; i < pass_.column_sums; ++i) {
      std::fill_n(ColumnSums(i, 0, first), RoundUp(Columns(part), kColumnPadding), 0.0F);
    }
  }

  /// Split by columns, as many rows summed up at a time, before they are finished, as a cache has
  /// room for.
  void RunColumns(ThreadPool& pool) {
    constexpr std::size_t kCachedBytes = std::size_t{4} << 20;
    const std::size_t cached = kCachedBytes / (2 * cols_ * dy_.ElementBytes());
    const std::size_t most = std::max(std::size_t{1}, cached / kMaxTileRows * kMaxTileRows);
    for (std::size_t first = 0; first < rows_; first += most) {
      const std::size_t end = std::min(rows_, first + most);
      if (layout_.has_dx) {
        pool.Run(plan_.parts, [&](std::size_t part) { SumColumns(first, end, part); });
      }
      pool.Run(plan_.parts, [&](std::size_t part) { FinishColumns(first, end, part); });
    }
  }

  void SumColumns(std::size_t first, std::size_t end, std::size_t part) {
    const auto visit = [&](RowTile& tile, std::size_t row) {
      kernels_.sum(tile);
      for (std::size_t r = 0; r < tile.rows; ++r) KeepSums(part, row + r, tile.sums[r]);
    };
    ForEachTile(first, end, FirstColumn(part), Columns(part), 0, visit);
  }

  void FinishColumns(std::size_t first, std::size_t end, std::size_t part) {
    const auto visit = [&](RowTile& tile, std::size_t row) {
      for (std::size_t r = 0; layout_.has_dx && r < tile.rows; ++r) tile.sums[r] = Means(row + r);
      kernels_.finish(tile);
    };
    ForEachTile(first, end, FirstColumn(part), Columns(part), 0, visit);
  }

  /// Split by columns, one row finished while the next one is summed up. All threads are at the
  /// same row, each at a range of adjacent parts, so that what a thread reads twice is in its
  /// cache.
  void RunColumnsOverlapped(ThreadPool& pool) {
    const std::size_t ranges = std::min(pool.Size(), plan_.parts);
    for (std::size_t row = 0; row <= rows_; ++row) {
      pool.Run(ranges, [&](std::size_t range) {
        FinishAndSumColumns(row, plan_.parts * range / ranges, plan_.parts * (range + 1) / ranges);
      });
    }
  }

  /// Finishes the row before `row`, if there is one, and sums up `row`, if there is one, in parts
  /// [first, end).
  void FinishAndSumColumns(std::size_t row, std::size_t first, std::size_t end) {
    const bool finishes = row > 0;
    const bool sums = row < rows_;
    const std::size_t range = std::min(cols_, FirstColumn(end)) - FirstColumn(first);
    RowTile last = TileOf(FirstColumn(first), Columns(first), 0);
    RowTile next = last;
    if (finishes) {
      PointAt(row - 1, FirstColumn(first), nullptr, &last);
      last.sums[0] = Means(row - 1);
    }
    if (sums) PointAt(row, FirstColumn(first), nullptr, &next);
    for (std::size_t part = first; part < end; ++part) {
      if (finishes && part > first) MoveTo(part, row - 1, &last);
      if (sums && part > first) MoveTo(part, row, &next);
      // What this thread reads next: behind its last part, the next row.
      next.ahead = plan_.part_cols + (part + 1 < end ? 0 : cols_ - range);
      if (!finishes) {
        kernels_.sum(next);
      } else if (!sums) {
        kernels_.finish(last);
      } else {
        kernels_.finish_and_sum(last, next);
      }
      if (sums) KeepSums(part, row, next.sums[0]);
    }
    hwy::FlushStream();
  }

  /// From the part before `part`, where `row` is dense.
  void MoveTo(std::size_t part, std::size_t row, RowTile* tile) const {
    const std::size_t bytes = tile->cols * dy_.ElementBytes();
    tile->dy[0] += bytes;
    tile->x[0] += bytes;
    tile->dx[0] += bytes;
    tile->gamma += tile->cols;
    for (std::size_t i = 0; i < pass_.column_sums; ++i) tile->column_sums[i] += tile->cols;
    tile->cols = Columns(part);
    tile->readable = IsReadable(row * cols_ + FirstColumn(part) + tile->cols);
  }

  void KeepSums(std::size_t part, std::size_t row, const std::array<float, kMaxSums>& sums) {
    std::copy_n(sums.begin(), pass_.row_sums, RowSums(part, row));
  }

  /// Of a row whose parts are all summed up.
  std::array<float, kMaxSums> Means(std::size_t row) const {
    std::array<float, kMaxSums> means{};
    for (std::size_t i = 0; i < pass_.row_sums; ++i) {
      double sum = 0;
      for (std::size_t part = 0; part < plan_.parts; ++part) sum += RowSums(part, row)[i];
      means[i] = Mean(sum);
    }
    return means;
  }

  const RowPass& pass_;
  RowKernels kernels_;
  RowPlan plan_;
  std::size_t rows_;
  std::size_t cols_;
  RowView dy_;
  RowView x_;
  RowView dx_;
  RowView gamma_;
  std::array<Scalars, kMaxSums> statistics_;
  std::array<RowView, kMaxSums> outputs_;
  float* gamma_sorted_;  // the workspace: gamma, in processing order,
  float* column_sums_;   // sums of every part of rows,
  float* row_sums_;      // sums of every part of columns
  RowLayout layout_;
  RowTaking taking_;
};

}  // namespace

RowTile RowOf(const RowTile& tile, std::size_t r) {
  RowTile row = tile;
  row.rows = 1;
  row.dy[0] = tile.dy[r];
  row.x[0] = tile.x[r];
  row.dx[0] = tile.dx[r];
  row.statistics[0] = tile.statistics[r];
  row.sums[0] = tile.sums[r];
  return row;
}

std::uint64_t RowPassWorkspaceBytes(const RowPass& pass, DType data, std::size_t rows,
                                    std::size_t cols) {
  if (rows == 0 || cols == 0) return 0;
  const RowPlan plan(pass, data, rows, cols);
  const std::size_t column_vectors = 1 + pass.column_sums * plan.ColumnSumParts();
  const std::size_t row_sums = plan.by_rows ? 0 : plan.parts * rows * pass.row_sums;
  return (column_vectors * plan.padded_cols + row_sums) * sizeof(float);
}

void RunRowPass(const RowPass& pass, const RowPassTensors& tensors, std::size_t rows,
                std::size_t cols, std::byte* workspace) {
  if (cols == 0) return;
  if (rows == 0) {
    // An empty sum is 0, whose bytes are 0 in every float format.
    for (std::size_t i = 0; i < pass.column_sums; ++i) {
      const RowView output(*tensors.column_sums[i], 0);
      if (!output.Present()) continue;
      const Scratch zeros(cols * output.ElementBytes());
      std::memset(zeros.data(), 0, cols * output.ElementBytes());
      output.Columns().Scatter(output.ElementBytes(), 0, cols, zeros.data(), output.Row(0));
    }
    return;
  }
  Call(pass, tensors, rows, cols, workspace).Run();
}

}  // namespace normgrad::cpu
