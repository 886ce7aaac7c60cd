// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "checks/case_run.h"
#include "golden/normalisation.h"
#include "sweep/case.h"

namespace normgrad {

/// The inputs of a case while they are made. Params are indices into Operator::params; inputs that
/// are null are written to without effect.
class FillCall {
 public:
  /// Allocates the tensors in `inputs`, whose elements are zero; with null there are none to write
  /// to.
  FillCall(const Case& the_case, unsigned threads, CaseInputs* inputs);

  const Case& the_case() const { return case_; }
  const Normalisation& norm() const { return norm_; }
  std::span<const HostTensor> tensors() const { return tensors_; }
  unsigned threads() const { return threads_; }

  /// The params of a role that are inputs, in order.
  std::vector<std::size_t> InputsOf(Role role) const;

  /// Whether dx depends on sums of its inputs, and scales have gradients; otherwise sums over
  /// channels are inputs.
  bool Reduces() const { return norm_.dscale != kNoParam; }

  /// How many elements share a scale.
  std::size_t ScaleSize() const;

  /// Random numbers for `purpose`, other than those of every other purpose and case.
  RandomStream Random(std::string_view purpose) const;

  DType DTypeOf(std::size_t param) const { return tensors_[param].dtype; }
  double Get(std::size_t param, std::size_t index) const { return norm_.At(param, index, 1); }

  /// NaN is stored as the one of nothing but ones: who rounds float32 to bfloat16 by adding to the
  /// bits carries it into zero.
  void Set(std::size_t param, std::size_t index, double value);

  /// Sets every element i of `param` to element(i).
  void SetAll(std::size_t param, const std::function<double(std::size_t)>& element);

  /// Sets all elements of `param` to what make(first, elements) writes for those from `first` on,
  /// block by block.
  void SetBlocks(std::size_t param,
                 const std::function<void(std::size_t first, std::span<double> elements)>& make);

  /// Calls body(first, end) for stretches that cover 0 … count - 1, on several threads. Each is of
  /// about as many elements, if an item has `item_elements` of them.
  void ForStretches(std::size_t count, std::size_t item_elements,
                    const std::function<void(std::size_t first, std::size_t end)>& body) const;

 private:
  const Case& case_;
  unsigned threads_;
  CaseInputs* inputs_;
  std::vector<HostTensor> tensors_;
  Normalisation norm_;
};

}  // namespace normgrad
