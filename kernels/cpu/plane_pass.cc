// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/plane_pass.h"

#include <algorithm>
#include <cstdint>
#include <span>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/plane_pass.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/caches.h"
#include "kernels/cpu/centred-inl.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/copy-inl.h"
#include "kernels/cpu/split.h"

HWY_BEFORE_NAMESPACE();
namespace normgrad::cpu::HWY_NAMESPACE {

/// Sums of one vector of every block.
struct VectorSums {
  VF dy;
  VF dy_xhat;

  HWY_INLINE void Add(VF dy_vector, VF xhat) {
    dy = hn::Add(dy, dy_vector);
    dy_xhat = hn::MulAdd(dy_vector, xhat, dy_xhat);
  }

  /// Adds the first `lanes` lanes; in the others there may be anything.
  HWY_INLINE void AddFirst(std::size_t lanes, VF dy_vector, VF xhat) {
    const auto exists = hn::FirstN(DF(), lanes);
    Add(hn::IfThenElseZero(exists, dy_vector), hn::IfThenElseZero(exists, xhat));
  }
};

/// The sums of one plane, block by block.
template <class Format>
class SumsOfPlane {
  using Element = typename Format::Element;

 public:
  HWY_INLINE explicit SumsOfPlane(const PlaneCoefficients& coefficients)
      : mean_(hn::Set(DF(), coefficients.mean)),
        rstd_(hn::Set(DF(), coefficients.rstd)),
        a_{hn::Zero(DF()), hn::Zero(DF())},
        b_{hn::Zero(DF()), hn::Zero(DF())} {}

  HWY_INLINE void Add(const Element* dy, const Element* x) {
    const Block dy_block = Format::Load(dy);
    const Block x_block = Format::Load(x);
    a_.Add(dy_block.a, Normalized(x_block.a, mean_, rstd_));
    b_.Add(dy_block.b, Normalized(x_block.b, mean_, rstd_));
  }

  /// Adds elements [first, end). `readable`: of the last block, all can be read.
  HWY_INLINE void Add(const Element* dy, const Element* x, std::size_t first, std::size_t end,
                      bool readable) {
    std::size_t i = first;
    for (; i + kBlock <= end; i += kBlock) Add(dy + i, x + i);
    if (i == end) return;
    if (readable) return AddFirst(end - i, Format::Load(dy + i), Format::Load(x + i));
    Tail<Format> dy_tail;
    Tail<Format> x_tail;
    AddFirst(end - i, Format::Load(dy_tail.Read(dy + i, end - i)),
             Format::Load(x_tail.Read(x + i, end - i)));
  }

  HWY_INLINE PlaneSums Total() const {
    const DF d;
    return {hn::GetLane(hn::SumOfLanes(d, hn::Add(a_.dy, b_.dy))),
            hn::GetLane(hn::SumOfLanes(d, hn::Add(a_.dy_xhat, b_.dy_xhat)))};
  }

 private:
  /// Adds the first `count` elements of a block.
  HWY_INLINE void AddFirst(std::size_t count, const Block& dy, const Block& x) {
    const LaneCounts lanes = LanesOf<Format>(count);
    a_.AddFirst(lanes.a, dy.a, Normalized(x.a, mean_, rstd_));
    b_.AddFirst(lanes.b, dy.b, Normalized(x.b, mean_, rstd_));
  }

  VF mean_;
  VF rstd_;
  VectorSums a_;  // of the first vector of every block
  VectorSums b_;  // of the second
};

/// Whether the last block of the plane that begins at element `first` of a run can be read, with
/// what lies behind the plane.
HWY_INLINE bool IsReadable(const PlaneRun& run, std::size_t first, std::size_t plane) {
  return first + (plane + kBlock - 1) / kBlock * kBlock <= run.count + run.spare;
}

template <class Format>
void SumsOf(const PlaneRun& run, std::size_t plane, const PlaneCoefficients* coefficients,
            PlaneSums* sums) {
  const auto* const dy = Elements<Format>(run.dy);
  const auto* const x = Elements<Format>(run.x);
  for (std::size_t first = 0; first < run.count; first += plane) {
    SumsOfPlane<Format> of_plane(*coefficients++);
    of_plane.Add(dy + first, x + first, 0, plane, IsReadable(run, first, plane));
    *sums++ = of_plane.Total();
  }
}

HWY_INLINE VF GradientOf(VF dy, VF x, VF mean, VF rstd, VF scale, VF offset, VF slope, VF factor) {
  return CentredGradient(dy, Normalized(x, mean, rstd), scale, offset, slope, factor);
}

/// Coefficients that are the same for every element.
struct Uniform {
  VF mean, rstd, scale, offset, slope, factor;

  HWY_INLINE explicit Uniform(const PlaneCoefficients& c)
      : mean(hn::Set(DF(), c.mean)),
        rstd(hn::Set(DF(), c.rstd)),
        scale(hn::Set(DF(), c.scale)),
        offset(hn::Set(DF(), c.offset)),
        slope(hn::Set(DF(), c.slope)),
        factor(hn::Set(DF(), c.factor)) {}

  HWY_INLINE Block Gradient(const Block& dy, const Block& x, std::size_t) const {
    return {GradientOf(dy.a, x.a, mean, rstd, scale, offset, slope, factor),
            GradientOf(dy.b, x.b, mean, rstd, scale, offset, slope, factor)};
  }
};

/// Coefficients in memory, one vector for each field, `stride` floats apart, in processing order.
struct PerElement {
  const float* fields;
  std::size_t stride;

  HWY_INLINE VF Gradient(VF dy, VF x, const float* at) const {
    const DF d;
    return GradientOf(dy, x, hn::LoadU(d, at), hn::LoadU(d, at + stride),
                      hn::LoadU(d, at + 2 * stride), hn::LoadU(d, at + 3 * stride),
                      hn::LoadU(d, at + 4 * stride), hn::LoadU(d, at + 5 * stride));
  }

  HWY_INLINE Block Gradient(const Block& dy, const Block& x, std::size_t element) const {
    return {Gradient(dy.a, x.a, fields + element), Gradient(dy.b, x.b, fields + element + kLanes)};
  }
};

/// dx of elements [first, first + count) of a run, fewer than a block.
template <class Format, class Coefficients>
HWY_INLINE void GradientOfPart(const PlaneRun& run, const Coefficients& coefficients,
                               std::size_t first, std::size_t count) {
  Tail<Format> dy;
  Tail<Format> x;
  Tail<Format> dx;
  const Block dy_block = Format::Load(dy.Read(Elements<Format>(run.dy) + first, count));
  const Block x_block = Format::Load(x.Read(Elements<Format>(run.x) + first, count));
  Format::template Store<StoreKind::kCached>(coefficients.Gradient(dy_block, x_block, first),
                                             dx.elements);
  std::memcpy(Elements<Format>(run.dx) + first, dx.elements, count * sizeof *dx.elements);
}

/// dx of the whole blocks from element `first` on, each after beside(i), i counting the elements
/// done before. Returns where they end. Takes a copy of the coefficients, which a store might
/// change for all the compiler knows: each would be loaded again for every vector.
template <class Format, StoreKind kKind, class Coefficients, class Beside>
HWY_INLINE std::size_t GradientOfBlocks(const PlaneRun& run, const Coefficients coefficients,
                                        std::size_t first, Beside beside) {
  const auto* const dy = Elements<Format>(run.dy);
  const auto* const x = Elements<Format>(run.x);
  auto* const dx = Elements<Format>(run.dx);
  const std::size_t count = run.count;
  std::size_t i = first;
  for (; i + kBlock <= count; i += kBlock) {
    beside(i - first);
    Format::template Store<kKind>(
        coefficients.Gradient(Format::Load(dy + i), Format::Load(x + i), i), dx + i);
  }
  return i;
}

/// Fetches what comes `next` elements behind a run. Not a lambda: gcc 12 takes a function that only
/// prefetches for one without effects, and drops its calls unless it is inlined early.
template <class Format>
class Fetch {
 public:
  HWY_INLINE Fetch(const PlaneRun& run, std::size_t next)
      : dy_(Elements<Format>(run.dy) + next), x_(Elements<Format>(run.x) + next) {}

  HWY_INLINE void operator()(std::size_t i) const {
    Prefetch<Format>(dy_ + i);
    Prefetch<Format>(x_ + i);
  }

 private:
  const typename Format::Element* dy_;
  const typename Format::Element* x_;
};

/// dx of a run; beside(i) as above. Returns how many elements went by in whole blocks.
template <class Format, class Coefficients, class Beside>
HWY_INLINE std::size_t GradientOfRun(const PlaneRun& run, const Coefficients& coefficients,
                                     Beside beside) {
  std::size_t first = 0;
  std::size_t end = 0;
  if (run.stream) {
    // Streaming stores need whole aligned vectors; what is left at both ends goes through the
    // cache.
    constexpr std::size_t kVectorBytes = kLanes * sizeof(float);
    const std::size_t misaligned = reinterpret_cast<std::uintptr_t>(run.dx) % kVectorBytes;
    if (misaligned != 0) {
      first = std::min((kVectorBytes - misaligned) / sizeof(typename Format::Element), run.count);
      GradientOfPart<Format>(run, coefficients, 0, first);
    }
    end = GradientOfBlocks<Format, StoreKind::kStreamed>(run, coefficients, first, beside);
  } else {
    end = GradientOfBlocks<Format, StoreKind::kCached>(run, coefficients, first, beside);
  }
  if (end < run.count) GradientOfPart<Format>(run, coefficients, end, run.count - end);
  return end - first;
}

/// The plane that begins at element `first` of a run.
template <class Format>
HWY_INLINE PlaneRun PlaneAt(const PlaneRun& run, std::size_t first, std::size_t plane) {
  const std::size_t bytes = first * sizeof(typename Format::Element);
  return {run.dy + bytes, run.x + bytes, run.dx + bytes, plane, 0, run.stream};
}

/// dx of elements [0, count) at `dy` and `x` to `dx`, which has room for whole blocks. `readable`:
/// of the last block, all can be read.
template <class Format, class Coefficients>
HWY_INLINE void GradientTo(typename Format::Element* dx, const typename Format::Element* dy,
                           const typename Format::Element* x, std::size_t count, bool readable,
                           const Coefficients coefficients) {
  const auto block = [&](const typename Format::Element* from_dy,
                         const typename Format::Element* from_x, std::size_t i) HWY_ATTR {
    Format::template Store<StoreKind::kCached>(
        coefficients.Gradient(Format::Load(from_dy), Format::Load(from_x), i), dx + i);
  };
  const std::size_t direct = readable ? count : count / kBlock * kBlock;
  std::size_t i = 0;
  for (; i < direct; i += kBlock) block(dy + i, x + i, i);
  if (i >= count) return;
  Tail<Format> dy_tail;
  Tail<Format> x_tail;
  block(dy_tail.Read(dy + i, count - i), x_tail.Read(x + i, count - i), i);
}

/// The longest plane whose dx is collected; in a longer one, two ends that take longer do not
/// matter.
inline constexpr std::size_t kMostCollected = 1024;

/// dx of planes whose ends are not those of vectors.
template <class Format>
HWY_INLINE void CollectGradient(const PlaneRun& run, std::size_t plane,
                                const PlaneCoefficients* coefficients) {
  CollectedOutput<typename Format::Element, kMostCollected> dx(Elements<Format>(run.dx),
                                                               run.stream);
  for (std::size_t first = 0; first < run.count; first += plane) {
    GradientTo<Format>(dx.Next(), Elements<Format>(run.dy) + first, Elements<Format>(run.x) + first,
                       plane, IsReadable(run, first, plane), Uniform(*coefficients++));
    dx.Add(plane);
  }
  dx.Finish();
}

/// Whether the first element of dx can begin a vector that goes past the caches.
HWY_INLINE bool IsAligned(const PlaneRun& run) {
  return reinterpret_cast<std::uintptr_t>(run.dx) % HWY_MAX_BYTES == 0;
}

template <class Format>
void UniformGradient(const PlaneRun& run, std::size_t plane,
                     const PlaneCoefficients* coefficients) {
  const bool ends_with_blocks = plane % kBlock == 0 && (!run.stream || IsAligned(run));
  if (!ends_with_blocks && plane <= kMostCollected) {
    return CollectGradient<Format>(run, plane, coefficients);
  }
  for (std::size_t first = 0; first < run.count; first += plane) {
    GradientOfRun<Format>(PlaneAt<Format>(run, first, plane), Uniform(*coefficients++),
                          [](std::size_t) HWY_ATTR {});
  }
}

template <class Format, CacheLevel kLevel>
void SumsBeside(const PlaneRun& next, std::size_t plane, const PlaneCoefficients* of_next,
                PlaneSums* sums, const PlaneRun& run, const PlaneCoefficients* coefficients) {
  constexpr std::size_t kAhead = kFetchAheadBytes / sizeof(typename Format::Element);
  for (std::size_t first = 0; first < run.count; first += plane) {
    const auto* const dy = Elements<Format>(next.dy) + first;
    const auto* const x = Elements<Format>(next.x) + first;
    SumsOfPlane<Format> of_plane(*of_next++);
    const std::size_t done = GradientOfRun<Format>(
        PlaneAt<Format>(run, first, plane), Uniform(*coefficients++), [&](std::size_t i) HWY_ATTR {
          Prefetch<Format, kLevel>(dy + i + kAhead);
          Prefetch<Format, kLevel>(x + i + kAhead);
          of_plane.Add(dy + i, x + i);
        });
    of_plane.Add(dy, x, done, plane, IsReadable(next, first, plane));
    *sums++ = of_plane.Total();
  }
}

PlaneKernels KernelsFor(DType data) {
  return WithFormat(data, [](auto format) -> PlaneKernels {
    using Format = decltype(format);
    // Measured: from a large first-level cache a group takes less time.
    return {&SumsOf<Format>, &UniformGradient<Format>,
            HasLargeFirstLevelCache() ? &SumsBeside<Format, CacheLevel::kFirst>
                                      : &SumsBeside<Format, CacheLevel::kSecond>};
  });
}

void GradientPerElement(DType data, const PlaneRun& run, std::size_t next, const float* fields,
                        std::size_t stride) {
  WithFormat(data, [&](auto format) HWY_ATTR {
    using Format = decltype(format);
    const PerElement coefficients{fields, stride};
    // Coefficients are sorted for blocks that begin with the run.
    if (Format::kInterleaved && run.stream && !IsAligned(run)) {
      CollectedOutput<typename Format::Element, kVectorElements> dx(Elements<Format>(run.dx), true);
      GradientTo<Format>(dx.Next(), Elements<Format>(run.dy), Elements<Format>(run.x), run.count,
                         IsReadable(run, 0, run.count), coefficients);
      dx.Add(run.count);
      dx.Finish();
    } else {
      GradientOfRun<Format>(run, coefficients, Fetch<Format>(run, next));
    }
  });
}

/// From memory order into processing order; `count` is one of whole blocks.
void SortFields(DType data, std::size_t count, float* fields) {
  WithFormat(data, [&](auto format) HWY_ATTR {
    for (std::size_t i = 0; i < count; i += kBlock) {
      Float32Format::Store<StoreKind::kCached>(LoadFromMemoryOrder<decltype(format)>(fields + i),
                                               fields + i);
    }
  });
}

}  // namespace normgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace normgrad::cpu {
namespace {

HWY_EXPORT(KernelsFor);
HWY_EXPORT(GradientPerElement);
HWY_EXPORT(SortFields);

constexpr std::size_t kFields = sizeof(PlaneCoefficients) / sizeof(float);

}  // namespace

PlaneKernels PlaneKernelsFor(DType data) { return HWY_DYNAMIC_DISPATCH(KernelsFor)(data); }

CoefficientVectors::CoefficientVectors(DType data, std::size_t plane,
                                       std::span<const PlaneCoefficients> planes, std::size_t first,
                                       std::size_t count)
    : data_(data),
      // One block more: fields that lie 4 KiB apart share their places in the first-level cache.
      stride_(RoundUp(count, kMaxBlock) + kMaxBlock),
      fields_(kFields * stride_ * sizeof(float)) {
  auto* const fields = fields_.As<float>();
  std::fill_n(fields, kFields * stride_, 0.0F);
  std::size_t p = first / plane % planes.size();
  std::size_t left = plane - first % plane;
  for (std::size_t i = 0; i < count; ++i) {
    const PlaneCoefficients& c = planes[p];
    const float values[kFields] = {c.mean, c.rstd, c.scale, c.offset, c.slope, c.factor};
    for (std::size_t field = 0; field < kFields; ++field) {
      fields[field * stride_ + i] = values[field];
    }
    if (--left > 0) continue;
    left = plane;
    p = p + 1 == planes.size() ? 0 : p + 1;
  }
  HWY_DYNAMIC_DISPATCH(SortFields)(data_, kFields * stride_, fields);
}

void CoefficientVectors::Gradient(const PlaneRun& run, std::size_t next) const {
  HWY_DYNAMIC_DISPATCH(GradientPerElement)(data_, run, next, fields_.As<float>(), stride_);
}

DType PlaneTensors::CommonDType(const KernelTensor& dy, const KernelTensor& x,
                                const KernelTensor& dx) {
  const bool same = dy.dtype == x.dtype && (!dx.present() || dx.dtype == x.dtype);
  return same ? x.dtype : DType::kFloat32;
}

PlaneTensors::PlaneTensors(const KernelTensor& dy, const KernelTensor& x, const KernelTensor& dx,
                           DType common)
    : dy_(dy, 0),
      x_(x, 0),
      dx_(dx, 0),
      common_(common),
      elements_(ElementCount(x.shape)),
      in_place_(InPlace(dy_) && InPlace(x_) && InPlace(dx_)),
      stream_(InPlace(dx_) && ExceedsCaches(elements_ * (dy_.ElementBytes() + x_.ElementBytes() +
                                                         dx_.ElementBytes()))) {}

bool PlaneTensors::InPlace(const RowView& view) const {
  return !view.Present() || (view.Columns().Dense() && view.Type() == common_);
}

std::size_t PlaneTensors::RunLimit(std::size_t count) const {
  return in_place_ ? count : std::min(count, kPieceElements);
}

PlaneTensors::Buffers::Buffers(const PlaneTensors& tensors)
    : scratch_(tensors.in_place_ ? 0 : 6 * kBytes) {}

std::byte* PlaneTensors::Buffers::Gathered(std::size_t tensor) {
  return scratch_.data() == nullptr ? nullptr : scratch_.data() + 2 * tensor * kBytes;
}

std::byte* PlaneTensors::Buffers::Converted(std::size_t tensor) {
  return scratch_.data() == nullptr ? nullptr : Gathered(tensor) + kBytes;
}

const std::byte* PlaneTensors::Read(const RowView& view, std::size_t first, std::size_t count,
                                    std::byte* gathered, std::byte* converted) const {
  const std::byte* const elements = view.Read(0, first, count, gathered);
  if (view.Type() == common_) return elements;
  Widen(view.Type(), elements, count, reinterpret_cast<float*>(converted));
  return converted;
}

PlaneRun PlaneTensors::Read(std::size_t first, std::size_t count, Buffers* buffers) const {
  PlaneRun run;
  run.dy = Read(dy_, first, count, buffers->Gathered(0), buffers->Converted(0));
  run.x = Read(x_, first, count, buffers->Gathered(1), buffers->Converted(1));
  run.dx =
      dx_.Type() == common_ ? dx_.Target(0, first, buffers->Gathered(2)) : buffers->Converted(2);
  run.count = count;
  run.spare = in_place_ ? elements_ - first - count : 0;
  run.stream = stream_;
  return run;
}

void PlaneTensors::Write(const PlaneRun& run, std::size_t first, Buffers* buffers) const {
  std::byte* const elements = dx_.Target(0, first, buffers->Gathered(2));
  if (dx_.Type() != common_) {
    Narrow(reinterpret_cast<const float*>(run.dx), run.count, dx_.Type(), elements);
  }
  dx_.Write(0, first, run.count, elements);
}

}  // namespace normgrad::cpu
#endif  // HWY_ONCE
