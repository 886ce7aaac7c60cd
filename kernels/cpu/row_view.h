// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "kernels/api/kernel.h"
#include "kernels/cpu/split.h"
#include "ops/operator.h"

namespace normgrad::cpu {

/// Where the elements of a run of axes lie, the axes taken together as one index.
class FlatAxes {
 public:
  FlatAxes(std::span<const std::int64_t> extents, std::span<const std::int64_t> strides);

  /// True when element i lies i elements behind element 0.
  bool Dense() const { return count_ == 0 || (count_ == 1 && axes_[0].stride == 1); }

  /// Elements from each element to the next, where that is one positive number, else 0.
  std::size_t Step() const {
    return count_ == 1 && axes_[0].stride > 0 ? static_cast<std::size_t>(axes_[0].stride) : 0;
  }

  /// Elements from element 0 to element `index`.
  std::ptrdiff_t Offset(std::size_t index) const {
    std::ptrdiff_t offset = 0;
    for (std::size_t i = count_; i-- > 0;) {
      const Axis& axis = axes_[i];
      // The outermost axis takes what is left: most tensors need no division.
      const std::size_t outer = i == 0 ? 0 : index / axis.extent;
      offset += static_cast<std::ptrdiff_t>(index - outer * axis.extent) * axis.stride;
      index = outer;
    }
    return offset;
  }

  /// Copies elements [first, first + count) of a view that starts at `from` to dense memory.
  void Gather(std::size_t element_bytes, std::size_t first, std::size_t count,
              const std::byte* from, std::byte* to) const;

  /// Copies dense memory to elements [first, first + count) of a view that starts at `to`, and
  /// writes nothing else.
  void Scatter(std::size_t element_bytes, std::size_t first, std::size_t count,
               const std::byte* from, std::byte* to) const;

 private:
  struct Axis {
    std::size_t extent;
    std::ptrdiff_t stride;
  };

  template <typename Run>
  void ForEachRun(std::size_t first, std::size_t count, Run run) const;

  // Outermost first; axes that continue each other are one. No vector: views are made per call.
  std::array<Axis, kMaxRank> axes_{};
  std::size_t count_ = 0;
};

/// A tensor as a matrix: its leading axes are rows, the rest columns. One that is not present has
/// neither, and reads and writes nothing.
class RowView {
 public:
  RowView(const KernelTensor& tensor, std::size_t leading_axes);

  bool Present() const { return dtype_ != DType::kNone; }
  DType Type() const { return dtype_; }
  const FlatAxes& Columns() const { return columns_; }
  std::size_t ElementBytes() const { return element_bytes_; }

  /// Elements from each row to the next, where that is one positive number, else 0.
  std::size_t RowStep() const { return rows_.Step(); }

  /// Element [row, 0].
  std::byte* Row(std::size_t row) const {
    return data_ + rows_.Offset(row) * static_cast<std::ptrdiff_t>(element_bytes_);
  }

  /// Elements [row, first] to [row, first + count) as dense memory: in place where the columns are
  /// dense, else copied to `scratch`.
  const std::byte* Read(std::size_t row, std::size_t first, std::size_t count,
                        std::byte* scratch) const {
    if (columns_.Dense()) return Row(row) + first * element_bytes_;
    columns_.Gather(element_bytes_, first, count, Row(row), scratch);
    return scratch;
  }

  /// Where to put elements [row, first] to [row, first + count) as dense memory: in place, or
  /// `scratch`. Write() then puts them in their place.
  std::byte* Target(std::size_t row, std::size_t first, std::byte* scratch) const {
    return columns_.Dense() ? Row(row) + first * element_bytes_ : scratch;
  }
  void Write(std::size_t row, std::size_t first, std::size_t count,
             const std::byte* scratch) const {
    if (!columns_.Dense()) columns_.Scatter(element_bytes_, first, count, scratch, Row(row));
  }

  /// Whether each row begins where the one before ends.
  bool Adjacent() const { return Present() && columns_.Dense() && RowStep() == row_elements_; }

  /// The same for whole rows [row, row + count), which are in place where rows are adjacent.
  const std::byte* ReadRows(std::size_t row, std::size_t count, std::byte* scratch) const;
  std::byte* TargetRows(std::size_t row, std::byte* scratch) const {
    return Adjacent() ? Row(row) : scratch;
  }
  void WriteRows(std::size_t row, std::size_t count, const std::byte* scratch) const;

 private:
  std::byte* data_;
  DType dtype_;
  std::size_t element_bytes_;
  FlatAxes rows_;
  FlatAxes columns_;
  std::size_t row_elements_;
};

/// The elements of a tensor one by one, by row-major index: statistics, scales, sums. A tensor that
/// is not present is all ones, and is not written.
class Scalars {
 public:
  explicit Scalars(const KernelTensor& tensor) : view_(tensor, tensor.shape.size()) {}

  bool Present() const { return view_.Present(); }

  float operator[](std::size_t index) const {
    if (view_.Type() != DType::kFloat32) return LoadOther(index);
    float value = 0;  // the common case, not worth a call
    std::memcpy(&value, view_.Row(index), sizeof value);
    return value;
  }

  /// Elements [first, first + count) to `to`.
  void Read(std::size_t first, std::size_t count, float* to) const;

  /// Rounds `value` to the tensor's dtype.
  void Set(std::size_t index, double value) const {
    if (Present()) Store(view_.Type(), value, view_.Row(index));
  }

 private:
  float LoadOther(std::size_t index) const {
    return Present() ? static_cast<float>(Load(view_.Type(), view_.Row(index))) : 1.0F;
  }

  RowView view_;
};

/// A statistic of adjacent rows, many at a time, and zeros behind it (PackedRows).
class StatisticOfRows {
 public:
  static constexpr std::size_t kMostRows = 512;

  void Read(const Scalars& statistic, std::size_t first, std::size_t count) {
    statistic.Read(first, count, values_.data());
    std::fill_n(&values_[count], kMaxBlock, 0.0F);
  }

  const float* data() const { return values_.data(); }

 private:
  std::array<float, kMostRows + kMaxBlock> values_;
};

}  // namespace normgrad::cpu
