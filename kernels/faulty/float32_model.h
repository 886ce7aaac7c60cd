// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/api/kernel.h"
#include "ops/operator.h"

namespace normgrad::faulty {

using Floats = std::vector<float>;

/// An order in which a device may add n float32 terms.
enum class Order {
  kForward,
  kReverse,
  kLanes8,       // eight running sums, added left to right
  kLanes64,      // sixty-four running sums, added as a tree
  kPairwise,     // a tree over all terms
  kBlocks,       // blocks of 64, their sums added left to right
  kArrival,      // blocks of 8, added as they arrive: differently in every launch
  kCompensated,  // Kahan's sum
  kDouble,       // in float64, rounded once
};

/// How a device may arrange the formula of dx; m1 and m2 are the means of p and of p * xhat.
enum class Arrangement {
  kPlain,     // ((p - m1) - xhat * m2) * r
  kFused,     // fma(-xhat, m2, p - m1) * r
  kScaled,    // ((n * p - S1) - xhat * S2) * (1 / n) * r
  kCubed,     // (p - m1) * r - (r * r * r * sum(p * (x - mean)) / n) * (x - mean)
  kExpanded,  // as kPlain with xhat = x * r - mean * r
  kLinear,    // a * p + b * x + c from sum(p * x) and sum(p)
};

/// What one call reads, as float32. Elements that share statistics are a set: a row, a group of a
/// sample, or the channel of a batch norm; elements that share a scale have their index modulo
/// `scales` in common, taken in runs.
struct Inputs {
  const Operator& op;
  const Launch& launch;
  std::uint64_t launches = 0;  // of this process so far, this one included
  DType data = DType::kNone;   // dtype of dx; where nobody wants it, of x

  Floats dy{}, x{};
  Floats mean{}, rstd{};                     // per set; mean is zero where there is none
  Floats scale{};                            // ones where it is null
  Floats sum_dy{}, sum_dy_xmu{}, counter{};  // of a batch norm
  bool centred = false;                      // there is a mean
  bool has_scale = false;
  bool has_sums = false;    // the sums are inputs
  std::size_t sets = 0;     // element i is of set i / set_run % sets
  std::size_t set_run = 1;  // adjacent elements of one set
  std::size_t scales = 0;   // element i has scale i / run % scales
  std::size_t run = 1;      // adjacent elements of one scale

  std::size_t SetOf(std::size_t i) const { return i / set_run % sets; }
  std::size_t ScaleOf(std::size_t i) const { return i / run % scales; }
  std::int64_t Extent(std::string_view symbol, std::size_t axis = 0) const;

  /// bfloat16 where the data are float32: what a kernel that saves memory would use.
  DType Narrow() const;
};

/// What every dx of one set depends on, besides its own element.
struct SetState {
  float r = 0, mean = 0;
  float count = 0;       // n
  float factor = 0;      // of the whole difference: r
  float terms = 0;       // S1, sum of p
  float products = 0;    // S2, sum of p * xhat
  float deviations = 0;  // sum of p * (x - mean)
  float linear = 0;      // sum of p * x, less terms * mean
};

/// The sums of a call.
enum class SumOf { kTerms, kProducts, kDeviations, kScaleGrad, kBiasGrad };

/// A sum before it is added up: term i comes from element elements[i].
struct Addends {
  SumOf what;
  std::size_t index;  // the set, or the scale
  Floats terms;
  std::vector<std::size_t> elements;

  bool IsOfSet() const { return what != SumOf::kScaleGrad && what != SumOf::kBiasGrad; }
};

/// Places where a kernel keeps a number for a while.
enum class Kept { kProduct, kXhat };

/// Where a kernel may go wrong: every function is null or changes what it is given.
struct Twist {
  void (*inputs)(Inputs& in) = nullptr;
  void (*addends)(const Inputs& in, Addends& sum) = nullptr;
  float (*add)(const Inputs& in, SumOf what, float sum, float term) = nullptr;  // forward
  Order (*order)(const Inputs& in, const Addends& sum) = nullptr;  // instead of the recipe's
  void (*states)(const Inputs& in, std::span<SetState> states) = nullptr;
  std::size_t (*set_of)(const Inputs& in, std::size_t element) = nullptr;  // for dx
  float (*keep)(const Inputs& in, Kept what, float value) = nullptr;
  void (*store)(const Param& param, DType dtype, float value, std::byte* element) = nullptr;
};

/// One way to compute any of the operators, element by element in float32.
struct Recipe {
  Order order = Order::kForward;
  Arrangement arrangement = Arrangement::kPlain;
  bool flush = false;           // subnormal numbers are zero, as inputs and as results
  bool despite_option = false;  // terms arrive in any order, whatever the call asks for
  Twist twist{};
};

/// Computes the outputs of `launch` that are wanted.
void Compute(const Recipe& recipe, const Operator& op, const Launch& launch,
             std::uint64_t launches);

/// Address of the element with row-major index `flat`.
std::byte* ElementOf(const KernelTensor& tensor, std::size_t flat);

}  // namespace normgrad::faulty
