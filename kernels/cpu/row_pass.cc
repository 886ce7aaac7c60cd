// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/row_pass.h"

#include <algorithm>
#include <array>
#include <vector>

#include <hwy/cache_control.h>

#include "kernels/cpu/row_view.h"
#include "kernels/cpu/split.h"
#include "kernels/cpu/thread_pool.h"

namespace normgrad::cpu {
namespace {

// A part of rows leaves a vector of column sums behind, to be written and read once more. From 32
// rows on that is little beside the rows themselves.
constexpr std::size_t kMinPartRows = 32;

/// How a call is split into parts that can run at the same time, and what its workspace holds.
/// A function of the shape alone, so that neither threads nor layouts change a result.
///
/// Many rows: a part is some rows, all columns; column sums are added up at the end. Few rows: a
/// part is all rows, some columns; row sums are added up half way.
struct Plan {
  bool by_rows;
  std::size_t parts;
  std::size_t part_rows;
  std::size_t part_cols;    // by columns: a multiple of kColumnPadding; also how vectors are split
  std::size_t padded_cols;  // length of a vector of columns in the workspace

  Plan(std::size_t rows, std::size_t cols)
      : by_rows(rows >= 2 * kMinPartRows), padded_cols(RoundUp(cols, kColumnPadding)) {
    const std::size_t per_part = DivideUp(rows * cols, kMaxParts);
    if (by_rows) {
      part_rows = std::max({kMinPartRows, DivideUp(rows, kMaxParts),
                            DivideUp(std::max(per_part, kMinPartElements), cols)});
      parts = DivideUp(rows, part_rows);
      part_cols = RoundUp(kMinPartElements / 2, kColumnPadding);
    } else {
      part_cols = RoundUp(DivideUp(std::max(per_part, kMinPartElements), rows), kColumnPadding);
      parts = DivideUp(cols, part_cols);
      part_rows = rows;
    }
  }

  std::size_t ColumnParts(std::size_t cols) const { return DivideUp(cols, part_cols); }
};

const KernelTensor& OrAbsent(const KernelTensor* tensor) {
  static const KernelTensor kAbsent;
  return tensor == nullptr ? kAbsent : *tensor;
}

/// Where the parts of a call find things.
class Call {
 public:
  Call(const RowPass& pass, const RowPassTensors& tensors, std::size_t rows, std::size_t cols,
       std::byte* workspace)
      : pass_(pass),
        kernels_(pass.kernels(tensors.dy.dtype)),
        plan_(rows, cols),
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
        row_sums_(column_sums_ + pass.column_sums * ColumnSumParts() * plan_.padded_cols),
        stream_(ExceedsCaches(3 * rows * cols * dy_.ElementBytes())) {}

  void Run() {
    const auto pool = Threads();
    if (plan_.by_rows) {
      pool->Run(plan_.ColumnParts(cols_), [&](std::size_t part) { LoadGamma(part); });
      pool->Run(plan_.parts, [&](std::size_t part) { Rows(part); });
    } else {
      pool->Run(plan_.parts, [&](std::size_t part) { AccumulateColumns(part); });
      if (dx_.Present()) {
        pool->Run(plan_.parts, [&](std::size_t part) { GradientOfColumns(part); });
      }
    }
    pool->Run(plan_.ColumnParts(cols_), [&](std::size_t part) { StoreColumnSums(part); });
  }

 private:
  std::size_t ColumnSumParts() const { return plan_.by_rows ? plan_.parts : 1; }

  /// Sums number `i` over the rows of part `part`, from column `first` on.
  float* ColumnSums(std::size_t i, std::size_t part, std::size_t first) const {
    return column_sums_ + (i * ColumnSumParts() + part) * plan_.padded_cols + first;
  }

  /// Row sums of one part of columns and one row.
  float* RowSums(std::size_t part, std::size_t row) const {
    return row_sums_ + (part * rows_ + row) * pass_.row_sums;
  }

  std::size_t FirstColumn(std::size_t part) const { return part * plan_.part_cols; }
  std::size_t Columns(std::size_t part) const {
    return std::min(plan_.part_cols, cols_ - FirstColumn(part));
  }

  void LoadGamma(std::size_t part) {
    const std::size_t first = FirstColumn(part);
    const std::size_t count = Columns(part);
    if (!gamma_.Present()) {
      std::fill_n(gamma_sorted_ + first, RoundUp(count, kColumnPadding), 1.0F);
      return;
    }
    std::vector<std::byte> scratch;
    if (!gamma_.Columns().Dense()) scratch.resize(count * gamma_.ElementBytes());
    kernels_.load_scale(gamma_.Type(), gamma_.Read(0, first, count, scratch.data()), count,
                        gamma_sorted_ + first);
  }

  void StoreColumnSums(std::size_t part) {
    const std::size_t first = FirstColumn(part);
    const std::size_t count = Columns(part);
    for (std::size_t i = 0; i < outputs_.size(); ++i) {
      const RowView& output = outputs_[i];
      if (!output.Present()) continue;
      std::vector<std::byte> scratch;
      if (!output.Columns().Dense()) scratch.resize(count * output.ElementBytes());
      kernels_.store_sums(ColumnSums(i, 0, first), ColumnSumParts(), plan_.padded_cols, count,
                          output.Type(), output.Target(0, first, scratch.data()));
      output.Write(0, first, count, scratch.data());
    }
  }

  /// What every row of columns [first, first + count) of a part has in common.
  RowStep StepOn(std::size_t part, std::size_t first, std::size_t count) const {
    RowStep step;
    step.cols = count;
    step.gamma = gamma_sorted_ + first;
    for (std::size_t i = 0; i < pass_.column_sums; ++i) {
      step.column_sums[i] = ColumnSums(i, part, first);
    }
    step.stream = stream_ && dx_.Columns().Dense();
    return step;
  }

  /// Copies of `slices` slices of `count` columns, for one thread; empty where none is needed.
  class Buffers {
   public:
    Buffers(const Call& call, std::size_t slices, std::size_t count)
        : slice_bytes_(3 * count * call.dy_.ElementBytes()),
          bytes_(call.dy_.Columns().Dense() && call.x_.Columns().Dense() &&
                         call.dx_.Columns().Dense()
                     ? 0
                     : slices * slice_bytes_) {}

    /// Room for dy, x or dx of a slice.
    std::byte* Room(std::size_t slice, std::size_t tensor) {
      return bytes_.empty() ? nullptr
                            : bytes_.data() + slice * slice_bytes_ + tensor * (slice_bytes_ / 3);
    }

   private:
    std::size_t slice_bytes_;
    std::vector<std::byte> bytes_;
  };

  RowSlice Read(std::size_t row, std::size_t first, std::size_t count, std::size_t slice,
                Buffers* buffers) const {
    RowSlice result;
    result.dy = dy_.Read(row, first, count, buffers->Room(slice, 0));
    result.x = x_.Read(row, first, count, buffers->Room(slice, 1));
    result.dx = dx_.Target(row, first, buffers->Room(slice, 2));
    for (std::size_t i = 0; i < pass_.statistics; ++i) result.statistics[i] = statistics_[i][row];
    return result;
  }

  float Mean(double sum) const { return static_cast<float>(sum / static_cast<double>(cols_)); }

  void Rows(std::size_t part) {
    for (std::size_t i = 0; i < pass_.column_sums; ++i) {
      std::fill_n(ColumnSums(i, part, 0), plan_.padded_cols, 0.0F);
    }
    const std::size_t first = part * plan_.part_rows;
    const std::size_t end = std::min(rows_, first + plan_.part_rows);
    RowStep step = StepOn(part, 0, cols_);
    Buffers buffers(*this, 2, cols_);
    std::array<RowSlice, 2> slices;
    // One step more than rows: the last one is differentiated alone.
    for (std::size_t row = first; row <= end; ++row) {
      const std::size_t now = (row - first) % 2;
      step.accumulated = row < end ? &slices[now] : nullptr;
      step.differentiated = row > first && dx_.Present() ? &slices[1 - now] : nullptr;
      if (row < end) slices[now] = Read(row, 0, cols_, now, &buffers);
      kernels_.step(step);
      if (step.differentiated) dx_.Write(row - 1, 0, cols_, buffers.Room(1 - now, 2));
      for (float& sum : slices[now].sums) sum = Mean(static_cast<double>(sum));
    }
    if (step.stream) hwy::FlushStream();
  }

  void AccumulateColumns(std::size_t part) {
    LoadGamma(part);
    const std::size_t first = FirstColumn(part);
    const std::size_t count = Columns(part);
    for (std::size_t i = 0; i < pass_.column_sums; ++i) {
      std::fill_n(ColumnSums(i, 0, first), RoundUp(count, kColumnPadding), 0.0F);
    }
    RowStep step = StepOn(0, first, count);
    Buffers buffers(*this, 1, count);
    for (std::size_t row = 0; row < rows_; ++row) {
      RowSlice slice = Read(row, first, count, 0, &buffers);
      step.accumulated = &slice;
      kernels_.step(step);
      std::copy_n(slice.sums.begin(), pass_.row_sums, RowSums(part, row));
    }
  }

  void GradientOfColumns(std::size_t part) {
    const std::size_t first = FirstColumn(part);
    const std::size_t count = Columns(part);
    RowStep step = StepOn(0, first, count);
    Buffers buffers(*this, 1, count);
    for (std::size_t row = 0; row < rows_; ++row) {
      RowSlice slice = Read(row, first, count, 0, &buffers);
      for (std::size_t i = 0; i < pass_.row_sums; ++i) {
        double sum = 0;
        for (std::size_t p = 0; p < plan_.parts; ++p) sum += RowSums(p, row)[i];
        slice.sums[i] = Mean(sum);
      }
      step.differentiated = &slice;
      kernels_.step(step);
      dx_.Write(row, first, count, buffers.Room(0, 2));
    }
    if (step.stream) hwy::FlushStream();
  }

  const RowPass& pass_;
  RowKernels kernels_;
  Plan plan_;
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
  bool stream_;
};

}  // namespace

std::uint64_t RowPassWorkspaceBytes(const RowPass& pass, std::size_t rows, std::size_t cols) {
  if (rows == 0 || cols == 0) return 0;
  const Plan plan(rows, cols);
  const std::size_t column_vectors = 1 + pass.column_sums * (plan.by_rows ? plan.parts : 1);
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
      const std::vector<std::byte> zeros(cols * output.ElementBytes());
      output.Columns().Scatter(output.ElementBytes(), 0, cols, zeros.data(), output.Row(0));
    }
    return;
  }
  Call(pass, tensors, rows, cols, workspace).Run();
}

}  // namespace normgrad::cpu
