// SPDX-License-Identifier: Apache-2.0
// The row pass over rows that are shorter than vectors (PackedRows). Included once per target
// (foreach_target).

#if defined(NORMGRAD_KERNELS_CPU_PACKED_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef NORMGRAD_KERNELS_CPU_PACKED_ROWS_INL_H_
#undef NORMGRAD_KERNELS_CPU_PACKED_ROWS_INL_H_
#else
#define NORMGRAD_KERNELS_CPU_PACKED_ROWS_INL_H_
#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <type_traits>

#include "kernels/cpu/convert-inl.h"
#include "kernels/cpu/copy-inl.h"
#include "kernels/cpu/pair_sums-inl.h"
#include "kernels/cpu/row_pass.h"

HWY_BEFORE_NAMESPACE();
namespace normgrad::cpu::HWY_NAMESPACE {

/// Hands every element of adjacent rows what its row has, block by block in processing order.
template <class Format>
class RowSpread {
 public:
  HWY_INLINE explicit RowSpread(std::size_t cols)
      : one_(cols == 1), blocks_(std::lcm(cols, kBlock) / kBlock), rows_(blocks_ * kBlock / cols) {
    // Divided by multiplying, as a call has time for one division, not for one per lane.
    constexpr unsigned kShift = 18;
    static_assert(kMostPackedCols * kBlock * kMostPackedCols < (1U << kShift));
    const auto reciprocal = static_cast<std::uint32_t>((1U << kShift) / cols + 1);
    const auto row_of = [=](std::uint32_t element) { return element * reciprocal >> kShift; };
    constexpr std::uint32_t kStep = Format::kInterleaved ? 2 : 1;
    constexpr std::uint32_t kSecond = Format::kInterleaved ? 1 : kLanes;
    for (std::uint32_t v = 0; v < blocks_; ++v) {
      const std::uint32_t first = v * std::uint32_t{kBlock};
      first_row_[v] = row_of(first);
      for (std::uint32_t lane = 0; lane < kLanes; ++lane) {
        const std::uint32_t a = first + lane * kStep;
        lanes_[v].a[lane] = static_cast<std::int32_t>(row_of(a) - first_row_[v]);
        lanes_[v].b[lane] = static_cast<std::int32_t>(row_of(a + kSecond) - first_row_[v]);
      }
    }
  }

  /// How many blocks it takes until rows and blocks begin together again, and how many rows.
  std::size_t Blocks() const { return blocks_; }
  std::size_t Rows() const { return rows_; }

  /// Of `of_rows`, which holds a number for every row, those of block `v`. A block of numbers can
  /// be read from the first one on.
  HWY_INLINE Block operator()(const float* of_rows, std::size_t v) const {
    if (one_) return LoadFromMemoryOrder<Format>(of_rows);
    const DF d;
    const float* const first = of_rows + first_row_[v];
    const Lanes& lanes = lanes_[v];
    if constexpr (kLanes == 1) {
      return {hn::Set(d, first[lanes.a[0]]), hn::Set(d, first[lanes.b[0]])};
    } else {
      // The rows of a block of two or more columns are no more than the lanes of a vector.
      const hn::RebindToSigned<DF> di;
      const VF rows = hn::LoadU(d, first);
      return {hn::TableLookupLanes(rows, hn::IndicesFromVec(d, hn::Load(di, lanes.a))),
              hn::TableLookupLanes(rows, hn::IndicesFromVec(d, hn::Load(di, lanes.b)))};
    }
  }

 private:
  /// The row of every lane, from the first row of the block on.
  struct Lanes {
    HWY_ALIGN std::int32_t a[kLanes];
    HWY_ALIGN std::int32_t b[kLanes];
  };

  bool one_;  // column: rows are elements
  std::size_t blocks_;
  std::size_t rows_;
  Lanes lanes_[kMostPackedCols];
  std::uint32_t first_row_[kMostPackedCols];
};

/// Rows packed into vectors, so many at a time that what is known of them stays in the first-level
/// cache: first the terms of the sums of every row, and the sums over rows, vector by vector; then
/// the terms of every row are added up, pair by pair; then dx, vector by vector.
template <class Policy, class Format>
class PackedRowPass {
  using Element = typename Format::Element;
  static constexpr std::size_t kChunk = 1024;  // elements, or kMaxBlock rows

 public:
  HWY_INLINE explicit PackedRowPass(const PackedRows& rows)
      : rows_(rows),
        chunk_rows_(std::max(kMaxBlock, kChunk / rows.cols / kMaxBlock * kMaxBlock)),
        spread_(rows.cols) {}

  void Run() {
    Output output(rows_);
    std::size_t at = rows_.first;
    for (std::size_t row = 0; row < rows_.rows; row += chunk_rows_) {
      const Chunk chunk = {row, std::min(chunk_rows_, rows_.rows - row), at};
      if (rows_.dx == nullptr) {
        at = Terms<false>(chunk);
      } else {
        at = Terms<true>(chunk);
        Means(chunk.rows);
        output.Takes(kStreamed) ? Gradient<kStreamed>(chunk, output)
        : output.Takes(kCached) ? Gradient<kCached>(chunk, output)
                                : Gradient<kCollected>(chunk, output);
      }
    }
    output.Finish();
  }

 private:
  /// Rows [first, first + rows), whose gamma and sums over rows begin `at` a block of theirs.
  struct Chunk {
    std::size_t first;
    std::size_t rows;
    std::size_t at;
  };

  /// Walks the blocks of a chunk.
  class Cursor {
   public:
    HWY_INLINE Cursor(const PackedRowPass& pass, const Chunk& chunk)
        : dy_(Elements<Format>(pass.rows_.dy) + chunk.first * pass.rows_.cols),
          x_(Elements<Format>(pass.rows_.x) + chunk.first * pass.rows_.cols),
          elements_(chunk.rows * pass.rows_.cols),
          period_(pass.rows_.period),
          at_(chunk.at),
          spread_(pass.spread_) {}

    HWY_INLINE bool Valid() const { return element_ < elements_; }
    HWY_INLINE void Next() {
      element_ += kBlock;
      at_ = at_ + kBlock == period_ ? 0 : at_ + kBlock;
      if (++block_ < spread_.Blocks()) return;
      block_ = 0;
      row_ += spread_.Rows();
    }

    /// Elements of the chunk before this block, and from it on.
    HWY_INLINE std::size_t Before() const { return element_; }
    HWY_INLINE std::size_t Left() const { return elements_ - element_; }
    /// Where the block has its gamma and its sums over rows.
    HWY_INLINE std::size_t At() const { return at_; }

    HWY_INLINE Block Dy() const { return Load(dy_ + element_); }
    HWY_INLINE Block X() const { return Load(x_ + element_); }

    /// What is at the same place `ahead` elements on is fetched.
    HWY_INLINE void Fetch(std::size_t ahead) const {
      Prefetch<Format>(dy_ + element_ + ahead);
      Prefetch<Format>(x_ + element_ + ahead);
    }

    /// What the rows of the block have: of each of `of_rows`, which begin with the chunk, one
    /// vector for each of the block.
    template <std::size_t kCount>
    HWY_INLINE void Spread(const float* const (&of_rows)[kCount], VF (&a)[kCount],
                           VF (&b)[kCount]) const {
      for (std::size_t i = 0; i < kCount; ++i) {
        const Block block = spread_(of_rows[i] + row_, block_);
        a[i] = block.a;
        b[i] = block.b;
      }
    }

   private:
    /// Behind the last element there are zeros.
    HWY_INLINE Block Load(const Element* from) const {
      if (HWY_LIKELY(Left() >= kBlock)) return Format::Load(from);
      Tail<Format> tail;
      return Format::Load(tail.Read(from, Left()));
    }

    const Element* dy_;
    const Element* x_;
    std::size_t elements_;
    std::size_t period_;
    std::size_t element_ = 0;
    std::size_t at_;
    std::size_t block_ = 0;  // of the spread
    std::size_t row_ = 0;    // from which the spread counts
    const RowSpread<Format>& spread_;
  };

  enum OutputKind { kCached, kStreamed, kCollected };

  /// Where dx goes.
  class Output {
   public:
    HWY_INLINE explicit Output(const PackedRows& rows)
        : kind_(!rows.stream                                                     ? kCached
                : reinterpret_cast<std::uintptr_t>(rows.dx) % HWY_MAX_BYTES == 0 ? kStreamed
                                                                                 : kCollected),
          dx_(Elements<Format>(rows.dx)),
          collected_(dx_, true) {}

    HWY_INLINE bool Takes(OutputKind kind) const { return kind == kind_; }

    /// Writes a block, or its first `count` elements. Takes(kKind).
    template <OutputKind kKind>
    HWY_INLINE void Store(const Block& dx, std::size_t count) {
      if constexpr (kKind == kCollected) {
        Format::template Store<StoreKind::kCached>(dx, collected_.Next());
        collected_.Add(std::min(count, kBlock));
      } else if (HWY_LIKELY(count >= kBlock)) {
        constexpr auto kStore = kKind == kStreamed ? StoreKind::kStreamed : StoreKind::kCached;
        Format::template Store<kStore>(dx, dx_);
        dx_ += kBlock;
      } else {
        Tail<Format> tail;
        Format::template Store<StoreKind::kCached>(dx, tail.elements);
        std::memcpy(dx_, tail.elements, count * sizeof(Element));
      }
    }

    HWY_INLINE void Finish() {
      if (kind_ == kCollected) collected_.Finish();
    }

   private:
    const OutputKind kind_;
    Element* dx_;
    CollectedOutput<Element, kBlock> collected_;
  };

  /// Adds to the sums over rows; with kWithRows, sets the terms of the rows' own, too. Returns
  /// where what is behind the chunk has its gamma.
  template <bool kWithRows>
  HWY_INLINE std::size_t Terms(const Chunk& chunk) {
    const DF d;
    const bool split = rows_.cols % 2 != 0;  // some pairs are of two rows
    const float* const gamma = rows_.gamma;
    const float* statistics[Policy::kStatistics];
    float* column_sums[Policy::kColumnSums];
    float* terms[Policy::kRowSums];
    float* evens[Policy::kRowSums];
    float* odds[Policy::kRowSums];
    for (std::size_t i = 0; i < Policy::kStatistics; ++i) {
      statistics[i] = rows_.statistics[i] + chunk.first;
    }
    for (std::size_t i = 0; i < Policy::kColumnSums; ++i) column_sums[i] = rows_.column_sums[i];
    for (std::size_t i = 0; i < Policy::kRowSums; ++i) {
      terms[i] = terms_[i];
      evens[i] = evens_[i];
      odds[i] = odds_[i];
    }
    Cursor cursor(*this, chunk);
    for (; cursor.Valid(); cursor.Next()) {
      const Block dy = cursor.Dy();
      const Block x = cursor.X();
      VF of_a[Policy::kStatistics];
      VF of_b[Policy::kStatistics];
      cursor.Spread(statistics, of_a, of_b);
      VF columns_a[Policy::kColumnSums];
      VF columns_b[Policy::kColumnSums];
      for (std::size_t i = 0; i < Policy::kColumnSums; ++i) {
        columns_a[i] = hn::LoadU(d, column_sums[i] + cursor.At());
        columns_b[i] = hn::LoadU(d, column_sums[i] + cursor.At() + kLanes);
      }
      Policy::AddToColumns(dy.a, x.a, of_a, columns_a);
      Policy::AddToColumns(dy.b, x.b, of_b, columns_b);
      for (std::size_t i = 0; i < Policy::kColumnSums; ++i) {
        hn::StoreU(columns_a[i], d, column_sums[i] + cursor.At());
        hn::StoreU(columns_b[i], d, column_sums[i] + cursor.At() + kLanes);
      }
      if constexpr (kWithRows) {
        const Block of_gamma = Float32Format::Load(gamma + cursor.At());
        VF terms_a[Policy::kRowSums];
        VF terms_b[Policy::kRowSums];
        for (std::size_t i = 0; i < Policy::kRowSums; ++i) terms_a[i] = terms_b[i] = hn::Zero(d);
        Policy::AddToRow(dy.a, x.a, of_gamma.a, of_a, terms_a);
        Policy::AddToRow(dy.b, x.b, of_gamma.b, of_b, terms_b);
        for (std::size_t i = 0; i < Policy::kRowSums; ++i) {
          const Block pairs = Pairs(terms_a[i], terms_b[i]);
          hn::StoreU(hn::Add(pairs.a, pairs.b), d, terms[i] + cursor.Before() / 2);
          if (!split) continue;
          hn::StoreU(pairs.a, d, evens[i] + cursor.Before() / 2);
          hn::StoreU(pairs.b, d, odds[i] + cursor.Before() / 2);
        }
      }
    }
    return cursor.At();
  }

  /// Elements at even and at odd places of a block, from processing order.
  static HWY_INLINE Block Pairs(VF a, VF b) {
#if HWY_TARGET != HWY_SCALAR
    if constexpr (!Format::kInterleaved) {
      return {hn::ConcatEven(DF(), b, a), hn::ConcatOdd(DF(), b, a)};
    }
#endif
    return {a, b};
  }

  /// Of the rows of a chunk, from their terms and in their place.
  HWY_INLINE void Means(std::size_t rows) {
    const DF d;
    const VF divisor = hn::Set(d, static_cast<float>(rows_.cols));
    const std::size_t whole_rows = RoundUp(rows, kMaxBlock);
    for (std::size_t i = 0; i < Policy::kRowSums; ++i) {
      float* const terms = terms_[i];
      for (float* const numbers : {terms, evens_[i], odds_[i]}) {  // of rows that are not there
        std::fill(numbers + DivideUp(rows * rows_.cols, 2), numbers + whole_rows * rows_.cols / 2,
                  0.0F);
      }
      rows_.cols % 2 == 0 ? AddEven(whole_rows, terms)
                          : AddOdd(whole_rows, evens_[i], odds_[i], terms);
      for (std::size_t row = 0; row < whole_rows; row += kLanes) {
        hn::StoreU(hn::Div(hn::LoadU(d, terms + row), divisor), d, terms + row);
      }
    }
  }

  /// The sum of every row, of even length, from those of its pairs and in their place.
  HWY_INLINE void AddEven(std::size_t rows, float* sums) const {
    std::size_t left = rows_.cols / 2;
    if (left % 8 == 0) left = AddTogether<8>(rows, left, sums);
    if (left % 4 == 0) left = AddTogether<4>(rows, left, sums);
    if (left % 2 == 0) left = AddTogether<2>(rows, left, sums);
    WithConstant<kMostPackedCols / 2>(left, [&](auto count) {
      constexpr std::size_t kCount = count();
      if constexpr (kCount > 1) {
        for (std::size_t row = 0; row < rows; ++row) {
          sums[row] = SumOf<kCount - 1>(sums + row * kCount + 1, sums[row * kCount]);
        }
      }
    });
  }

  /// Of `left` numbers of every row, every kCount are added up. Returns how many are left.
  template <std::size_t kCount>
  static HWY_INLINE std::size_t AddTogether(std::size_t rows, std::size_t left, float* sums) {
    const DF d;
    for (std::size_t at = 0; at < rows * left / kCount; at += kLanes) {
      VF vectors[kCount];
      for (std::size_t k = 0; k < kCount; ++k) {
        vectors[k] = hn::LoadU(d, sums + at * kCount + k * kLanes);
      }
      hn::StoreU(ReducedTogether<kCount>(vectors), d, sums + at);
    }
    return left / kCount;
  }

  /// The sum of every row, of odd length, in the place of those of pairs. The pair in the middle of
  /// two rows is of both.
  HWY_INLINE void AddOdd(std::size_t rows, const float* evens, const float* odds,
                         float* sums) const {
    WithConstant<kMostPackedCols / 2>(rows_.cols / 2, [&](auto half) {
      constexpr std::size_t kHalf = half();
      for (std::size_t pair = 0; pair < rows / 2; ++pair) {
        const std::size_t middle = pair * (2 * kHalf + 1) + kHalf;
        const float first = SumOf<kHalf>(sums + middle - kHalf, evens[middle]);
        const float second = SumOf<kHalf>(sums + middle + 1, odds[middle]);
        sums[2 * pair] = first;
        sums[2 * pair + 1] = second;
      }
    });
  }

  /// `sum` and kCount numbers.
  template <std::size_t kCount>
  static HWY_INLINE float SumOf(const float* numbers, float sum) {
#pragma GCC unroll kMostPackedCols
    for (std::size_t i = 0; i < kCount; ++i) sum += numbers[i];
    return sum;
  }

  /// Calls body with `n`, at most kMost, as a constant: loops of a few steps take no time to count.
  template <std::size_t kMost, class Body>
  static HWY_INLINE void WithConstant(std::size_t n, Body body) {
    if constexpr (kMost > 0) {
      if (n < kMost) return WithConstant<kMost - 1>(n, body);
    }
    body(std::integral_constant<std::size_t, kMost>());
  }

  /// Writes dx. What comes behind the chunk is fetched.
  template <OutputKind kKind>
  HWY_INLINE void Gradient(const Chunk& chunk, Output& output) const {
    const std::size_t ahead = chunk_rows_ * rows_.cols;
    const float* const gamma = rows_.gamma;
    const float* statistics[Policy::kStatistics];
    for (std::size_t i = 0; i < Policy::kStatistics; ++i) {
      statistics[i] = rows_.statistics[i] + chunk.first;
    }
    const float* means[Policy::kRowSums];
    for (std::size_t i = 0; i < Policy::kRowSums; ++i) means[i] = terms_[i];
    for (Cursor cursor(*this, chunk); cursor.Valid(); cursor.Next()) {
      cursor.Fetch(ahead);
      const Block dy = cursor.Dy();
      const Block x = cursor.X();
      VF of_a[Policy::kStatistics];
      VF of_b[Policy::kStatistics];
      cursor.Spread(statistics, of_a, of_b);
      VF means_a[Policy::kRowSums];
      VF means_b[Policy::kRowSums];
      cursor.Spread(means, means_a, means_b);
      const Block of_gamma = Float32Format::Load(gamma + cursor.At());
      output.template Store<kKind>({Policy::Gradient(dy.a, x.a, of_gamma.a, of_a, means_a),
                                    Policy::Gradient(dy.b, x.b, of_gamma.b, of_b, means_b)},
                                   cursor.Left());
    }
  }

  static constexpr std::size_t kRoom = kChunk + kMaxBlock;  // rows of a chunk, and to read behind
  static_assert(kMaxBlock * kMostPackedCols / 2 <= kChunk);

  const PackedRows rows_;
  const std::size_t chunk_rows_;
  const RowSpread<Format> spread_;
  // Of a chunk: the terms of every pair of elements, later a mean for every row; and where rows are
  // odd in length, those of elements at even and at odd places.
  HWY_ALIGN float terms_[Policy::kRowSums][kRoom];
  HWY_ALIGN float evens_[Policy::kRowSums][kRoom];
  HWY_ALIGN float odds_[Policy::kRowSums][kRoom];
};

template <class Policy, class Format>
void RunPackedRows(const PackedRows& rows) {
  PackedRowPass<Policy, Format>(rows).Run();
}

}  // namespace normgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
