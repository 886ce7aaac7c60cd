// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/row_view.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "kernels/cpu/convert.h"

namespace normgrad::cpu {
FlatAxes::FlatAxes(std::span<const std::int64_t> extents, std::span<const std::int64_t> strides) {
  for (std::size_t i = 0; i < extents.size(); ++i) {
    const auto extent = static_cast<std::size_t>(extents[i]);
    if (extent == 1) continue;
    const std::ptrdiff_t stride = strides[i];
    if (count_ > 0 && axes_[count_ - 1].stride == stride * extents[i]) {
      axes_[count_ - 1] = {axes_[count_ - 1].extent * extent, stride};
    } else {
      axes_.at(count_++) = {extent, stride};
    }
  }
}

template <typename Run>
void FlatAxes::ForEachRun(std::size_t first, std::size_t count, Run run) const {
  const Axis inner = count_ == 0 ? Axis{1, 1} : axes_[count_ - 1];
  for (std::size_t done = 0; done < count;) {
    const std::size_t index = first + done;
    const std::size_t length = std::min(count - done, inner.extent - index % inner.extent);
    run(done, Offset(index), length, inner.stride);
    done += length;
  }
}

void FlatAxes::Gather(std::size_t element_bytes, std::size_t first, std::size_t count,
                      const std::byte* from, std::byte* to) const {
  const auto bytes = static_cast<std::ptrdiff_t>(element_bytes);
  ForEachRun(first, count,
             [&](std::size_t dense, std::ptrdiff_t at, std::size_t length, std::ptrdiff_t stride) {
               CopyElements(element_bytes, length, from + at * bytes, stride,
                            to + dense * element_bytes, 1);
             });
}

void FlatAxes::Scatter(std::size_t element_bytes, std::size_t first, std::size_t count,
                       const std::byte* from, std::byte* to) const {
  const auto bytes = static_cast<std::ptrdiff_t>(element_bytes);
  ForEachRun(first, count,
             [&](std::size_t dense, std::ptrdiff_t at, std::size_t length, std::ptrdiff_t stride) {
               CopyElements(element_bytes, length, from + dense * element_bytes, 1, to + at * bytes,
                            stride);
             });
}

namespace {

FlatAxes Axes(const KernelTensor& tensor, std::size_t first, std::size_t end) {
  if (!tensor.present()) return {{}, {}};
  return {std::span(tensor.shape).subspan(first, end - first),
          std::span(tensor.strides).subspan(first, end - first)};
}

std::size_t RowElements(const KernelTensor& tensor, std::size_t leading_axes) {
  if (!tensor.present()) return 0;
  const auto columns = std::span(tensor.shape).subspan(leading_axes);
  return static_cast<std::size_t>(
      std::accumulate(columns.begin(), columns.end(), std::int64_t{1}, std::multiplies<>()));
}

}  // namespace

RowView::RowView(const KernelTensor& tensor, std::size_t leading_axes)
    : data_(static_cast<std::byte*>(tensor.data)),
      dtype_(tensor.dtype),
      element_bytes_(SizeOf(tensor.dtype)),
      rows_(Axes(tensor, 0, leading_axes)),
      columns_(Axes(tensor, leading_axes, tensor.shape.size())),
      row_elements_(RowElements(tensor, leading_axes)) {}

const std::byte* RowView::ReadRows(std::size_t row, std::size_t count, std::byte* scratch) const {
  if (Adjacent()) return Row(row);
  const std::size_t bytes = row_elements_ * element_bytes_;
  for (std::size_t r = 0; r < count; ++r) {
    std::byte* const to = scratch + r * bytes;
    const std::byte* const from = Read(row + r, 0, row_elements_, to);
    if (from != to) std::copy_n(from, bytes, to);
  }
  return scratch;
}

void RowView::WriteRows(std::size_t row, std::size_t count, const std::byte* scratch) const {
  if (Adjacent()) return;
  const std::size_t bytes = row_elements_ * element_bytes_;
  for (std::size_t r = 0; r < count; ++r, scratch += bytes) {
    if (columns_.Dense()) {
      std::copy_n(scratch, bytes, Row(row + r));
    } else {
      Write(row + r, 0, row_elements_, scratch);
    }
  }
}

void Scalars::Read(std::size_t first, std::size_t count, float* to) const {
  if (Present() && view_.RowStep() == 1) return Widen(view_.Type(), view_.Row(first), count, to);
  for (std::size_t i = 0; i < count; ++i) to[i] = (*this)[first + i];
}

}  // namespace normgrad::cpu
