// SPDX-License-Identifier: Apache-2.0
// float64 reference of aclnnRmsNormGrad; symbols as in src/ops/rms_norm_grad.cc.
//
//   forward   rstd = 1 / sqrt(mean over R of x^2 + eps),   y = x * rstd * gamma
//   backward  set_gradient.h and scale_gradient.h, without a mean and without a bias
#include "golden/definition.h"
#include "golden/set_oracle.h"
#include "ops/operators.h"

namespace normgrad {
namespace {

// Indices into Operator::params.
enum : std::size_t { kDy, kX, kRstd, kGamma, kDx, kDgamma };

Normalisation CallOf(const Dims& dims, std::span<const HostTensor> tensors) {
  const std::size_t rows = Count("*A", dims), columns = Count("*R", dims);
  return {.tensors = tensors,
          .dy = kDy,
          .x = kX,
          .mean = kNoParam,
          .rstd = kRstd,
          .scale = kGamma,
          .dx = kDx,
          .dscale = kDgamma,
          .sets = {columns, rows},
          .scales = {1, columns},
          .elements = rows * columns};
}

double Element(const Dims& dims, std::span<const HostTensor> tensors, std::size_t param,
               std::size_t index) {
  const Elements at(tensors);
  const std::size_t rows = Count("*A", dims), columns = Count("*R", dims);
  if (param == kDgamma) {
    Extended sum = 0;
    for (std::size_t i = index; i < rows * columns; i += columns) {
      sum += at(kDy, i) * (at(kX, i) * at(kRstd, i / columns));
    }
    return static_cast<double>(sum);
  }
  const std::size_t row = index / columns;
  const Extended rstd = at(kRstd, row);
  Extended sum = 0;
  for (std::size_t i = row * columns; i < (row + 1) * columns; ++i) {
    sum += at(kDy, i) * at(kGamma, i % columns) * (at(kX, i) * rstd);
  }
  const Extended mean = sum / static_cast<Extended>(columns);
  return static_cast<double>(
      (at(kDy, index) * at(kGamma, index % columns) - at(kX, index) * rstd * mean) * rstd);
}

constexpr std::pair<std::string_view, std::string_view> kGradients[] = {{"dxOut", "x"},
                                                                        {"dgammaOut", "gamma"}};

}  // namespace

constinit const Oracle kRmsNormGradOracle = SetOracle<CallOf, Element>("rms_norm_grad", kGradients);

}  // namespace normgrad
