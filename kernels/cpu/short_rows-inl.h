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

#include "kernels/cpu/convert-inl.h"
#include "kernels/cpu/copy-inl.h"
#include "kernels/cpu/pair_sums-inl.h"
#include "kernels/cpu/row_pass.h"

HWY_BEFORE_NAMESPACE();
namespace normgrad::cpu::HWY_NAMESPACE {

/// The longest short rows, in elements: measured.
inline constexpr std::size_t kMostShortCols = 16 * kBlock;

/// The sum of each of kCount vectors, a power of 2 of at most kLanes, in its lane.
template <std::size_t kCount>
HWY_INLINE VF SumsOfEach(const VF (&vectors)[kCount]) {
  VF sums = ReducedTogether<kCount>(vectors);
  for (std::size_t left = kLanes / kCount; left > 1; left /= 2) sums = PairSums(sums, sums);
  return sums;
}

/// Rows of kBlocks blocks, or of any number if that is 0, the last of which need not be whole; less
/// a vector if kHalf. The sums of a few rows at a time are added up together, as the lanes of a
/// vector. What lies behind a row is read and written with it: the next row, which comes to be
/// written later, or room for it.
///
/// With kOneSlot the column sums stay in registers from row to row. Through memory, a row would
/// have to wait for the stores of the one before.
template <class Policy, class Format, std::size_t kBlocks, bool kHalf, bool kOneSlot>
class ShortRowPass {
  using Element = typename Format::Element;
  static constexpr std::size_t kHeld = kOneSlot ? kBlocks : 1;  // blocks of column sums
  // So few that reading a batch and writing the one before overlap.
  static constexpr std::size_t kBatch =
      std::clamp(kLanes * sizeof(float) / (kBlocks > 0 ? kBlocks : 4) / sizeof(Element),
                 std::size_t{1}, kLanes);

 public:
  HWY_INLINE explicit ShortRowPass(const ShortRows& rows)
      : rows_(rows),
        blocks_(kBlocks > 0 ? kBlocks : (rows.cols + kBlock - 1) / kBlock),
        last_(LanesOf<Format>(rows.cols - (blocks_ - 1) * kBlock)) {}

  void Run() const {
    // Of what changes from row to row, nothing is a member: the compiler could not tell it from dx.
    Dx dx(rows_, Padded());
    const Element* const dy = Elements<Format>(rows_.dy);
    const Element* const x = Elements<Format>(rows_.x);
    ColumnSums columns[kHeld];
    if constexpr (kOneSlot) {
      for (std::size_t b = 0; b < kHeld; ++b) columns[b].Load(rows_, b * kBlock);
    }
    // The last rows, fewer than Padded() elements, are read from where there is room behind them.
    const std::size_t readable = ReadableRows();
    constexpr std::size_t kRoom = 2 * (kBlocks > 0 ? kBlocks * kBlock : kMostShortCols);
    HWY_ALIGN Element last_dy[kRoom] = {};
    HWY_ALIGN Element last_x[kRoom] = {};
    const std::size_t first = readable * rows_.cols;
    const std::size_t bytes = (rows_.rows * rows_.cols - first) * sizeof(Element);
    std::memcpy(last_dy, dy + first, bytes);
    std::memcpy(last_x, x + first, bytes);
    const Part parts[] = {{0, readable, dy, x}, {readable, rows_.rows, last_dy, last_x}};
    for (const Part& part : parts) Batches(part, columns, dx);  // which is a lot of code, once
    dx.Finish();
    if constexpr (kOneSlot) {
      for (std::size_t b = 0; b < kHeld; ++b) columns[b].Store(rows_, b * kBlock);
    }
  }

 private:
  /// Where dx goes. One class, as every variant of the loop over rows is much code.
  class Dx {
   public:
    HWY_INLINE Dx(const ShortRows& rows, std::size_t padded)
        : streamed_(rows.stream),
          direct_(!kHalf && rows.cols == padded &&
                  (!streamed_ || reinterpret_cast<std::uintptr_t>(rows.dx) % HWY_MAX_BYTES == 0)),
          to_(Elements<Format>(rows.dx)),
          collected_(to_, streamed_) {}

    /// Writes block `b` of the next row.
    HWY_INLINE void Store(std::size_t b, const Block& block) {
      Element* const to = (direct_ ? to_ : collected_.Next()) + b * kBlock;
      if (direct_ && streamed_) {
        Format::template Store<StoreKind::kStreamed>(block, to);
      } else {
        Format::template Store<StoreKind::kCached>(block, to);
      }
    }

    HWY_INLINE void EndRow(std::size_t cols) {
      direct_ ? static_cast<void>(to_ += cols) : collected_.Add(cols);
    }

    HWY_INLINE void Finish() {
      if (!direct_) collected_.Finish();
    }

   private:
    const bool streamed_;
    const bool direct_;  // rows are whole blocks, and begin where a vector may be streamed to
    Element* to_;
    CollectedOutput<Element, kMostShortCols> collected_;
  };

  /// The column sums of a block.
  struct ColumnSums {
    VF a[Policy::kColumnSums];
    VF b[Policy::kColumnSums];

    // Not left to the compiler, whose own one would lack the target's instructions.
    HWY_INLINE ColumnSums() {
      for (std::size_t i = 0; i < Policy::kColumnSums; ++i) a[i] = b[i] = hn::Zero(DF());
    }
    HWY_INLINE void Load(const ShortRows& rows, std::size_t at) {
      for (std::size_t i = 0; i < Policy::kColumnSums; ++i) {
        a[i] = hn::LoadU(DF(), rows.column_sums[i] + at);
        if constexpr (!kHalf) b[i] = hn::LoadU(DF(), rows.column_sums[i] + at + kLanes);
      }
    }
    HWY_INLINE void Store(const ShortRows& rows, std::size_t at) const {
      for (std::size_t i = 0; i < Policy::kColumnSums; ++i) {
        hn::StoreU(a[i], DF(), rows.column_sums[i] + at);
        if constexpr (!kHalf) hn::StoreU(b[i], DF(), rows.column_sums[i] + at + kLanes);
      }
    }
  };

  /// How many rows can be read with what lies behind them.
  HWY_INLINE std::size_t ReadableRows() const {
    const std::size_t elements = rows_.rows * rows_.cols + rows_.spare;
    if (elements < Padded()) return 0;
    return std::min(rows_.rows, (elements - Padded()) / rows_.cols + 1);
  }

  /// Rows [first, end), the first of which lies at `dy` and `x`.
  struct Part {
    std::size_t first;
    std::size_t end;
    const Element* dy;
    const Element* x;
  };

  HWY_INLINE void Batches(const Part& part, ColumnSums (&columns)[kHeld], Dx& dx) const {
    const Element* dy = part.dy;
    const Element* x = part.x;
    const std::size_t cols = rows_.cols;
    const VF divisor = hn::Set(DF(), static_cast<float>(cols));
    std::size_t slot = kOneSlot ? 0 : (rows_.first_slot + part.first) % rows_.slots;
    for (std::size_t row = part.first; row < part.end; row += kBatch) {
      const std::size_t count = std::min(kBatch, part.end - row);
      VF sums[Policy::kRowSums][kBatch];
      std::size_t row_slot = slot;
      for (std::size_t r = 0; r < count; ++r) {
        VF of_row[Policy::kRowSums];
        Accumulate(row + r, dy + r * cols, x + r * cols, row_slot, columns, of_row);
        for (std::size_t i = 0; i < Policy::kRowSums; ++i) sums[i][r] = of_row[i];
        row_slot = NextSlot(row_slot);
      }
      for (std::size_t r = count; r < kBatch; ++r) {
        for (std::size_t i = 0; i < Policy::kRowSums; ++i) sums[i][r] = hn::Zero(DF());
      }
      if (rows_.dx != nullptr) {
        HWY_ALIGN float means[Policy::kRowSums][kLanes];
        for (std::size_t i = 0; i < Policy::kRowSums; ++i) {
          hn::Store(hn::Div(SumsOfEach(sums[i]), divisor), DF(), means[i]);
        }
        row_slot = slot;
        for (std::size_t r = 0; r < count; ++r) {
          VF of_row[Policy::kRowSums];
          for (std::size_t i = 0; i < Policy::kRowSums; ++i) of_row[i] = hn::Set(DF(), means[i][r]);
          Differentiate(row + r, dy + r * cols, x + r * cols, row_slot, of_row, dx);
          dx.EndRow(cols);
          row_slot = NextSlot(row_slot);
        }
      }
      slot = row_slot;
      dy += kBatch * cols;
      x += kBatch * cols;
    }
  }

  HWY_INLINE std::size_t NextSlot(std::size_t slot) const {
    return kOneSlot || slot + 1 == rows_.slots ? 0 : slot + 1;
  }

  /// The statistics of row `r`.
  HWY_INLINE void GetStatistics(std::size_t r, VF (&statistics)[Policy::kStatistics]) const {
    for (std::size_t i = 0; i < Policy::kStatistics; ++i) {
      statistics[i] = hn::Set(DF(), rows_.statistics[i][r]);
    }
  }

  /// Sets the sums of row `r`, which lies at `dy` and `x`, lane by lane, and adds to those of
  /// columns.
  HWY_INLINE void Accumulate(std::size_t r, const Element* dy, const Element* x, std::size_t slot,
                             ColumnSums (&columns)[kHeld], VF (&sums)[Policy::kRowSums]) const {
    const DF d;
    const std::size_t at = slot * rows_.slot_stride;
    const std::size_t blocks = kBlocks > 0 ? kBlocks : blocks_;
    VF statistics[Policy::kStatistics];
    GetStatistics(r, statistics);
    VF sums_b[Policy::kRowSums];
    for (std::size_t i = 0; i < Policy::kRowSums; ++i) sums[i] = sums_b[i] = hn::Zero(d);
    for (std::size_t b = 0; b < blocks; ++b) {
      const std::size_t c = b * kBlock;
      const Block dy_block = Format::Load(dy + c);
      const Block x_block = Format::Load(x + c);
      const Block gamma = Float32Format::Load(rows_.gamma + at + c);
      ColumnSums& of_block = columns[kOneSlot ? b : 0];
      if constexpr (!kOneSlot) of_block.Load(rows_, at + c);
      VF before_a[Policy::kRowSums];
      VF before_b[Policy::kRowSums];
      for (std::size_t i = 0; i < Policy::kRowSums; ++i) {
        before_a[i] = sums[i];
        before_b[i] = sums_b[i];
      }
      Policy::AddToRow(dy_block.a, x_block.a, gamma.a, statistics, sums);
      Policy::AddToColumns(dy_block.a, x_block.a, statistics, of_block.a);
      if constexpr (!kHalf) {
        Policy::AddToRow(dy_block.b, x_block.b, gamma.b, statistics, sums_b);
        Policy::AddToColumns(dy_block.b, x_block.b, statistics, of_block.b);
      }
      if (b + 1 == blocks) {  // behind the row there may be anything
        for (std::size_t i = 0; i < Policy::kRowSums; ++i) {
          sums[i] = hn::IfThenElse(hn::FirstN(d, last_.a), sums[i], before_a[i]);
          sums_b[i] = hn::IfThenElse(hn::FirstN(d, last_.b), sums_b[i], before_b[i]);
        }
      }
      if constexpr (!kOneSlot) of_block.Store(rows_, at + c);
    }
    if constexpr (!kHalf) {
      for (std::size_t i = 0; i < Policy::kRowSums; ++i) sums[i] = hn::Add(sums[i], sums_b[i]);
    }
  }

  /// Writes the dx of row `r`, which lies at `dy` and `x`, and something behind it.
  HWY_INLINE void Differentiate(std::size_t r, const Element* dy, const Element* x,
                                std::size_t slot, const VF (&means)[Policy::kRowSums],
                                Dx& dx) const {
    const std::size_t blocks = kBlocks > 0 ? kBlocks : blocks_;
    VF statistics[Policy::kStatistics];
    GetStatistics(r, statistics);
    for (std::size_t b = 0; b < blocks; ++b) {
      const std::size_t c = b * kBlock;
      const Block dy_block = Format::Load(dy + c);
      const Block x_block = Format::Load(x + c);
      const Block gamma = Float32Format::Load(rows_.gamma + slot * rows_.slot_stride + c);
      const VF first = Policy::Gradient(dy_block.a, x_block.a, gamma.a, statistics, means);
      VF second = first;
      if constexpr (!kHalf) {
        second = Policy::Gradient(dy_block.b, x_block.b, gamma.b, statistics, means);
      }
      dx.Store(b, {first, second});
    }
  }

  std::size_t Padded() const { return blocks_ * kBlock; }

  const ShortRows rows_;
  const std::size_t blocks_;
  const LaneCounts last_;  // of the last block
};

template <class Policy, class Format>
void RunShortRows(const ShortRows& rows) {
  const bool one_slot = rows.slots == 1;
  if (rows.cols > 2 * kBlock || (rows.cols > kBlock && !one_slot)) {
    ShortRowPass<Policy, Format, 0, false, false>(rows).Run();
  } else if (rows.cols > kBlock) {  // no more column sums than there are registers for
    ShortRowPass<Policy, Format, 2, false, true>(rows).Run();
  } else if (!one_slot) {
    ShortRowPass<Policy, Format, 1, false, false>(rows).Run();
  } else if (rows.cols > kLanes || Format::kInterleaved) {
    ShortRowPass<Policy, Format, 1, false, true>(rows).Run();
  } else {
    ShortRowPass<Policy, Format, 1, !Format::kInterleaved, true>(rows).Run();
  }
}

}  // namespace normgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
