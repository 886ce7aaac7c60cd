// SPDX-License-Identifier: Apache-2.0
// float64 reference of aclnnGroupNormBackward; symbols as in src/ops/group_norm_backward.cc.
//
//   forward   mean, rstd over the C / G * S adjacent elements of one group of one sample, as those
//   of
//             layer norm;   y = (input - mean) * rstd * gamma + beta
//   backward  set_gradient.h and scale_gradient.h
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

constexpr std::pair<std::string_view, std::string_view> kGradients[] = {{"gradInput", "input"},
                                                                        {"gradGammaOut", "gamma"}};

}  // namespace

constinit const Oracle kGroupNormBackwardOracle =
    SetOracle<CallOf>("group_norm_backward", kGradients);

}  // namespace normgrad
