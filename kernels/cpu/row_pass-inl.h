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
#include "kernels/cpu/row_pass.h"

HWY_BEFORE_NAMESPACE();
namespace normgrad::cpu::HWY_NAMESPACE {

/// How much of a row is handled before it is the other row's turn.
inline constexpr std::size_t kTurnBytes = std::size_t{1} << 10;

/// The sums of a row while its blocks are walked.
template <class Policy, class Format>
class Accumulator {
 public:
  HWY_INLINE Accumulator(const RowSlice& row, const RowStep& step)
      : dy_(Elements<Format>(row.dy)), x_(Elements<Format>(row.x)), gamma_(step.gamma) {
    for (std::size_t i = 0; i < Policy::kStatistics; ++i) {
      statistics_[i] = hn::Set(DF(), row.statistics[i]);
    }
    for (std::size_t i = 0; i < Policy::kRowSums; ++i) {
      sums_a_[i] = hn::Zero(DF());
      sums_b_[i] = hn::Zero(DF());
    }
    for (std::size_t i = 0; i < Policy::kColumnSums; ++i) column_sums_[i] = step.column_sums[i];
  }

  /// Takes the block of columns from `c` on.
  HWY_INLINE void Add(std::size_t c) {
    Prefetch<Format>(dy_ + c);
    Prefetch<Format>(x_ + c);
    Add(dy_ + c, x_ + c, c);
  }

  /// As Add(), for a block of which only the first `count` elements exist. The others are zeros,
  /// and yet their share of the row's sums need not be: zero times an infinite statistic is NaN.
  HWY_INLINE void AddTail(std::size_t c, std::size_t count) {
    const Accumulator before = *this;
    Tail<Format> dy_tail;
    Tail<Format> x_tail;
    Add(dy_tail.Read(dy_ + c, count), x_tail.Read(x_ + c, count), c);
    const LaneCounts lanes = LanesOf<Format>(count);
    const auto exists_a = hn::FirstN(DF(), lanes.a);
    const auto exists_b = hn::FirstN(DF(), lanes.b);
    for (std::size_t i = 0; i < Policy::kRowSums; ++i) {
      sums_a_[i] = hn::IfThenElse(exists_a, sums_a_[i], before.sums_a_[i]);
      sums_b_[i] = hn::IfThenElse(exists_b, sums_b_[i], before.sums_b_[i]);
    }
  }

  HWY_INLINE void Finish(RowSlice& row) const {
    for (std::size_t i = 0; i < Policy::kRowSums; ++i) {
      row.sums[i] = hn::GetLane(hn::SumOfLanes(DF(), hn::Add(sums_a_[i], sums_b_[i])));
    }
  }

 private:
  using Element = typename Format::Element;

  HWY_INLINE void Add(const Element* dy, const Element* x, std::size_t c) {
    const DF d;
    const Block gamma_block = Float32Format::Load(gamma_ + c);
    const Block dy_block = Format::Load(dy);
    const Block x_block = Format::Load(x);
    VF columns_a[Policy::kColumnSums];
    VF columns_b[Policy::kColumnSums];
    for (std::size_t i = 0; i < Policy::kColumnSums; ++i) {
      columns_a[i] = hn::LoadU(d, column_sums_[i] + c);
      columns_b[i] = hn::LoadU(d, column_sums_[i] + c + kLanes);
    }
    Policy::Accumulate(dy_block.a, x_block.a, gamma_block.a, statistics_, sums_a_, columns_a);
    Policy::Accumulate(dy_block.b, x_block.b, gamma_block.b, statistics_, sums_b_, columns_b);
    for (std::size_t i = 0; i < Policy::kColumnSums; ++i) {
      hn::StoreU(columns_a[i], d, column_sums_[i] + c);
      hn::StoreU(columns_b[i], d, column_sums_[i] + c + kLanes);
    }
  }

  const Element* dy_;
  const Element* x_;
  const float* gamma_;
  VF statistics_[Policy::kStatistics];
  VF sums_a_[Policy::kRowSums];  // of the first vector of every block
  VF sums_b_[Policy::kRowSums];  // of the second
  float* column_sums_[Policy::kColumnSums];
};

/// The gradient of a row while its blocks are walked.
template <class Policy, class Format, StoreKind kKind>
class Differentiator {
 public:
  HWY_INLINE Differentiator(const RowSlice& row, const RowStep& step)
      : dy_(Elements<Format>(row.dy)),
        x_(Elements<Format>(row.x)),
        dx_(Elements<Format>(row.dx)),
        gamma_(step.gamma) {
    for (std::size_t i = 0; i < Policy::kStatistics; ++i) {
      statistics_[i] = hn::Set(DF(), row.statistics[i]);
    }
    for (std::size_t i = 0; i < Policy::kRowSums; ++i) means_[i] = hn::Set(DF(), row.sums[i]);
  }

  /// Writes the block of columns from `c` on.
  HWY_INLINE void Write(std::size_t c) const {
    Format::template Store<kKind>(Gradient(dy_ + c, x_ + c, c), dx_ + c);
  }

  /// As Write(), for a block of which only the first `count` elements exist.
  HWY_INLINE void WriteTail(std::size_t c, std::size_t count) const {
    Tail<Format> dy_tail;
    Tail<Format> x_tail;
    Tail<Format> dx_tail;
    Format::template Store<StoreKind::kCached>(
        Gradient(dy_tail.Read(dy_ + c, count), x_tail.Read(x_ + c, count), c), dx_tail.elements);
    std::memcpy(dx_ + c, dx_tail.elements, count * sizeof(Element));
  }

 private:
  using Element = typename Format::Element;

  HWY_INLINE Block Gradient(const Element* dy, const Element* x, std::size_t c) const {
    const Block gamma_block = Float32Format::Load(gamma_ + c);
    const Block dy_block = Format::Load(dy);
    const Block x_block = Format::Load(x);
    return {Policy::Gradient(dy_block.a, x_block.a, gamma_block.a, statistics_, means_),
            Policy::Gradient(dy_block.b, x_block.b, gamma_block.b, statistics_, means_)};
  }

  const Element* dy_;
  const Element* x_;
  Element* dx_;
  const float* gamma_;
  VF statistics_[Policy::kStatistics];
  VF means_[Policy::kRowSums];
};

template <class Policy, class Format, StoreKind kKind, bool kAccumulate, bool kDifferentiate>
void TakeStep(const RowStep& step) {
  // What is not asked for is built from an empty row and never used.
  const RowSlice none;
  Accumulator<Policy, Format> accumulator(kAccumulate ? *step.accumulated : none, step);
  const Differentiator<Policy, Format, kKind> differentiator(
      kDifferentiate ? *step.differentiated : none, step);
  constexpr std::size_t kTurn = RoundUp(kTurnBytes / sizeof(typename Format::Element), kBlock);
  const std::size_t cols = step.cols;
  const std::size_t whole = cols / kBlock * kBlock;
  for (std::size_t first = 0; first < whole; first += kTurn) {
    const std::size_t end = std::min(whole, first + kTurn);
    if constexpr (kAccumulate) {
      for (std::size_t c = first; c < end; c += kBlock) accumulator.Add(c);
    }
    if constexpr (kDifferentiate) {
      for (std::size_t c = first; c < end; c += kBlock) differentiator.Write(c);
    }
  }
  if (whole < cols) {
    if constexpr (kAccumulate) accumulator.AddTail(whole, cols - whole);
    if constexpr (kDifferentiate) differentiator.WriteTail(whole, cols - whole);
  }
  if constexpr (kAccumulate) accumulator.Finish(*step.accumulated);
}

template <class Policy, class Format>
void Step(const RowStep& step) {
  const bool accumulate = step.accumulated != nullptr;
  if (step.differentiated == nullptr) {
    if (accumulate) TakeStep<Policy, Format, StoreKind::kCached, true, false>(step);
    return;
  }
  const auto address = reinterpret_cast<std::uintptr_t>(step.differentiated->dx);
  if (step.stream && address % HWY_MAX_BYTES == 0) {
    accumulate ? TakeStep<Policy, Format, StoreKind::kStreamed, true, true>(step)
               : TakeStep<Policy, Format, StoreKind::kStreamed, false, true>(step);
  } else {
    accumulate ? TakeStep<Policy, Format, StoreKind::kCached, true, true>(step)
               : TakeStep<Policy, Format, StoreKind::kCached, false, true>(step);
  }
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
    return {&Step<Policy, Data>, &LoadScale<Data>, &StoreSums<Data>};
  });
}

}  // namespace normgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
