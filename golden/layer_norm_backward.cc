// SPDX-License-Identifier: Apache-2.0
// float64 reference of aclnnLayerNormBackward; symbols as in src/ops/layer_norm_backward.cc.
//
//   forward   mean = mean over R of input,   rstd = 1 / sqrt(mean over R of (input - mean)^2 + eps)
//             y    = (input - mean) * rstd * weight + bias
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

double Element(const Dims& dims, std::span<const HostTensor> tensors, std::size_t param,
               std::size_t index) {
  const Elements at(tensors);
  const std::size_t rows = Count("*A", dims), columns = Count("*R", dims);
  const auto xhat = [&](std::size_t i) {
    return (at(kInput, i) - at(kMean, i / columns)) * at(kRstd, i / columns);
  };
  if (param != kGradInput) {
    Extended sum = 0;
    for (std::size_t i = index; i < rows * columns; i += columns) {
      sum += param == kGradBias ? at(kGradOut, i) : at(kGradOut, i) * xhat(i);
    }
    return static_cast<double>(sum);
  }
  const auto g = [&](std::size_t i) { return at(kGradOut, i) * at(kWeight, i % columns); };
  const std::size_t row = index / columns;
  Extended sum_g = 0, sum_g_xhat = 0;
  for (std::size_t i = row * columns; i < (row + 1) * columns; ++i) {
    sum_g += g(i);
    sum_g_xhat += g(i) * xhat(i);
  }
  const auto size = static_cast<Extended>(columns);
  return static_cast<double>((g(index) - (sum_g / size + xhat(index) * (sum_g_xhat / size))) *
                             at(kRstd, row));
}

constexpr std::pair<std::string_view, std::string_view> kGradients[] = {
    {"gradInputOut", "input"},
    {"gradWeightOut", "weightOptional"},
    {"gradBiasOut", "biasOptional"}};

}  // namespace

constinit const Oracle kLayerNormBackwardOracle =
    SetOracle<CallOf, Element>("layer_norm_backward", kGradients);

}  // namespace normgrad
