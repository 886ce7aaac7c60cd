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
constexpr std::size_t kMinPlaneElements = 64;

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
              plane_ < kMinPlaneElements
                  ? DType::kFloat32
                  : PlaneTensors::CommonDType(launch.tensors[0], launch.tensors[1],
                                              launch.tensors[8])),
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
      const std::size_t pieces = DivideUp(channels_ * plane_, kPieceElements);
      const std::size_t part_samples =
          std::max({kMinUses, DivideUp(kMinPartElements, channels_ * plane_),
                    DivideUp(samples_ * pieces, kMaxParts)});
      const std::size_t parts = DivideUp(samples_, part_samples);
      pool->Run(pieces * parts, [&](std::size_t part) {
        const std::size_t first = part % parts * part_samples;
        ShortPlanes(part / parts * kPieceElements, first, std::min(samples_, first + part_samples));
      });
    } else {
      const std::size_t elements = samples_ * channels_ * plane_;
      const std::size_t part_elements =
          RoundUp(std::max(kMinPartElements, DivideUp(elements, kMaxParts)), kPieceElements);
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

  /// Elements [first, end), plane by plane.
  void LongPlanes(std::size_t first, std::size_t end) const {
    const PlaneKernels kernels = PlaneKernelsFor(data_.Common());
    PlaneTensors::Buffers buffers(data_);
    for (std::size_t i = first; i < end;) {
      const std::size_t left = std::min(end - i, plane_ - i % plane_);
      const PlaneRun run = data_.Read(i, data_.RunLimit(left), &buffers);
      kernels.gradient(run, coefficients_[i / plane_ % channels_]);
      data_.Write(run, i, &buffers);
      i += run.count;
    }
    hwy::FlushStream();
  }

  /// One piece of the elements of every sample in [first_sample, end_sample).
  void ShortPlanes(std::size_t first, std::size_t first_sample, std::size_t end_sample) const {
    const std::size_t sample_elements = channels_ * plane_;
    const std::size_t count = std::min(kPieceElements, sample_elements - first);
    CoefficientVectors vectors(count);
    for (std::size_t i = 0; i < count;) {
      const std::size_t at = first + i;
      const std::size_t length = std::min(count - i, plane_ - at % plane_);
      vectors.Set(i, length, coefficients_[at / plane_]);
      i += length;
    }
    PlaneTensors::Buffers buffers(data_);
    for (std::size_t sample = first_sample; sample < end_sample; ++sample) {
      const std::size_t at = sample * sample_elements + first;
      const PlaneRun run = data_.Read(at, count, &buffers);
      vectors.Gradient(run);
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
