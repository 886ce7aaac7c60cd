// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/lanes.h"
#include "base/parallel.h"
#include "golden/oracle.h"
#include "golden/partition.h"
#include "report/result.h"

namespace normgrad {

/// How relations go through tensors: elements as float64, some hundred at a time, eight to a step.

/// Elements at a time, at least as many as a tile of ReduceColumns() has columns: arrays of 4 KiB.
inline constexpr std::size_t kStretch = 512;

/// Holds anything until it is filled.
struct Stretch : std::array<double, kStretch> {
  Stretch() {}  // NOLINT(cppcoreguidelines-pro-type-member-init,modernize-use-equals-default)
};

/// `count` rounded up to whole vectors.
inline std::size_t Padded(std::size_t count) { return (count + kLanes - 1) / kLanes * kLanes; }

/// Sets what stands behind `count` elements, up to Padded(count).
inline void Pad(std::size_t count, double behind, Stretch* stretch) {
  for (std::size_t i = count; i < Padded(count); ++i) (*stretch)[i] = behind;
}

/// Calls body(first, count) for stretches of the `count` elements from `first` on.
template <typename Body>
void ForEachStretch(std::size_t first, std::size_t count, Body body) {
  for (std::size_t done = 0; done < count; done += kStretch) {
    body(first + done, std::min(kStretch, count - done));
  }
}

/// Elements first … first + count - 1 of a tensor, and `behind` up to Padded(count).
inline void LoadStretch(const HostTensor& tensor, std::size_t first, std::size_t count,
                        double behind, Stretch* stretch) {
  LoadAll(tensor.dtype, tensor.data + first * SizeOf(tensor.dtype), count, stretch->data());
  Pad(count, behind, stretch);
}

/// The smallest normal number of a float dtype that an output may have.
inline double SmallestNormal(DType dtype) { return dtype == DType::kFloat16 ? 0x1p-14 : 0x1p-126; }

/// Asks test(i, &compared, &violated) about the elements i … i + kLanes - 1, for every i < count,
/// and counts what it says in `property`: say(index) tells of the first violation. Elements from
/// `count` on, up to Padded(count), must be neither.
template <typename Test, typename Say>
void Compare(std::size_t count, Test test, PropertyResult* property, Say say) {
  std::uint64_t compared = 0, violations = 0;
  std::size_t first = count;
  Vectorised([=, &compared, &violations, &first] {
    LaneMask all_compared{}, all_violated{};
    for (std::size_t i = 0; i < count; i += kLanes) {
      LaneMask some_compared{}, some_violated{};
      test(i, &some_compared, &some_violated);
      all_compared -= some_compared;
      all_violated -= some_violated;
      if (first < count || !AnyOf(some_violated)) continue;
      first = i;
      while (some_violated[first - i] == 0) ++first;
    }
    compared = CountOf(all_compared);
    violations = CountOf(all_violated);
  });
  property->compared += compared;
  if (violations > 0 && property->violations == 0) property->first = say(first);
  property->violations += violations;
}

/// Calls compare(Range, &property) for pieces of `count` things that have `elements` elements each,
/// on up to `threads` threads, and adds what it finds to `property`, in order.
template <typename Body>
void CompareInPieces(std::size_t count, std::size_t elements, unsigned threads, Body compare,
                     PropertyResult* property) {
  constexpr std::size_t kPieceElements = std::size_t{1} << 16;
  const std::size_t size =
      std::max<std::size_t>(kPieceElements / std::max<std::size_t>(elements, 1), 1);
  std::vector<PropertyResult> pieces(DivideUp(count, size));
  ParallelFor(pieces.size(), threads,
              [&](std::size_t index) { compare(Piece(count, size, index), &pieces[index]); });
  for (PropertyResult& piece : pieces) {
    property->compared += piece.compared;
    if (property->violations == 0) property->first = std::move(piece.first);
    property->violations += piece.violations;
  }
}

}  // namespace normgrad
