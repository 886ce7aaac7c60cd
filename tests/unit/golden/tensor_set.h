// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include "golden/oracle.h"

namespace normgrad {

/// The dtype of each role's tensors in a test.
struct RoleDTypes {
  DType data = DType::kFloat32;
  DType statistic = DType::kFloat32;
  DType scale = DType::kFloat32;
  DType scale_grad = DType::kFloat32;

  DType Of(Role role) const {
    switch (role) {
      case Role::kData: return data;
      case Role::kStatistic: return statistic;
      case Role::kScale: return scale;
      case Role::kScaleGrad: return scale_grad;
    }
    throw std::logic_error("unknown role");
  }
};

/// Owns zero-initialised tensors, one per parameter of an operator.
class TensorSet {
 public:
  TensorSet(const Operator& op, Dims dims, const RoleDTypes& dtypes)
      : op_(&op), dims_(std::move(dims)) {
    for (const Param& param : op.params) {
      const DType dtype = dtypes.Of(param.role);
      const Shape shape = Expand(param.pattern, dims_);
      // One byte more, so that the address of an empty tensor is an address too.
      storage_.emplace_back(ElementCount(shape) * SizeOf(dtype) + 1);
      tensors_.push_back({dtype, shape, storage_.back().data()});
    }
  }

  // The tensors point into the storage, which moves along but would not be copied along.
  TensorSet(TensorSet&&) = default;
  TensorSet& operator=(TensorSet&&) = default;

  const Dims& BoundDims() const { return dims_; }
  std::span<const HostTensor> All() const { return tensors_; }

  std::size_t IndexOf(std::string_view name) const {
    const auto found = std::ranges::find(op_->params, name, &Param::name);
    if (found == op_->params.end()) throw std::logic_error("no such parameter");
    return static_cast<std::size_t>(found - op_->params.begin());
  }
  const HostTensor& operator[](std::string_view name) const { return tensors_[IndexOf(name)]; }
  std::size_t CountOf(std::string_view name) const { return ElementCount((*this)[name].shape); }

  double Get(std::string_view name, std::size_t i) const {
    const HostTensor& tensor = (*this)[name];
    return Load(tensor.dtype, tensor.data + i * SizeOf(tensor.dtype));
  }
  std::byte* Element(std::string_view name, std::size_t i) {
    return storage_[IndexOf(name)].data() + i * SizeOf((*this)[name].dtype);
  }
  void Set(std::string_view name, std::size_t i, double value) {
    Store((*this)[name].dtype, value, Element(name, i));
  }
  /// Sets every element i to element(i).
  template <typename Element>
  void Fill(std::string_view name, Element element) {
    const std::size_t count = CountOf(name);
    for (std::size_t i = 0; i < count; ++i) Set(name, i, static_cast<double>(element(i)));
  }
  /// Sets every statistic to what `oracle` derives from the data, rounded to its dtype.
  void FillStatistics(const Oracle& oracle, double eps) {
    const auto values = oracle.statistics(dims_, eps, tensors_);
    auto statistic = values.begin();
    for (const Param& param : op_->params) {
      if (param.role != Role::kStatistic) continue;
      Fill(param.name, [&](std::size_t i) { return statistic->at(i); });
      ++statistic;
    }
  }

 private:
  const Operator* op_;
  Dims dims_;
  std::vector<std::vector<std::byte>> storage_;
  std::vector<HostTensor> tensors_;
};

}  // namespace normgrad
