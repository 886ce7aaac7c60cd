// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "golden/normalisation.h"
#include "golden/scale_gradient.h"
#include "golden/set_gradient.h"

namespace normgrad {

/// The oracle of an operator that normalises sets of adjacent elements; kCallOf(dims, tensors) is
/// the Normalisation of one call, kElement its Oracle::element.
template <auto kCallOf, auto kElement>
constexpr Oracle SetOracle(
    std::string_view name,
    std::span<const std::pair<std::string_view, std::string_view>> gradients) {
  using Tensors = std::span<const HostTensor>;
  using Consume = std::function<void(const ReferenceBlock&)>;
  return {
      .name = name,
      .call = kCallOf,
      .statistics =
          [](const Dims& dims, double eps, Tensors tensors, unsigned threads) {
            return StatisticsOf(kCallOf(dims, tensors), eps, threads);
          },
      .reference =
          [](const Dims& dims, Tensors tensors, Profile profile, unsigned threads,
             const Consume& consume) {
            const Normalisation call = kCallOf(dims, tensors);
            StreamSetGradient(call, profile, threads, consume);
            StreamScaleGradients(call, profile, threads, consume);
          },
      .element = kElement,
      .forward = [](const Dims& dims, double eps,
                    Tensors tensors) { return ForwardOf(kCallOf(dims, tensors), eps); },
      .gradients = gradients,
  };
}

}  // namespace normgrad
