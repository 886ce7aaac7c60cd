// SPDX-License-Identifier: Apache-2.0
// The vector code of the row pass. Included once per target (foreach_target).
//
// A policy says what a row norm's backward pass computes:
//   kStatistics, kRowSums, kColumnSums   how many of each (RowPass)
//   AddToRow(dy, x, gamma, statistics, row_sums)     adds one vector of a row to its sums
//   AddToColumns(dy, x, statistics, column_sums)     and to those over the rows
//   Gradient(dy, x, gamma, statistics, means)        one vector of dx; means are row sums / columns

#if defined(NORMGRAD_KERNELS_CPU_ROW_PASS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef NORMGRAD_KERNELS_CPU_ROW_PASS_INL_H_
#undef NORMGRAD_KERNELS_CPU_ROW_PASS_INL_H_
#else
#define NORMGRAD_KERNELS_CPU_ROW_PASS_INL_H_
#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "kernels/cpu/convert-inl.h"
#include "kernels/cpu/copy-inl.h"
#include "kernels/cpu/packed_rows-inl.h"
#include "kernels/cpu/row_pass.h"
#include "kernels/cpu/short_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace normgrad::cpu::HWY_NAMESPACE {

/// Where the rows of a tile lie, and their statistics.
template <class Policy, class Format, std::size_t kRows>
struct TileRows {
  using Element = typename Format::Element;

  const Element* dy[kRows];
  const Element* x[kRows];
  VF statistics[kRows][Policy::kStatistics];

  HWY_INLINE explicit TileRows(const RowTile& tile) {
    for (std::size_t r = 0; r < kRows; ++r) {
      dy[r] = Elements<Format>(tile.dy[r]);
      x[r] = Elements<Format>(tile.x[r]);
      for (std::size_t i = 0; i < Policy::kStatistics; ++i) {
        statistics[r][i] = hn::Set(DF(), tile.statistics[r][i]);
      }
    }
  }
};

/// `count` elements, fewer than a block, at `from`. The others may be anything.
template <class Format>
HWY_INLINE Block LoadPart(const typename Format::Element* from, std::size_t count, bool readable) {
  if (readable) return Format::Load(from);
  Tail<Format> tail;
  return Format::Load(tail.Read(from, count));
}

/// Lane by lane, the sums of a row over its columns. gcc 12 is told to unroll the loops over them;
/// else it does so too late, and stores the sums for every block.
template <class Policy>
struct LaneSums {
  VF a[Policy::kRowSums];  // of the first vector of every block
  VF b[Policy::kRowSums];  // of the second

  HWY_INLINE LaneSums() {
#pragma GCC unroll kMaxSums
    for (std::size_t i = 0; i < Policy::kRowSums; ++i) a[i] = b[i] = hn::Zero(DF());
  }

  HWY_INLINE void Add(const Block& dy, const Block& x, const Block& gamma,
                      const VF (&statistics)[Policy::kStatistics]) {
    Policy::AddToRow(dy.a, x.a, gamma.a, statistics, a);
    Policy::AddToRow(dy.b, x.b, gamma.b, statistics, b);
  }

  /// As Add(), for a block of which only the first lanes exist. Of zeros, too, the share of a sum
  /// need not be zero: zero times an infinite statistic is NaN.
  HWY_INLINE void AddFirst(const LaneCounts& lanes, const Block& dy, const Block& x,
                           const Block& gamma, const VF (&statistics)[Policy::kStatistics]) {
    const LaneSums before = *this;
    Add(dy, x, gamma, statistics);
#pragma GCC unroll kMaxSums
    for (std::size_t i = 0; i < Policy::kRowSums; ++i) {
      a[i] = hn::IfThenElse(hn::FirstN(DF(), lanes.a), a[i], before.a[i]);
      b[i] = hn::IfThenElse(hn::FirstN(DF(), lanes.b), b[i], before.b[i]);
    }
  }

  HWY_INLINE void StoreTotals(std::array<float, kMaxSums>* totals) const {
#pragma GCC unroll kMaxSums
    for (std::size_t i = 0; i < Policy::kRowSums; ++i) {
      (*totals)[i] = hn::GetLane(hn::SumOfLanes(DF(), hn::Add(a[i], b[i])));
    }
  }
};

template <class Policy, class Format, std::size_t kRows>
void SumRows(RowTile& tile) {
  const TileRows<Policy, Format, kRows> rows(tile);
  const float* const gamma = tile.gamma;
  const std::size_t cols = tile.cols;
  LaneSums<Policy> sums[kRows];
  std::size_t c = 0;
  for (; c + kBlock <= cols; c += kBlock) {
    const Block gamma_block = Float32Format::Load(gamma + c);
    for (std::size_t r = 0; r < kRows; ++r) {
      sums[r].Add(Format::Load(rows.dy[r] + c), Format::Load(rows.x[r] + c), gamma_block,
                  rows.statistics[r]);
    }
  }
  for (std::size_t r = 0; r < kRows; ++r) {
    if (c < cols) {
      sums[r].AddFirst(LanesOf<Format>(cols - c),
                       LoadPart<Format>(rows.dy[r] + c, cols - c, tile.readable),
                       LoadPart<Format>(rows.x[r] + c, cols - c, tile.readable),
                       Float32Format::Load(gamma + c), rows.statistics[r]);
    }
    sums[r].StoreTotals(&tile.sums[r]);
  }
}

/// The sums over rows of the columns of a block.
template <class Policy>
struct ColumnSums {
  VF a[Policy::kColumnSums];
  VF b[Policy::kColumnSums];

  HWY_INLINE ColumnSums(float* const (&sums)[Policy::kColumnSums], std::size_t c) {
    for (std::size_t i = 0; i < Policy::kColumnSums; ++i) {
      a[i] = hn::LoadU(DF(), sums[i] + c);
      b[i] = hn::LoadU(DF(), sums[i] + c + kLanes);
    }
  }

  HWY_INLINE void Add(const Block& dy, const Block& x,
                      const VF (&statistics)[Policy::kStatistics]) {
    Policy::AddToColumns(dy.a, x.a, statistics, a);
    Policy::AddToColumns(dy.b, x.b, statistics, b);
  }

  HWY_INLINE void Store(float* const (&sums)[Policy::kColumnSums], std::size_t c) const {
    for (std::size_t i = 0; i < Policy::kColumnSums; ++i) {
      hn::StoreU(a[i], DF(), sums[i] + c);
      hn::StoreU(b[i], DF(), sums[i] + c + kLanes);
    }
  }
};

/// What becomes of the dx of a tile.
enum class DxKind { kNone, kCached, kStreamed, kCollected };

/// What FinishRows() does beside its own work: it fetches what the tile says is ahead.
template <class Policy, class Format, std::size_t kRows, DxKind kDx>
class FetchBeside {
 public:
  HWY_INLINE explicit FetchBeside(const RowTile& tile) : rows_(tile), ahead_(tile.ahead) {}

  /// Beside the block of row `r` from column `c` on, where gamma is as given.
  HWY_INLINE void Take(std::size_t r, std::size_t c, const Block& /*gamma*/) const {
    if (ahead_ == 0) return;
    if constexpr (kDx == DxKind::kNone) {
      Prefetch<Format>(rows_.dy[r] + c + ahead_);
      Prefetch<Format>(rows_.x[r] + c + ahead_);
    } else {
      // The next tile, in the order in which it lies in memory: measured, as all of this.
      const std::size_t at = ahead_ + c * kRows + r * kBlock;
      Prefetch<Format, CacheLevel::kFirst>(rows_.dy[0] + at);
      Prefetch<Format, CacheLevel::kFirst>(rows_.x[0] + at);
    }
  }

  /// Beside the last `count` columns, fewer than a block.
  HWY_INLINE void TakePart(std::size_t /*c*/, std::size_t /*count*/, const Block& /*gamma*/) const {
  }

  HWY_INLINE void Finish() const {}

 private:
  TileRows<Policy, Format, kRows> rows_;
  std::size_t ahead_;
};

/// Or it sums up another row of as many columns, to the same gamma.
template <class Policy, class Format>
class SumBeside {
 public:
  HWY_INLINE explicit SumBeside(RowTile& tile) : tile_(tile), rows_(tile), ahead_(tile.ahead) {}

  HWY_INLINE void Take(std::size_t /*r*/, std::size_t c, const Block& gamma) {
    const auto* const dy = rows_.dy[0] + c;
    const auto* const x = rows_.x[0] + c;
    Prefetch<Format>(dy + ahead_);  // of what is loaded now, where nothing is ahead
    Prefetch<Format>(x + ahead_);
    sums_.Add(Format::Load(dy), Format::Load(x), gamma, rows_.statistics[0]);
  }

  HWY_INLINE void TakePart(std::size_t c, std::size_t count, const Block& gamma) {
    sums_.AddFirst(LanesOf<Format>(count), LoadPart<Format>(rows_.dy[0] + c, count, tile_.readable),
                   LoadPart<Format>(rows_.x[0] + c, count, tile_.readable), gamma,
                   rows_.statistics[0]);
  }

  HWY_INLINE void Finish() const { sums_.StoreTotals(&tile_.sums[0]); }

 private:
  RowTile& tile_;
  TileRows<Policy, Format, 1> rows_;
  LaneSums<Policy> sums_;
  std::size_t ahead_;
};

/// `of_beside`: the tile that Beside is made of, here, where its vectors stay in registers.
template <class Policy, class Format, std::size_t kRows, DxKind kDx, class Beside, class Tile>
void FinishRows(const RowTile& tile, Tile& of_beside) {
  static_assert(kDx != DxKind::kCollected || kRows == 1);
  using Element = typename Format::Element;
  constexpr auto kStore = kDx == DxKind::kStreamed ? StoreKind::kStreamed : StoreKind::kCached;
  const TileRows<Policy, Format, kRows> rows(tile);
  VF means[kRows][Policy::kRowSums];
  Element* dx[kRows];
  for (std::size_t r = 0; r < kRows; ++r) {
    dx[r] = Elements<Format>(tile.dx[r]);
    for (std::size_t i = 0; i < Policy::kRowSums; ++i) means[r][i] = hn::Set(DF(), tile.sums[r][i]);
  }
  // Local copies: a store through them could change the tile for all the compiler knows.
  float* column_sums[Policy::kColumnSums];
  for (std::size_t i = 0; i < Policy::kColumnSums; ++i) column_sums[i] = tile.column_sums[i];
  const float* const gamma = tile.gamma;
  const std::size_t cols = tile.cols;
  CollectedOutput<Element, kBlock> collected(dx[0], true);  // for kCollected
  const auto gradient = [&](std::size_t r, const Block& dy, const Block& x, const Block& of_gamma)
                            HWY_ATTR -> Block {
    return {Policy::Gradient(dy.a, x.a, of_gamma.a, rows.statistics[r], means[r]),
            Policy::Gradient(dy.b, x.b, of_gamma.b, rows.statistics[r], means[r])};
  };

  Beside beside(of_beside);
  std::size_t c = 0;
  for (; c + kBlock <= cols; c += kBlock) {
    const Block gamma_block = Float32Format::Load(gamma + c);
    ColumnSums<Policy> columns(column_sums, c);
    for (std::size_t r = 0; r < kRows; ++r) {
      beside.Take(r, c, gamma_block);
      const Block dy_block = Format::Load(rows.dy[r] + c);
      const Block x_block = Format::Load(rows.x[r] + c);
      columns.Add(dy_block, x_block, rows.statistics[r]);
      if constexpr (kDx == DxKind::kCollected) {
        Format::template Store<StoreKind::kCached>(gradient(r, dy_block, x_block, gamma_block),
                                                   collected.Next());
        collected.Add(kBlock);
      } else if constexpr (kDx != DxKind::kNone) {
        Format::template Store<kStore>(gradient(r, dy_block, x_block, gamma_block), dx[r] + c);
      }
    }
    columns.Store(column_sums, c);
  }

  if (c < cols) {
    const std::size_t count = cols - c;
    const Block gamma_block = Float32Format::Load(gamma + c);
    ColumnSums<Policy> columns(column_sums, c);  // with room for what does not exist
    beside.TakePart(c, count, gamma_block);
    for (std::size_t r = 0; r < kRows; ++r) {
      const Block dy_block = LoadPart<Format>(rows.dy[r] + c, count, tile.readable);
      const Block x_block = LoadPart<Format>(rows.x[r] + c, count, tile.readable);
      columns.Add(dy_block, x_block, rows.statistics[r]);
      if constexpr (kDx == DxKind::kNone) continue;
      Tail<Format> tail;
      Element* const to = kDx == DxKind::kCollected ? collected.Next() : tail.elements;
      Format::template Store<StoreKind::kCached>(gradient(r, dy_block, x_block, gamma_block), to);
      if constexpr (kDx == DxKind::kCollected) {
        collected.Add(count);
      } else {
        CopyVectors<kStore>(reinterpret_cast<std::uint8_t*>(dx[r] + c),
                            reinterpret_cast<const std::uint8_t*>(to), count * sizeof *to);
      }
    }
    columns.Store(column_sums, c);
  }
  if constexpr (kDx == DxKind::kCollected) collected.Finish();
  beside.Finish();
}

/// Calls body with the number of rows of the tile, as a constant.
template <class Body>
HWY_INLINE void WithRows(const RowTile& tile, Body body) {
  static_assert(kMaxTileRows == 4);
  if (tile.rows == 4) return body(std::integral_constant<std::size_t, 4>());
  if (tile.rows == 2) return body(std::integral_constant<std::size_t, 2>());
  body(std::integral_constant<std::size_t, 1>());
}

template <class Policy, class Format>
void Sum(RowTile& tile) {
  WithRows(tile, [&](auto rows) { SumRows<Policy, Format, rows()>(tile); });
}

template <class Policy, class Format, std::size_t kRows, DxKind kDx>
void FinishRows(const RowTile& tile) {
  FinishRows<Policy, Format, kRows, kDx, FetchBeside<Policy, Format, kRows, kDx>>(tile, tile);
}

template <class Policy, class Format, DxKind kDx>
void FinishWith(const RowTile& tile) {
  WithRows(tile, [&](auto rows) { FinishRows<Policy, Format, rows(), kDx>(tile); });
}

/// Whether dx can be written past the caches, which takes whole aligned vectors.
HWY_INLINE bool IsAligned(const RowTile& tile) {
  bool aligned = true;
  for (std::size_t r = 0; r < tile.rows; ++r) {
    aligned = aligned && reinterpret_cast<std::uintptr_t>(tile.dx[r]) % HWY_MAX_BYTES == 0;
  }
  return aligned;
}

template <class Policy, class Format>
void Finish(const RowTile& tile) {
  if (tile.dx[0] == nullptr) return FinishWith<Policy, Format, DxKind::kNone>(tile);
  if (!tile.stream) return FinishWith<Policy, Format, DxKind::kCached>(tile);
  if (IsAligned(tile)) return FinishWith<Policy, Format, DxKind::kStreamed>(tile);
  for (std::size_t r = 0; r < tile.rows; ++r) {
    FinishRows<Policy, Format, 1, DxKind::kCollected>(RowOf(tile, r));
  }
}

template <class Policy, class Format>
void FinishAndSum(const RowTile& row, RowTile& next) {
  using Beside = SumBeside<Policy, Format>;
  if (!row.stream) return FinishRows<Policy, Format, 1, DxKind::kCached, Beside>(row, next);
  IsAligned(row) ? FinishRows<Policy, Format, 1, DxKind::kStreamed, Beside>(row, next)
                 : FinishRows<Policy, Format, 1, DxKind::kCollected, Beside>(row, next);
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
    return {&Sum<Policy, Data>,
            &Finish<Policy, Data>,
            &FinishAndSum<Policy, Data>,
            &RunShortRows<Policy, Data>,
            &RunPackedRows<Policy, Data>,
            kBlock,
            kMostShortCols,
            &LoadScale<Data>,
            &StoreSums<Data>};
  });
}

}  // namespace normgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
