// SPDX-License-Identifier: Apache-2.0
// Kernel of aclnnBatchNormElemtBackward. With n, the sum of counter, per element of a channel:
//
//   dx = (dy - sum_dy / n - (x - mean) * invstd * (invstd * sum_dy_xmu / n)) * (invstd * weight)
#include <algorithm>
#include <cstdint>

#include <hwy/cache_control.h>

#include "kernels/cpu/kernels.h"
#include "kernels/cpu/plane_pass.h"
#include "kernels/cpu/split.h"
#include "kernels/cpu/thread_pool.h"

namespace normgrad::cpu {
namespace {

// Shorter planes share vectors, which then have their coefficients from memory.
constexpr std::size_t kMinPlaneElements = 32;

// Filling such vectors takes as long as using them a few times.
constexpr std::size_t kMinUses = 64;

double Total(const KernelTensor& counter) {
  const RowView view(counter, counter.shape.size());
  double sum = 0;
  std::int64_t integers = 0;
  for (std::size_t i = 0; i < ElementCount(counter.shape); ++i) {
    const double value = Load(counter.dtype, view.Row(i));
    if (counter.dtype == DType::kInt32) {
      integers += static_cast<std::int64_t>(value);
    } else {
      sum += value;
    }
  }
  return sum + static_cast<double>(integers);
}

class Call {
 public:
  explicit Call(const Launch& launch)
      : mean_(launch.tensors[2]),
        invstd_(launch.tensors[3]),
        weight_(launch.tensors[4]),
        sum_dy_(launch.tensors[5]),
        sum_dy_xmu_(launch.tensors[6]),
        n_(Total(launch.tensors[7])),
        samples_(Count("N", launch.dims)),
        channels_(Count("C", launch.dims)),
        plane_(Count("*S", launch.dims)),
        data_(launch.tensors[0], launch.tensors[1], launch.tensors[8],
              PlaneTensors::CommonDType(launch.tensors[0], launch.tensors[1], launch.tensors[8])),
        coefficients_(reinterpret_cast<PlaneCoefficients*>(launch.workspace)) {}

  void Run() {
    const auto pool = Threads();
    constexpr std::size_t kPartChannels = 1024;
    pool->Run(DivideUp(channels_, kPartChannels), [&](std::size_t part) {
      const std::size_t first = part * kPartChannels;
      const std::size_t end = std::min(channels_, first + kPartChannels);
      for (std::size_t c = first; c < end; ++c) coefficients_[c] = Coefficients(c);
    });
    // Elements do not depend on each other: any split gives the same bits.
    if (plane_ < kMinPlaneElements) {
      const std::size_t period = PeriodElements();
      const std::size_t periods = DivideUp(samples_ * channels_ * plane_, period);
      const std::size_t pieces = DivideUp(period, kVectorElements);
      const std::size_t part_periods = std::max(
          {kMinUses, DivideUp(kMinPartElements, period), DivideUp(periods * pieces, kMaxParts)});
      const std::size_t parts = DivideUp(periods, part_periods);
      pool->Run(pieces * parts, [&](std::size_t part) {
        const std::size_t first = part % parts * part_periods;
        ShortPlanes(part / parts * kVectorElements, first, std::min(periods, first + part_periods));
      });
    } else {
      const std::size_t elements = samples_ * channels_ * plane_;
      const std::size_t part_elements =
          RoundUp(std::max(kMinPartElements, DivideUp(elements, kMaxParts)),
                  std::min(plane_, kPieceElements));
      pool->Run(DivideUp(elements, part_elements), [&](std::size_t part) {
        const std::size_t first = part * part_elements;
        LongPlanes(first, std::min(elements, first + part_elements));
      });
    }
  }

 private:
  PlaneCoefficients Coefficients(std::size_t c) const {
    const double invstd = static_cast<double>(invstd_[c]);
    return {
        .mean = mean_[c],
        .rstd = invstd_[c],
        .scale = 1,
        .offset = static_cast<float>(static_cast<double>(sum_dy_[c]) / n_),
        .slope = static_cast<float>(invstd * (static_cast<double>(sum_dy_xmu_[c]) / n_)),
        .factor = static_cast<float>(invstd * static_cast<double>(weight_[c])),
    };
  }

  /// Elements [first, end): part of a plane, or whole planes.
  void LongPlanes(std::size_t first, std::size_t end) const {
    const PlaneKernels kernels = PlaneKernelsFor(data_.Common());
    PlaneTensors::Buffers buffers(data_);
    const std::size_t limit = data_.RunLimit(end - first);
    for (std::size_t i = first; i < end;) {
      const std::size_t channel = i / plane_ % channels_;
      const std::size_t left = std::min(end - i, plane_ - i % plane_);
      const std::size_t planes =
          left < plane_
              ? 1
              : std::clamp<std::size_t>(std::min(limit, end - i) / plane_, 1, channels_ - channel);
      const PlaneRun run = data_.Read(i, std::min(planes * left, limit), &buffers);
      kernels.gradient(run, std::min(left, run.count), &coefficients_[channel]);
      data_.Write(run, i, &buffers);
      i += run.count;
    }
    hwy::FlushStream();
  }

  /// After how many elements the channels begin again: a sample, or several if they are short.
  std::size_t PeriodElements() const {
    const std::size_t sample = channels_ * plane_;
    return sample * std::max<std::size_t>(1, kVectorElements / 2 / sample);
  }

  /// Those elements of periods [first_period, end_period) that lie in one piece of each, which
  /// begins at its element `first`.
  void ShortPlanes(std::size_t first, std::size_t first_period, std::size_t end_period) const {
    const std::size_t elements = samples_ * channels_ * plane_;
    const std::size_t period = PeriodElements();
    const std::size_t count = std::min(kVectorElements, period - first);
    const CoefficientVectors vectors(data_.Common(), plane_, {coefficients_, channels_}, first,
                                     count);
    PlaneTensors::Buffers buffers(data_);
    for (std::size_t i = first_period; i < end_period; ++i) {
      const std::size_t at = i * period + first;
      if (at >= elements) break;
      const PlaneRun run = data_.Read(at, std::min(count, elements - at), &buffers);
      vectors.Gradient(run, data_.InPlace() ? period : 0);
      data_.Write(run, at, &buffers);
    }
    hwy::FlushStream();
  }

  Scalars mean_;
  Scalars invstd_;
  Scalars weight_;
  Scalars sum_dy_;
  Scalars sum_dy_xmu_;
  double n_;
  std::size_t samples_;
  std::size_t channels_;
  std::size_t plane_;
  PlaneTensors data_;
  PlaneCoefficients* coefficients_;  // the workspace, one per channel
};

std::uint64_t WorkspaceBytes(const Launch& launch) {
  if (Count("N C *S", launch.dims) == 0) return 0;
  return Count("C", launch.dims) * sizeof(PlaneCoefficients);
}

void Run(const Launch& launch) {
  if (Count("N C *S", launch.dims) > 0) Call(launch).Run();
}

}  // namespace

constinit const Kernel kBatchNormElemtBackward = {
    .name = "batch_norm_elemt_backward",
    .workspace_bytes = WorkspaceBytes,
    .launch = Run,
    .prompt = true,
};

}  // namespace normgrad::cpu
