// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace normgrad {

using Shape = std::vector<std::int64_t>;  // extents, outermost first; {} is a scalar

/// Product of the extents; 1 for a scalar.
std::size_t ElementCount(const Shape& shape);

/// a * b; empty when it does not fit.
std::optional<std::int64_t> CheckedMultiply(std::int64_t a, std::int64_t b);

/// The strides of a row-major tensor without gaps, in elements. Extents below 1 count as 1; strides
/// that do not fit are the largest number there is.
Shape RowMajorStrides(const Shape& shape);

/// "[4, 512]"; "[]" for a scalar.
std::string ToString(const Shape& shape);

/// Row-major position of flat index `flat` in `shape`, e.g. "[2, 17]".
std::string IndexText(const Shape& shape, std::size_t flat);

/// Where the elements of a tensor view lie in its storage. All numbers are in elements.
struct Layout {
  Shape shape;              // the view
  Shape strides;            // one per axis
  std::int64_t offset = 0;  // of the view's first element
  Shape storage_shape;      // the allocation the view looks into
};

/// Ways a sweep may lay a tensor out. Every one is a legal aclTensor view.
enum class LayoutKind {
  kContiguous,  // row-major, dense
  kTransposed,  // axes stored in reverse order: the last axis has the largest stride
  kStrided,  // every second element along the last axis of a wider storage: gaps between elements
  kPadded,   // rows longer than the view: gaps between rows, elements of a row adjacent
  kOffset,   // dense, but starting 3 elements into the storage, with 5 more behind
};

/// "contiguous", "transposed", "strided", "padded", "offset".
std::string_view Name(LayoutKind kind);
std::vector<LayoutKind> AllLayoutKinds();

/// Throws Error naming the accepted spellings.
LayoutKind ParseLayoutKind(std::string_view name);

Layout MakeLayout(LayoutKind kind, const Shape& shape);

/// Elements of the storage.
std::size_t StorageCount(const Layout& layout);

/// True when the view is dense and row-major (its offset does not matter, nor do the strides of a
/// view without elements).
bool IsDense(const Layout& layout);

/// Copies the view's elements, row-major, from storage into `dense`.
void Gather(const Layout& layout, std::size_t element_bytes, const std::byte* storage,
            std::byte* dense);

/// Copies row-major `dense` elements to their places in storage; touches nothing else.
void Scatter(const Layout& layout, std::size_t element_bytes, const std::byte* dense,
             std::byte* storage);

/// Copies `count` elements of `element_bytes` (2, 4 or 8), each `from_stride` and `to_stride`
/// elements behind the last.
void CopyElements(std::size_t element_bytes, std::size_t count, const std::byte* from,
                  std::ptrdiff_t from_stride, std::byte* to, std::ptrdiff_t to_stride);

/// One byte per storage element: 1 where the view has an element, 0 in the gaps.
std::vector<std::uint8_t> Occupancy(const Layout& layout);

}  // namespace normgrad
