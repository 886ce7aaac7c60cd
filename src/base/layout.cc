// SPDX-License-Identifier: Apache-2.0
#include "base/layout.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"

namespace normgrad {
namespace {

/// Calls run(dense element index, storage element index, length, stride) for every innermost run.
template <typename Run>
void ForEachRun(const Layout& layout, Run run) {
  const std::size_t count = ElementCount(layout.shape), rank = layout.shape.size();
  if (count == 0) return;
  if (rank == 0) {
    run(std::size_t{0}, static_cast<std::size_t>(layout.offset), std::size_t{1}, 1);
    return;
  }
  const auto length = static_cast<std::size_t>(layout.shape[rank - 1]);
  const std::ptrdiff_t stride = layout.strides[rank - 1];
  Shape index(rank, 0);
  std::int64_t position = layout.offset;
  for (std::size_t dense = 0; dense < count; dense += length) {
    run(dense, static_cast<std::size_t>(position), length, stride);
    for (std::size_t axis = rank - 1; axis-- > 0;) {
      position += layout.strides[axis];
      if (++index[axis] < layout.shape[axis]) break;
      position -= layout.strides[axis] * layout.shape[axis];
      index[axis] = 0;
    }
  }
}

// A constant size lets the compiler turn memcpy into a load and a store.
template <std::ptrdiff_t kBytes>
void CopyStrided(std::size_t count, const std::byte* from, std::ptrdiff_t from_stride,
                 std::byte* to, std::ptrdiff_t to_stride) {
  for (std::size_t i = 0; i < count; ++i) {
    const auto index = static_cast<std::ptrdiff_t>(i);
    std::memcpy(to + index * to_stride * kBytes, from + index * from_stride * kBytes, kBytes);
  }
}

}  // namespace

std::size_t ElementCount(const Shape& shape) {
  std::size_t count = 1;
  for (const std::int64_t extent : shape) count *= static_cast<std::size_t>(extent);
  return count;
}

std::optional<std::int64_t> CheckedMultiply(std::int64_t a, std::int64_t b) {
  std::int64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

Shape RowMajorStrides(const Shape& shape) {
  Shape strides(shape.size(), 1);
  for (std::size_t axis = shape.size(); axis-- > 1;) {
    strides[axis - 1] = CheckedMultiply(strides[axis], std::max<std::int64_t>(shape[axis], 1))
                            .value_or(std::numeric_limits<std::int64_t>::max());
  }
  return strides;
}

std::string ToString(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

std::string IndexText(const Shape& shape, std::size_t flat) {
  Shape index(shape.size(), 0);
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    const auto extent = static_cast<std::size_t>(std::max<std::int64_t>(shape[axis], 1));
    index[axis] = static_cast<std::int64_t>(flat % extent);
    flat /= extent;
  }
  return ToString(index);
}

std::string_view Name(LayoutKind kind) {
  switch (kind) {
    case LayoutKind::kContiguous: return "contiguous";
    case LayoutKind::kTransposed: return "transposed";
    case LayoutKind::kStrided: return "strided";
    case LayoutKind::kPadded: return "padded";
    case LayoutKind::kOffset: return "offset";
  }
  return "unknown";
}

std::vector<LayoutKind> AllLayoutKinds() {
  return {LayoutKind::kContiguous, LayoutKind::kTransposed, LayoutKind::kStrided,
          LayoutKind::kPadded, LayoutKind::kOffset};
}

LayoutKind ParseLayoutKind(std::string_view name) {
  std::vector<std::string_view> known;
  for (const LayoutKind kind : AllLayoutKinds()) {
    if (name == Name(kind)) return kind;
    known.push_back(Name(kind));
  }
  throw Error("unknown layout '{}': expected one of {}", name, fmt::join(known, ", "));
}

Layout MakeLayout(LayoutKind kind, const Shape& shape) {
  Layout layout{shape, RowMajorStrides(shape), 0, shape};
  switch (kind) {
    case LayoutKind::kContiguous: break;
    case LayoutKind::kTransposed: {
      layout.storage_shape.assign(shape.rbegin(), shape.rend());
      const Shape strides = RowMajorStrides(layout.storage_shape);
      layout.strides.assign(strides.rbegin(), strides.rend());
      break;
    }
    case LayoutKind::kStrided:
    case LayoutKind::kPadded: {
      // A scalar view has no axis to leave gaps along: it looks into a storage of one axis.
      if (layout.storage_shape.empty()) layout.storage_shape.push_back(1);
      const std::int64_t step = kind == LayoutKind::kStrided ? 2 : 1;
      layout.storage_shape.back() = layout.storage_shape.back() * step + 3;
      layout.strides = RowMajorStrides(layout.storage_shape);
      layout.strides.resize(shape.size());
      if (!shape.empty()) layout.strides.back() = step;
      layout.offset = 1;
      break;
    }
    case LayoutKind::kOffset:
      layout.offset = 3;
      layout.storage_shape = {3 + static_cast<std::int64_t>(ElementCount(shape)) + 5};
      break;
  }
  return layout;
}

std::size_t StorageCount(const Layout& layout) { return ElementCount(layout.storage_shape); }

bool IsDense(const Layout& layout) {
  if (ElementCount(layout.shape) == 0) return true;
  std::int64_t expected = 1;
  for (std::size_t axis = layout.shape.size(); axis-- > 0;) {
    if (layout.shape[axis] != 1 && layout.strides[axis] != expected) return false;
    expected *= layout.shape[axis];
  }
  return true;
}

void Gather(const Layout& layout, std::size_t element_bytes, const std::byte* storage,
            std::byte* dense) {
  ForEachRun(layout,
             [&](std::size_t to, std::size_t from, std::size_t length, std::ptrdiff_t stride) {
               CopyElements(element_bytes, length, storage + from * element_bytes, stride,
                            dense + to * element_bytes, 1);
             });
}

void Scatter(const Layout& layout, std::size_t element_bytes, const std::byte* dense,
             std::byte* storage) {
  ForEachRun(layout,
             [&](std::size_t from, std::size_t to, std::size_t length, std::ptrdiff_t stride) {
               CopyElements(element_bytes, length, dense + from * element_bytes, 1,
                            storage + to * element_bytes, stride);
             });
}

void CopyElements(std::size_t element_bytes, std::size_t count, const std::byte* from,
                  std::ptrdiff_t from_stride, std::byte* to, std::ptrdiff_t to_stride) {
  if (from_stride == 1 && to_stride == 1) {
    std::memcpy(to, from, count * element_bytes);
  } else if (element_bytes == 2) {
    CopyStrided<2>(count, from, from_stride, to, to_stride);
  } else if (element_bytes == 4) {
    CopyStrided<4>(count, from, from_stride, to, to_stride);
  } else {
    CopyStrided<8>(count, from, from_stride, to, to_stride);
  }
}

std::vector<std::uint8_t> Occupancy(const Layout& layout) {
  std::vector<std::uint8_t> occupied(StorageCount(layout), 0);
  ForEachRun(layout, [&](std::size_t, std::size_t at, std::size_t length, std::ptrdiff_t stride) {
    const auto step = static_cast<std::size_t>(stride);
    for (std::size_t i = 0; i < length; ++i) occupied[at + i * step] = 1;
  });
  return occupied;
}

}  // namespace normgrad
