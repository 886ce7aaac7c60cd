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

/// How a device may arrange the formula of dx; m1 and m2 are the means of p and of p * xhat.
enum class Arrangement {
  kPlain,     // ((p - m1) - xhat * m2) * r
  kFused,     // fma(-xhat, m2, p - m1) * r
  kScaled,    // ((R * p - S1) - xhat * S2) * (1 / R) * r
  kCubed,     // (p - m1) * r - (r * r * r * sum(p * (x - mean)) / R) * (x - mean)
  kExpanded,  // as kPlain with xhat = x * r - mean * r
  kLinear,    // a * p + b * x + c from sum(p * x) and sum(p), channel by channel
};

/// One mistake to plant.
enum class Fault {
  kNone,
  kLastElementDropped,     // from the sums of every set
  kDividedByOneLess,       // the means, by one less than there is
  kScaleForgotten,         // in dx
  kNextScale,              // in dx: that of the next channel or column
  kNextStatistics,         // those of the next set
  kMeanForgotten,          // m1 not subtracted
  kMeanSubtractedTwice,    // m1
  kOneCounter,             // the first counter instead of their sum
  kDeviationNotSquared,    // r instead of r * r
  kLastRowDropped,         // from the gradients of scale and bias
  kTruncatedOutput,        // dx rounded towards zero
  kRoundedBits,            // dx rounded to bfloat16 by adding to its bits, NaN as any number
  kSixteenBitMean,         // m2 kept in dx's dtype
  kOneUnitInTheLastPlace,  // one element of dx is its neighbour
};

/// One legal way, or with a fault a wrong one, to compute an operator in float32.
struct Float32Kernel {
  std::string_view name;
  SumOrder order = SumOrder::kForward;
  Arrangement arrangement = Arrangement::kPlain;
  Fault fault = Fault::kNone;

  /// Writes the outputs of `set` from its inputs.
  void Run(TensorSet* set) const;
};

/// Kernels that are right, in every order and arrangement above.
std::span<const Float32Kernel> CorrectKernels();

}  // namespace normgrad
