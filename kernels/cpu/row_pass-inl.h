// SPDX-License-Identifier: Apache-2.0
// The vector code of the row pass. Included once per target (foreach_target).
//
// A policy says what a row norm's backward pass computes:
//   kStatistics, kRowSums, kColumnSums   how many of each (RowPass)
//   Accumulate(dy, x, gamma, statistics, row_sums, column_sums)   adds one vector of a row
//   Gradient(dy, x, gamma, statistics, means)   one vector of dx; means are row sums / columns

#if defined(NORMGRAD_KERNELS_CPU_ROW_PASS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef NORMGRAD_KERNELS_CPU_ROW_PASS_INL_H_
#undef NORMGRAD_KERNELS_CPU_ROW_PASS_INL_H_
#else
#define NORMGRAD_KERNELS_CPU_ROW_PASS_INL_H_
#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/cpu/convert-inl.h"
#include "kernels/cpu/copy-inl.h"
#include "kernels/cpu/row_pass.h"
#include "kernels/cpu/short_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace normgrad::cpu::HWY_NAMESPACE {

/// The sums of kRows rows while their blocks are walked.
template <class Policy, class Format, std::size_t kRows>
struct Accumulator {
  using Rows = const typename Format::Element* [kRows];

  VF statistics[kRows][Policy::kStatistics];
  VF sums_a[kRows][Policy::kRowSums];  // of the first vector of every block
  VF sums_b[kRows][Policy::kRowSums];  // of the second

  HWY_INLINE explicit Accumulator(const RowTile& tile) {
    for (std::size_t r = 0; r < kRows; ++r) {
      for (std::size_t i = 0; i < Policy::kStatistics; ++i) {
        statistics[r][i] = hn::Set(DF(), tile.statistics[r][i]);
      }
      for (std::size_t i = 0; i < Policy::kRowSums; ++i) {
        sums_a[r][i] = hn::Zero(DF());
        sums_b[r][i] = hn::Zero(DF());
      }
    }
  }

  /// Takes the block at element `offset` of every row, whose first column is column `c`.
  HWY_INLINE void Add(const Rows& dy, const Rows& x, std::size_t offset, const Block& gamma,
                      float* const (&column_sums)[Policy::kColumnSums], std::size_t c) {
    const DF d;
    VF columns_a[Policy::kColumnSums];
    VF columns_b[Policy::kColumnSums];
    for (std::size_t i = 0; i < Policy::kColumnSums; ++i) {
      columns_a[i] = hn::LoadU(d, column_sums[i] + c);
      columns_b[i] = hn::LoadU(d, column_sums[i] + c + kLanes);
    }
    for (std::size_t r = 0; r < kRows; ++r) {
      const Block dy_block = Format::Load(dy[r] + offset);
      const Block x_block = Format::Load(x[r] + offset);
      Policy::Accumulate(dy_block.a, x_block.a, gamma.a, statistics[r], sums_a[r], columns_a);
      Policy::Accumulate(dy_block.b, x_block.b, gamma.b, statistics[r], sums_b[r], columns_b);
    }
    for (std::size_t i = 0; i < Policy::kColumnSums; ++i) {
      hn::StoreU(columns_a[i], d, column_sums[i] + c);
      hn::StoreU(columns_b[i], d, column_sums[i] + c + kLanes);
    }
  }

  /// As Add(), for a block of which only the first `count` elements exist. The others may be
  /// anything; of zeros, too, the share of the row's sums need not be zero: zero times an infinite
  /// statistic is NaN.
  HWY_INLINE void AddTail(const Rows& dy, const Rows& x, std::size_t count, const float* gamma,
                          float* const (&column_sums)[Policy::kColumnSums], std::size_t c) {
    const Accumulator before = *this;
    Add(dy, x, 0, Float32Format::Load(gamma + c), column_sums, c);
    const LaneCounts lanes = LanesOf<Format>(count);
    const auto exists_a = hn::FirstN(DF(), lanes.a);
    const auto exists_b = hn::FirstN(DF(), lanes.b);
    for (std::size_t r = 0; r < kRows; ++r) {
      for (std::size_t i = 0; i < Policy::kRowSums; ++i) {
        sums_a[r][i] = hn::IfThenElse(exists_a, sums_a[r][i], before.sums_a[r][i]);
        sums_b[r][i] = hn::IfThenElse(exists_b, sums_b[r][i], before.sums_b[r][i]);
      }
    }
  }

  /// Takes the `count` elements, fewer than a block, from column `c` on, and gives the sums.
  HWY_INLINE void Finish(const Rows& dy, const Rows& x, std::size_t count, const float* gamma,
                         float* const (&column_sums)[Policy::kColumnSums], std::size_t c,
                         RowTile& tile) {
    if (count > 0) {
      Tail<Format> dy_tails[kRows];
      Tail<Format> x_tails[kRows];
      const typename Format::Element* dy_rest[kRows];
      const typename Format::Element* x_rest[kRows];
      for (std::size_t r = 0; r < kRows; ++r) {
        dy_rest[r] = tile.readable ? dy[r] + c : dy_tails[r].Read(dy[r] + c, count);
        x_rest[r] = tile.readable ? x[r] + c : x_tails[r].Read(x[r] + c, count);
      }
      AddTail(dy_rest, x_rest, count, gamma, column_sums, c);
    }
    for (std::size_t r = 0; r < kRows; ++r) {
      for (std::size_t i = 0; i < Policy::kRowSums; ++i) {
        tile.sums[r][i] = hn::GetLane(hn::SumOfLanes(DF(), hn::Add(sums_a[r][i], sums_b[r][i])));
      }
    }
  }
};

template <class Policy, class Format, std::size_t kRows>
void AccumulateRows(RowTile& tile) {
  // Local copies: a store through `column_sums` could change the tile for all the compiler knows.
  Accumulator<Policy, Format, kRows> accumulator(tile);
  const typename Format::Element* dy[kRows];
  const typename Format::Element* x[kRows];
  for (std::size_t r = 0; r < kRows; ++r) {
    dy[r] = Elements<Format>(tile.dy[r]);
    x[r] = Elements<Format>(tile.x[r]);
  }
  float* column_sums[Policy::kColumnSums];
  for (std::size_t i = 0; i < Policy::kColumnSums; ++i) column_sums[i] = tile.column_sums[i];
  const float* const gamma = tile.gamma;
  const std::size_t cols = tile.cols;
  const std::size_t next_dy = tile.next_dy;

  std::size_t c = 0;
  for (; c + kBlock <= cols; c += kBlock) {
    for (std::size_t r = 0; r < kRows; ++r) Prefetch<Format, 2>(dy[r] + next_dy + c);
    accumulator.Add(dy, x, c, Float32Format::Load(gamma + c), column_sums, c);
  }
  accumulator.Finish(dy, x, cols - c, gamma, column_sums, c, tile);
}

/// What the gradient of kRows rows needs beside their blocks.
template <class Policy, class Format, std::size_t kRows>
struct Differentiator {
  VF statistics[kRows][Policy::kStatistics];
  VF means[kRows][Policy::kRowSums];

  HWY_INLINE explicit Differentiator(const RowTile& tile) {
    for (std::size_t r = 0; r < kRows; ++r) {
      for (std::size_t i = 0; i < Policy::kStatistics; ++i) {
        statistics[r][i] = hn::Set(DF(), tile.statistics[r][i]);
      }
      for (std::size_t i = 0; i < Policy::kRowSums; ++i) {
        means[r][i] = hn::Set(DF(), tile.sums[r][i]);
      }
    }
  }

  HWY_INLINE Block Gradient(std::size_t r, const typename Format::Element* dy,
                            const typename Format::Element* x, const Block& gamma) const {
    const Block dy_block = Format::Load(dy);
    const Block x_block = Format::Load(x);
    return {Policy::Gradient(dy_block.a, x_block.a, gamma.a, statistics[r], means[r]),
            Policy::Gradient(dy_block.b, x_block.b, gamma.b, statistics[r], means[r])};
  }

  /// The dx of the `count` elements of row `r`, fewer than a block, at `dy` and `x`. `readable` as
  /// in RowTile.
  HWY_INLINE void Rest(std::size_t r, const typename Format::Element* dy,
                       const typename Format::Element* x, bool readable, const float* gamma,
                       std::size_t count, typename Format::Element* dx) const {
    Tail<Format> dy_tail;
    Tail<Format> x_tail;
    Tail<Format> dx_tail;
    Format::template Store<StoreKind::kCached>(
        Gradient(r, readable ? dy : dy_tail.Read(dy, count), readable ? x : x_tail.Read(x, count),
                 Float32Format::Load(gamma)),
        dx_tail.elements);
    std::memcpy(dx, dx_tail.elements, count * sizeof *dx);
  }
};

template <class Policy, class Format, std::size_t kRows, StoreKind kKind>
void GradientRows(const RowTile& tile) {
  using Element = typename Format::Element;
  const Differentiator<Policy, Format, kRows> differentiator(tile);
  const Element* dy[kRows];
  const Element* x[kRows];
  Element* dx[kRows];
  for (std::size_t r = 0; r < kRows; ++r) {
    dy[r] = Elements<Format>(tile.dy[r]);
    x[r] = Elements<Format>(tile.x[r]);
    dx[r] = Elements<Format>(tile.dx[r]);
  }
  const float* const gamma = tile.gamma;
  const std::size_t cols = tile.cols;
  const std::size_t next_x = tile.next_x;

  std::size_t c = 0;
  for (; c + kBlock <= cols; c += kBlock) {
    const Block gamma_block = Float32Format::Load(gamma + c);
    Block dx_block[kRows];
    for (std::size_t r = 0; r < kRows; ++r) {
      dx_block[r] = differentiator.Gradient(r, dy[r] + c, x[r] + c, gamma_block);
      Prefetch<Format, 2>(x[r] + next_x + c);
    }
    // All loads come before all stores: rows are often a multiple of 4 KiB apart, and a load then
    // seems to depend on a store just before it that agrees in the lower 12 bits of the address.
    for (std::size_t r = 0; r < kRows; ++r) Format::template Store<kKind>(dx_block[r], dx[r] + c);
  }
  if (c == cols) return;
  for (std::size_t r = 0; r < kRows; ++r) {
    differentiator.Rest(r, dy[r] + c, x[r] + c, tile.readable, gamma + c, cols - c, dx[r] + c);
  }
}

template <class Policy, class Format, StoreKind kKind>
void OverlapRows(RowTile& next, const RowTile& tile) {
  using Element = typename Format::Element;
  constexpr std::size_t kAhead = kAheadBytes / sizeof(Element);
  Accumulator<Policy, Format, 1> accumulator(next);
  const Differentiator<Policy, Format, 1> differentiator(tile);
  const Element* const next_dy[1] = {Elements<Format>(next.dy[0])};
  const Element* const next_x[1] = {Elements<Format>(next.x[0])};
  float* column_sums[Policy::kColumnSums];
  for (std::size_t i = 0; i < Policy::kColumnSums; ++i) column_sums[i] = next.column_sums[i];
  const Element* const dy = Elements<Format>(tile.dy[0]);
  const Element* const x = Elements<Format>(tile.x[0]);
  Element* const dx = Elements<Format>(tile.dx[0]);
  const float* const gamma = tile.gamma;
  const std::size_t cols = tile.cols;

  std::size_t c = 0;
  for (; c + kBlock <= cols; c += kBlock) {
    Prefetch<Format, 1>(next_dy[0] + c + kAhead);
    Prefetch<Format, 1>(next_x[0] + c + kAhead);
    const Block gamma_block = Float32Format::Load(gamma + c);
    accumulator.Add(next_dy, next_x, c, gamma_block, column_sums, c);
    Format::template Store<kKind>(differentiator.Gradient(0, dy + c, x + c, gamma_block), dx + c);
  }
  accumulator.Finish(next_dy, next_x, cols - c, gamma, column_sums, c, next);
  if (c < cols) {
    differentiator.Rest(0, dy + c, x + c, tile.readable, gamma + c, cols - c, dx + c);
  }
}

template <class Policy, class Format>
void Accumulate(RowTile& tile) {
  tile.rows == 1 ? AccumulateRows<Policy, Format, 1>(tile)
                 : AccumulateRows<Policy, Format, kMaxTileRows>(tile);
}

template <class Policy, class Format, StoreKind kKind>
void GradientOfTile(const RowTile& tile) {
  tile.rows == 1 ? GradientRows<Policy, Format, 1, kKind>(tile)
                 : GradientRows<Policy, Format, kMaxTileRows, kKind>(tile);
}

/// Whether dx can be written past the caches, which takes whole aligned vectors.
HWY_INLINE bool Streams(const RowTile& tile) {
  bool aligned = true;
  for (std::size_t r = 0; r < tile.rows; ++r) {
    aligned = aligned && reinterpret_cast<std::uintptr_t>(tile.dx[r]) % HWY_MAX_BYTES == 0;
  }
  return tile.stream && aligned;
}

/// As GradientRows(), past the caches from any address on.
template <class Policy, class Format>
void CollectGradient(const RowTile& tile) {
  using Element = typename Format::Element;
  const Differentiator<Policy, Format, kMaxTileRows> differentiator(tile);
  const float* const gamma = tile.gamma;
  const std::size_t cols = tile.cols;
  for (std::size_t r = 0; r < tile.rows; ++r) {
    const Element* const dy = Elements<Format>(tile.dy[r]);
    const Element* const x = Elements<Format>(tile.x[r]);
    const std::size_t next_x = tile.next_x;
    CollectedOutput<Element, kBlock> dx(Elements<Format>(tile.dx[r]), true);
    std::size_t c = 0;
    for (; c + kBlock <= cols; c += kBlock) {
      const Block gamma_block = Float32Format::Load(gamma + c);
      Format::template Store<StoreKind::kCached>(
          differentiator.Gradient(r, dy + c, x + c, gamma_block), dx.Next());
      dx.Add(kBlock);
      Prefetch<Format, 2>(x + next_x + c);
    }
    if (c < cols) {
      differentiator.Rest(r, dy + c, x + c, tile.readable, gamma + c, cols - c, dx.Next());
      dx.Add(cols - c);
    }
    dx.Finish();
  }
}

template <class Policy, class Format>
void GradientOf(const RowTile& tile) {
  if (Streams(tile)) {
    GradientOfTile<Policy, Format, StoreKind::kStreamed>(tile);
  } else if (tile.stream) {
    CollectGradient<Policy, Format>(tile);
  } else {
    GradientOfTile<Policy, Format, StoreKind::kCached>(tile);
  }
}

template <class Policy, class Format>
void Overlap(RowTile& next, const RowTile& tile) {
  Streams(tile) ? OverlapRows<Policy, Format, StoreKind::kStreamed>(next, tile)
                : OverlapRows<Policy, Format, StoreKind::kCached>(next, tile);
}

template <class Data>
void LoadScale(DType dtype, const std::byte* scale, std::size_t count, float* to) {
  const std::size_t element_bytes = SizeOf(dtype);
  const std::size_t padded = RoundUp(count, kColumnPadding);
  for (std::size_t c = 0; c < padded; c += kBlock) {
    HWY_ALIGN float block[kBlock] = {};
    if (c < count) {
      ToFloats(dtype, scale + c * element_bytes, std::min(kBlock, count - c), block);
    }
    Float32Format::Store<StoreKind::kCached>(LoadFromMemoryOrder<Data>(block), to + c);
  }
}

template <class Data>
void StoreSums(const float* sums, std::size_t parts, std::size_t stride, std::size_t count,
               DType dtype, std::byte* to) {
  const std::size_t element_bytes = SizeOf(dtype);
  for (std::size_t c = 0; c < count; c += kBlock) {
    Block total = Float32Format::Load(sums + c);
    for (std::size_t part = 1; part < parts; ++part) {
      const Block more = Float32Format::Load(sums + part * stride + c);
      total = {hn::Add(total.a, more.a), hn::Add(total.b, more.b)};
    }
    HWY_ALIGN float block[kBlock];
    StoreInMemoryOrder<Data>(total, block);
    FromFloats(block, std::min(kBlock, count - c), dtype, to + c * element_bytes);
  }
}

/// The vector code of `Policy` on this target.
template <class Policy>
RowKernels RowKernelsFor(DType data) {
  return WithFormat(data, [](auto format) -> RowKernels {
    using Data = decltype(format);
    return {&Accumulate<Policy, Data>,
            &GradientOf<Policy, Data>,
            &Overlap<Policy, Data>,
            &RunShortRows<Policy, Data>,
            kMostShortCols,
            &LoadScale<Data>,
            &StoreSums<Data>};
  });
}

}  // namespace normgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
