// SPDX-License-Identifier: Apache-2.0
// float64 reference of aclnnGroupNormBackward; symbols as in src/ops/group_norm_backward.cc.
//
//   forward   mean, rstd as those of layer norm, over the C / G * S adjacent elements of a group
//             y = (input - mean) * rstd * gamma + beta
//   backward  set_gradient.h and scale_gradient.h
#include "golden/definition.h"
#include "golden/set_oracle.h"
#include "ops/operators.h"

namespace normgrad {
namespace {

// Indices into Operator::params.
enum : std::size_t {
  kGradOut,
  kInput,
  kMean,
  kRstd,
  kGamma,
  kN,
  kC,
  kHxW,
  kGroup,
  kOutputMask,
  kGradInput,
  kGradGamma,
  kGradBeta
};

Normalisation CallOf(const Dims& dims, std::span<const HostTensor> tensors) {
  const std::size_t channels = Count("C", dims), groups = Count("G", dims);
  const std::size_t pixels = Count("*S", dims);
  return {.tensors = tensors,
          .dy = kGradOut,
          .x = kInput,
          .mean = kMean,
          .rstd = kRstd,
          .scale = kGamma,
          .dx = kGradInput,
          .dscale = kGradGamma,
          .dbias = kGradBeta,
          .sets = {channels / groups * pixels, Count("N G", dims)},
          .scales = {pixels, channels},
          .elements = Count("N C *S", dims)};
}

double Element(const Dims& dims, std::span<const HostTensor> tensors, std::size_t param,
               std::size_t index) {
  const Elements at(tensors);
  const std::size_t samples = Count("N", dims), channels = Count("C", dims);
  const std::size_t groups = Count("G", dims), pixels = Count("*S", dims);
  const std::size_t size = channels / groups * pixels;  // of a group
  const auto xhat = [&](std::size_t i) {
    return (at(kInput, i) - at(kMean, i / size)) * at(kRstd, i / size);
  };
  if (param != kGradInput) {
    Extended sum = 0;
    for (std::size_t n = 0; n < samples; ++n) {
      const std::size_t plane = (n * channels + index) * pixels;
      for (std::size_t i = plane; i < plane + pixels; ++i) {
        sum += param == kGradBeta ? at(kGradOut, i) : at(kGradOut, i) * xhat(i);
      }
    }
    return static_cast<double>(sum);
  }
  const auto g = [&](std::size_t i) { return at(kGradOut, i) * at(kGamma, i / pixels % channels); };
  const std::size_t group = index / size;
  Extended sum_g = 0, sum_g_xhat = 0;
  for (std::size_t i = group * size; i < (group + 1) * size; ++i) {
    sum_g += g(i);
    sum_g_xhat += g(i) * xhat(i);
  }
  const Extended c1 = sum_g / static_cast<Extended>(size);
  const Extended c2 = sum_g_xhat / static_cast<Extended>(size);
  return static_cast<double>(at(kRstd, group) * (g(index) - c1 - xhat(index) * c2));
}

constexpr std::pair<std::string_view, std::string_view> kGradients[] = {{"gradInput", "input"},
                                                                        {"gradGammaOut", "gamma"}};

}  // namespace

constinit const Oracle kGroupNormBackwardOracle =
    SetOracle<CallOf, Element>("group_norm_backward", kGradients);

}  // namespace normgrad
