// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/plane_pass.h"

#include <algorithm>
#include <cstdint>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/plane_pass.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/centred-inl.h"
#include "kernels/cpu/convert.h"
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

  /// Adds the first `lanes` lanes; the others may be NaN.
  HWY_INLINE void AddFirst(std::size_t lanes, VF dy_vector, VF xhat) {
    const auto exists = hn::FirstN(DF(), lanes);
    Add(dy_vector, hn::IfThenElseZero(exists, xhat));
  }
};

/// The sums of a run, block by block.
template <class Format>
class RunSums {
 public:
  HWY_INLINE RunSums(const PlaneRun& run, float mean, float rstd)
      : dy_(Elements<Format>(run.dy)),
        x_(Elements<Format>(run.x)),
        count_(run.count),
        mean_(hn::Set(DF(), mean)),
        rstd_(hn::Set(DF(), rstd)),
        a_{hn::Zero(DF()), hn::Zero(DF())},
        b_{hn::Zero(DF()), hn::Zero(DF())} {}

  /// Adds the block from element `i` on.
  HWY_INLINE void Add(std::size_t i) {
    const Block dy = Format::Load(dy_ + i);
    const Block x = Format::Load(x_ + i);
    a_.Add(dy.a, Normalized(x.a, mean_, rstd_));
    b_.Add(dy.b, Normalized(x.b, mean_, rstd_));
  }

  /// Asks for the block that lies kAheadBytes behind that from element `i` on.
  HWY_INLINE void FetchAhead(std::size_t i) const {
    constexpr std::size_t kAhead = kAheadBytes / sizeof(typename Format::Element);
    Prefetch<Format, 1>(dy_ + i + kAhead);
    Prefetch<Format, 1>(x_ + i + kAhead);
  }

  /// Adds the blocks from element `i` on, and what is left. The sums of all.
  HWY_INLINE PlaneSums Rest(std::size_t i) {
    for (; i + kBlock <= count_; i += kBlock) Add(i);
    if (i < count_) AddTail(i, count_ - i);
    const DF d;
    return {hn::GetLane(hn::SumOfLanes(d, hn::Add(a_.dy, b_.dy))),
            hn::GetLane(hn::SumOfLanes(d, hn::Add(a_.dy_xhat, b_.dy_xhat)))};
  }

 private:
  HWY_INLINE void AddTail(std::size_t i, std::size_t left) {
    Tail<Format> dy_tail;
    Tail<Format> x_tail;
    const Block dy = Format::Load(dy_tail.Read(dy_ + i, left));
    const Block x = Format::Load(x_tail.Read(x_ + i, left));
    const LaneCounts lanes = LanesOf<Format>(left);
    a_.AddFirst(lanes.a, dy.a, Normalized(x.a, mean_, rstd_));
    b_.AddFirst(lanes.b, dy.b, Normalized(x.b, mean_, rstd_));
  }

  const typename Format::Element* dy_;
  const typename Format::Element* x_;
  std::size_t count_;
  VF mean_;
  VF rstd_;
  VectorSums a_;  // of the first vector of every block
  VectorSums b_;  // of the second
};

template <class Format>
PlaneSums SumsOf(const PlaneRun& run, float mean, float rstd) {
  return RunSums<Format>(run, mean, rstd).Rest(0);
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

/// Coefficients in memory, one vector for each field, `stride` floats apart.
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

template <class Format, class Coefficients>
void GradientOfRun(const PlaneRun& run, const Coefficients& coefficients) {
  GradientOfRun<Format>(run, coefficients, [](std::size_t) HWY_ATTR {});
}

template <class Format>
PlaneSums SumsBeside(const PlaneRun& next, float mean, float rstd, const PlaneRun& run,
                     const PlaneCoefficients& coefficients) {
  RunSums<Format> sums(next, mean, rstd);
  const std::size_t done =
      GradientOfRun<Format>(run, Uniform(coefficients), [&](std::size_t i) HWY_ATTR {
        sums.FetchAhead(i);
        sums.Add(i);
      });
  return sums.Rest(done);
}

template <class Format>
void UniformGradient(const PlaneRun& run, const PlaneCoefficients& coefficients) {
  GradientOfRun<Format>(run, Uniform(coefficients));
}

PlaneKernels KernelsFor(DType data) {
  return WithFormat(data, [](auto format) -> PlaneKernels {
    using Format = decltype(format);
    return {&SumsOf<Format>, &UniformGradient<Format>, &SumsBeside<Format>};
  });
}

void GradientPerElement(const PlaneRun& run, const float* fields, std::size_t stride) {
  GradientOfRun<Float32Format>(run, PerElement{fields, stride});
}

}  // namespace normgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace normgrad::cpu {
namespace {

HWY_EXPORT(KernelsFor);
HWY_EXPORT(GradientPerElement);

constexpr std::size_t kFields = sizeof(PlaneCoefficients) / sizeof(float);

}  // namespace

PlaneKernels PlaneKernelsFor(DType data) { return HWY_DYNAMIC_DISPATCH(KernelsFor)(data); }

// A block that begins at the last element reads past it.
CoefficientVectors::CoefficientVectors(std::size_t count)
    : stride_(count + kMaxBlock), fields_(kFields * stride_) {}

void CoefficientVectors::Set(std::size_t first, std::size_t count, const PlaneCoefficients& c) {
  const float values[kFields] = {c.mean, c.rstd, c.scale, c.offset, c.slope, c.factor};
  for (std::size_t i = 0; i < kFields; ++i) {
    std::fill_n(fields_.begin() + static_cast<std::ptrdiff_t>(i * stride_ + first), count,
                values[i]);
  }
}

void CoefficientVectors::Gradient(const PlaneRun& run) const {
  HWY_DYNAMIC_DISPATCH(GradientPerElement)(run, fields_.data(), stride_);
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
      in_place_(InPlace(dy_) && InPlace(x_) && InPlace(dx_)),
      stream_(InPlace(dx_) &&
              ExceedsCaches(ElementCount(x.shape) *
                            (dy_.ElementBytes() + x_.ElementBytes() + dx_.ElementBytes()))) {}

bool PlaneTensors::InPlace(const RowView& view) const {
  return !view.Present() || (view.Columns().Dense() && view.Type() == common_);
}

std::size_t PlaneTensors::RunLimit(std::size_t count) const {
  return in_place_ ? count : std::min(count, kPieceElements);
}

PlaneTensors::Buffers::Buffers(const PlaneTensors& tensors)
    : bytes_(tensors.in_place_ ? 0 : 6 * kBytes) {}

std::byte* PlaneTensors::Buffers::Gathered(std::size_t tensor) {
  return bytes_.empty() ? nullptr : bytes_.data() + 2 * tensor * kBytes;
}

std::byte* PlaneTensors::Buffers::Converted(std::size_t tensor) {
  return bytes_.empty() ? nullptr : Gathered(tensor) + kBytes;
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
