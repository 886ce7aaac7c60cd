// SPDX-License-Identifier: Apache-2.0
// The row pass over rows of a few vectors (ShortRows). Included once per target (foreach_target).

#if defined(NORMGRAD_KERNELS_CPU_SHORT_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef NORMGRAD_KERNELS_CPU_SHORT_ROWS_INL_H_
#undef NORMGRAD_KERNELS_CPU_SHORT_ROWS_INL_H_
#else
#define NORMGRAD_KERNELS_CPU_SHORT_ROWS_INL_H_
#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "kernels/cpu/convert-inl.h"
#include "kernels/cpu/copy-inl.h"
#include "kernels/cpu/row_pass.h"

HWY_BEFORE_NAMESPACE();
namespace normgrad::cpu::HWY_NAMESPACE {

/// The longest short rows are of so many blocks: a row stays in registers between its two sweeps.
inline constexpr std::size_t kMostShortBlocks = 4;

/// Rows of kBlocks blocks, the last of which need not be whole. What lies behind a row is read and
/// written with it: the next row, which comes to be written later, or room for it.
///
/// With kOneSlot the column sums stay in registers from row to row. Through memory, a row would
/// have to wait for the stores of the one before.
template <class Policy, class Format, std::size_t kBlocks, bool kOneSlot>
class ShortRowPass {
  using Element = typename Format::Element;
  static constexpr std::size_t kPadded = kBlocks * kBlock;

 public:
  HWY_INLINE explicit ShortRowPass(const ShortRows& rows)
      : rows_(rows),
        dy_(Elements<Format>(rows.dy)),
        x_(Elements<Format>(rows.x)),
        cols_(hn::Set(DF(), static_cast<float>(rows.cols))),
        last_(LanesOf<Format>(rows.cols - (kBlocks - 1) * kBlock)) {}

  HWY_INLINE void Run() const {
    // dx is collected here and moved piece by piece: rows need be neither whole vectors nor aligned
    // ones, as which alone they could go past the caches. 32 rows end where a line does.
    constexpr std::size_t kRows = 32;
    constexpr std::size_t kPiece = 1024;
    HWY_ALIGN Element dx[std::max(kRows * kPadded, kPiece) + kPadded];
    const std::size_t piece_rows = std::max(kRows, kPiece / rows_.cols / kRows * kRows);
    const std::size_t readable = ReadableRows();
    std::size_t slot = kOneSlot ? 0 : rows_.first_slot;
    ColumnSums columns[kBlocks];
    if constexpr (kOneSlot) {
      for (std::size_t b = 0; b < kBlocks; ++b) columns[b].Load(rows_, b * kBlock);
    }
    for (std::size_t first = 0; first < rows_.rows; first += piece_rows) {
      const std::size_t end = std::min(rows_.rows, first + piece_rows);
      for (std::size_t r = first; r < end; ++r) {
        Element* const row_dx = dx + (r - first) * rows_.cols;
        r < readable ? Row(r, dy_ + r * rows_.cols, x_ + r * rows_.cols, slot, columns, row_dx)
                     : LastRow(r, slot, columns, row_dx);
        if constexpr (!kOneSlot) slot = slot + 1 == rows_.slots ? 0 : slot + 1;
      }
      if (rows_.dx != nullptr) Move(dx, first, end - first);
    }
    if constexpr (kOneSlot) {
      for (std::size_t b = 0; b < kBlocks; ++b) columns[b].Store(rows_, b * kBlock);
    }
  }

 private:
  /// The column sums of a block.
  struct ColumnSums {
    VF a[Policy::kColumnSums];
    VF b[Policy::kColumnSums];

    HWY_INLINE void Load(const ShortRows& rows, std::size_t at) {
      for (std::size_t i = 0; i < Policy::kColumnSums; ++i) {
        a[i] = hn::LoadU(DF(), rows.column_sums[i] + at);
        b[i] = hn::LoadU(DF(), rows.column_sums[i] + at + kLanes);
      }
    }
    HWY_INLINE void Store(const ShortRows& rows, std::size_t at) const {
      for (std::size_t i = 0; i < Policy::kColumnSums; ++i) {
        hn::StoreU(a[i], DF(), rows.column_sums[i] + at);
        hn::StoreU(b[i], DF(), rows.column_sums[i] + at + kLanes);
      }
    }
  };

  /// How many rows can be read with what lies behind them.
  HWY_INLINE std::size_t ReadableRows() const {
    const std::size_t elements = rows_.rows * rows_.cols + rows_.spare;
    return elements < kPadded ? 0 : (elements - kPadded) / rows_.cols + 1;
  }

  /// A row behind which nothing may be read.
  HWY_INLINE void LastRow(std::size_t r, std::size_t slot, ColumnSums (&columns)[kBlocks],
                          Element* dx) const {
    HWY_ALIGN Element dy[kPadded] = {};
    HWY_ALIGN Element x[kPadded] = {};
    std::memcpy(dy, dy_ + r * rows_.cols, rows_.cols * sizeof(Element));
    std::memcpy(x, x_ + r * rows_.cols, rows_.cols * sizeof(Element));
    Row(r, dy, x, slot, columns, dx);
  }

  /// Row `r`, at `dy` and `x`, with the scale and the sums in `slot`.
  HWY_INLINE void Row(std::size_t r, const Element* dy, const Element* x, std::size_t slot,
                      ColumnSums (&columns)[kBlocks], Element* dx) const {
    const DF d;
    const std::size_t at = slot * rows_.slot_stride;
    VF statistics[Policy::kStatistics];
    for (std::size_t i = 0; i < Policy::kStatistics; ++i) {
      statistics[i] = hn::Set(d, rows_.statistics[i][r]);
    }
    VF sums_a[Policy::kRowSums];
    VF sums_b[Policy::kRowSums];
    for (std::size_t i = 0; i < Policy::kRowSums; ++i) sums_a[i] = sums_b[i] = hn::Zero(d);
    Block dy_blocks[kBlocks];
    Block x_blocks[kBlocks];
    for (std::size_t b = 0; b < kBlocks; ++b) {
      const std::size_t c = b * kBlock;
      dy_blocks[b] = Format::Load(dy + c);
      x_blocks[b] = Format::Load(x + c);
      const Block gamma = Float32Format::Load(rows_.gamma + at + c);
      if constexpr (!kOneSlot) columns[b].Load(rows_, at + c);
      VF before_a[Policy::kRowSums];
      VF before_b[Policy::kRowSums];
      for (std::size_t i = 0; i < Policy::kRowSums; ++i) {
        before_a[i] = sums_a[i];
        before_b[i] = sums_b[i];
      }
      Policy::Accumulate(dy_blocks[b].a, x_blocks[b].a, gamma.a, statistics, sums_a, columns[b].a);
      Policy::Accumulate(dy_blocks[b].b, x_blocks[b].b, gamma.b, statistics, sums_b, columns[b].b);
      if (b + 1 == kBlocks) {  // behind the row there may be anything
        for (std::size_t i = 0; i < Policy::kRowSums; ++i) {
          sums_a[i] = hn::IfThenElse(hn::FirstN(d, last_.a), sums_a[i], before_a[i]);
          sums_b[i] = hn::IfThenElse(hn::FirstN(d, last_.b), sums_b[i], before_b[i]);
        }
      }
      if constexpr (!kOneSlot) columns[b].Store(rows_, at + c);
    }
    if (rows_.dx == nullptr) return;
    VF means[Policy::kRowSums];
    for (std::size_t i = 0; i < Policy::kRowSums; ++i) {
      means[i] = hn::Div(hn::SumOfLanes(d, hn::Add(sums_a[i], sums_b[i])), cols_);
    }
    for (std::size_t b = 0; b < kBlocks; ++b) {
      const std::size_t c = b * kBlock;
      const Block gamma = Float32Format::Load(rows_.gamma + at + c);
      Format::template Store<StoreKind::kCached>(
          {Policy::Gradient(dy_blocks[b].a, x_blocks[b].a, gamma.a, statistics, means),
           Policy::Gradient(dy_blocks[b].b, x_blocks[b].b, gamma.b, statistics, means)},
          dx + c);
    }
  }

  HWY_INLINE void Move(const Element* dx, std::size_t first, std::size_t count) const {
    const std::size_t row_bytes = rows_.cols * sizeof(Element);
    auto* const to = reinterpret_cast<std::uint8_t*>(rows_.dx) + first * row_bytes;
    const auto* const from = reinterpret_cast<const std::uint8_t*>(dx);
    rows_.stream ? CopyVectors<StoreKind::kStreamed>(to, from, count * row_bytes)
                 : CopyVectors<StoreKind::kCached>(to, from, count * row_bytes);
  }

  const ShortRows rows_;
  const Element* const dy_;
  const Element* const x_;
  const VF cols_;
  const LaneCounts last_;  // of the last block
};

template <class Policy, class Format>
void RunShortRows(const ShortRows& rows) {
  static_assert(kMostShortBlocks == 4);
  const auto run = [&](auto blocks) HWY_ATTR {
    constexpr std::size_t kBlocks = decltype(blocks)::value;
    // From three blocks on there are too few registers.
    if (kBlocks <= 2 && rows.slots == 1) {
      ShortRowPass<Policy, Format, kBlocks, kBlocks <= 2>(rows).Run();
    } else {
      ShortRowPass<Policy, Format, kBlocks, false>(rows).Run();
    }
  };
  switch ((rows.cols + kBlock - 1) / kBlock) {
    case 1: return run(std::integral_constant<std::size_t, 1>());
    case 2: return run(std::integral_constant<std::size_t, 2>());
    case 3: return run(std::integral_constant<std::size_t, 3>());
    default: return run(std::integral_constant<std::size_t, 4>());
  }
}

}  // namespace normgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
