// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "tests/unit/golden/tensor_set.h"

namespace normgrad {

/// An order in which a device may add n float32 terms.
enum class SumOrder {
  kForward,
  kReverse,
  kFused,     // forward, with fused multiply-adds
  kLanes8,    // eight running sums, added left to right
  kLanes64,   // sixty-four running sums, added as a tree
  kPairwise,  // a tree over all terms
  kBlocks,    // blocks of 256, their sums added left to right
};

/// How a device may arrange the formula of dx.
enum class Arrangement {
  kPlain,   // (p - xhat * (S / R)) * r
  kFused,   // fma(-xhat, S / R, p) * r
  kScaled,  // ((R * p - xhat * S) * (1 / R)) * r
  kCubed,   // p * r - (r * r * r * sum(p * x) / R) * x
};

/// One mistake to plant.
enum class Fault {
  kNone,
  kLastElementDropped,     // from the sum of every row
  kDividedByOneLess,       // the mean, by R - 1
  kGammaForgotten,         // in dx
  kLastRowDropped,         // from dgamma
  kTruncatedOutput,        // dx rounded towards zero
  kSixteenBitMean,         // m kept in dx's dtype
  kOneUnitInTheLastPlace,  // one element of dx is its neighbour
};

/// One legal way, or with a fault a wrong one, to compute RmsNormGrad in float32.
struct Float32Kernel {
  std::string_view name;
  SumOrder order = SumOrder::kForward;
  Arrangement arrangement = Arrangement::kPlain;
  Fault fault = Fault::kNone;

  /// Writes dxOut and dgammaOut of `set` from its inputs.
  void Run(TensorSet* set) const;
};

/// Kernels that are right, in every order and arrangement above.
std::span<const Float32Kernel> CorrectKernels();

}  // namespace normgrad
