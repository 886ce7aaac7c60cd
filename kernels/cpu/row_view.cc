// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/row_view.h"

#include <algorithm>

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

}  // namespace

RowView::RowView(const KernelTensor& tensor, std::size_t leading_axes)
    : data_(static_cast<std::byte*>(tensor.data)),
      dtype_(tensor.dtype),
      element_bytes_(SizeOf(tensor.dtype)),
      rows_(Axes(tensor, 0, leading_axes)),
      columns_(Axes(tensor, leading_axes, tensor.shape.size())) {}

void Scalars::Read(std::size_t first, std::size_t count, float* to) const {
  if (Present() && view_.RowStep() == 1) return Widen(view_.Type(), view_.Row(first), count, to);
  for (std::size_t i = 0; i < count; ++i) to[i] = (*this)[first + i];
}

}  // namespace normgrad::cpu
