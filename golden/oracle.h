// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ops/operator.h"

namespace normgrad {

/// A dense row-major tensor on the host, in its own dtype.
struct HostTensor {
  DType dtype = DType::kNone;  // kNone: the tensor is null, or an output nobody wants
  Shape shape;
  const std::byte* data = nullptr;  // may be null without elements

  bool present() const { return dtype != DType::kNone; }
};

/// The rounding condition of one sum of a call: what a float32 device may get wrong about
/// value = sum of t_1 … t_n, whatever the order it adds in.
struct Sum {
  double count = 0;      // n
  double roundings = 0;  // roundings inside every term, before it is added
  double value = 0;      // sum of t; of kernels that add two sums, that of their magnitudes
  double magnitude = 0;  // sum of |t|
  double energy = 0;     // sum of t^2
  bool lattice =
      false;  // t takes few distinct values by construction: roundings are not independent
};

/// A sum that every element of a block depends on: element i errs by weight[i] times its error.
struct SharedSum {
  Sum sum;
  std::span<const double> weight;
};

/// Consecutive elements of one output: their exact values and how ill-conditioned each one is.
/// The spans live until the consumer returns.
struct ReferenceBlock {
  std::size_t param = 0;              // index into Operator::params
  std::size_t first = 0;              // row-major index of element 0
  std::span<const double> value;      // the reference, not yet rounded to the output's dtype
  double roundings = 0;               // local roundings of an element outside its sums
  std::span<const double> local;      // sum of the magnitudes those roundings act on
  std::span<const SharedSum> shared;  // sums the whole block depends on
  std::span<const Sum> own;           // or one sum per element (weight 1); empty if none
  double flush = 0;                   // allowance per unit of the device's smallest normal number
  bool may_overflow = false;          // a correct float32 evaluation may overflow on the way
};

/// How x̂ may be evaluated. Expanded kernels compute x * r - mean * r and lose the bits that
/// cancel in it; centred ones do not.
enum class Profile { kExpanded, kCentred };

struct Normalisation;

/// The float64 reference of one operator: written from the formula, nothing shared with kernels/.
struct Oracle {
  std::string_view name;  // Operator::name

  /// Which elements of a call share statistics or a scale; see golden/normalisation.h.
  Normalisation (*call)(const Dims& dims, std::span<const HostTensor> tensors);

  /// What the forward pass, and a reduction before the backward pass, leave behind, in float64 over
  /// the (already rounded) other inputs: the elements of every kStatistic and kChannelSum input, in
  /// the order of the params, not rounded to its dtype. Those inputs are not read. `threads` does
  /// not show.
  std::vector<std::vector<double>> (*statistics)(const Dims& dims, double eps,
                                                 std::span<const HostTensor> tensors,
                                                 unsigned threads);

  /// Walks the outputs once and hands them to `consume` block by block, from up to `threads`
  /// threads at a time, every element exactly once; values do not depend on `threads`. Outputs that
  /// are not present are left out.
  /// `tensors` has one entry per param; outputs are not read. Sums are compensated.
  /// A non-finite value stands for any non-finite result.
  void (*reference)(const Dims& dims, std::span<const HostTensor> tensors, Profile profile,
                    unsigned threads, const std::function<void(const ReferenceBlock&)>& consume);

  /// One element of an output by the letter of the operator's definition, in plain loops of
  /// extended precision: a second opinion on reference(), written without it. As slow as it sounds.
  double (*element)(const Dims& dims, std::span<const HostTensor> tensors, std::size_t param,
                    std::size_t index);

  /// y of the forward pass in float64, statistics recomputed from x: what the gradient test
  /// differentiates. Row-major, shape of the first kData input.
  std::vector<double> (*forward)(const Dims& dims, double eps, std::span<const HostTensor> tensors);

  /// What the outputs are gradients of: (output param, input param) by name.
  std::span<const std::pair<std::string_view, std::string_view>> gradients;
};

/// Every oracle, in AllOperators() order.
std::span<const Oracle> AllOracles();

/// Throws std::logic_error if `op` has none; the registry test makes sure none lacks one.
const Oracle& OracleOf(const Operator& op);

extern const Oracle kBatchNormElemtBackwardOracle;
extern const Oracle kGroupNormBackwardOracle;
extern const Oracle kLayerNormBackwardOracle;
extern const Oracle kRmsNormGradOracle;

}  // namespace normgrad
