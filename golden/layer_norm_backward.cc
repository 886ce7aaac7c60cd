// SPDX-License-Identifier: Apache-2.0
// float64 reference of aclnnLayerNormBackward; symbols as in src/ops/layer_norm_backward.cc.
//
//   forward   mean = mean over R of input,   rstd = 1 / sqrt(mean over R of (input - mean)^2 + eps)
//             y    = (input - mean) * rstd * weight + bias
//   backward  set_gradient.h and scale_gradient.h
#include "golden/set_oracle.h"
#include "ops/operators.h"

namespace normgrad {
namespace {

// Indices into Operator::params.
enum : std::size_t {
  kGradOut,
  kInput,
  kNormalizedShape,
  kMean,
  kRstd,
  kWeight,
  kBias,
  kOutputMask,
  kGradInput,
  kGradWeight,
  kGradBias
};

Normalisation CallOf(const Dims& dims, std::span<const HostTensor> tensors) {
  const std::size_t rows = Count("*A", dims), columns = Count("*R", dims);
  return {.tensors = tensors,
          .dy = kGradOut,
          .x = kInput,
          .mean = kMean,
          .rstd = kRstd,
          .scale = kWeight,
          .bias = kBias,
          .dx = kGradInput,
          .dscale = kGradWeight,
          .dbias = kGradBias,
          .sets = {columns, rows},
          .scales = {1, columns},
          .elements = rows * columns};
}

constexpr std::pair<std::string_view, std::string_view> kGradients[] = {
    {"gradInputOut", "input"},
    {"gradWeightOut", "weightOptional"},
    {"gradBiasOut", "biasOptional"}};

}  // namespace

constinit const Oracle kLayerNormBackwardOracle =
    SetOracle<CallOf>("layer_norm_backward", kGradients);

}  // namespace normgrad
