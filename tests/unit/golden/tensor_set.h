// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <span>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include "base/random.h"
#include "golden/oracle.h"
#include "ops/operators.h"

namespace normgrad {

/// One dtype for every column of `op`, but for those named: {{"scale", DType::kNone}}.
inline DTypes DTypesOf(const Operator& op, DType every,
                       std::initializer_list<std::pair<std::string_view, DType>> exceptions = {}) {
  const std::vector<std::string_view> columns = DTypeColumns(op);
  DTypes dtypes(columns.size(), every);
  for (const auto& [column, dtype] : exceptions) {
    const auto found = std::ranges::find(columns, column);
    if (found == columns.end()) throw std::logic_error("no such dtype column");
    dtypes[static_cast<std::size_t>(found - columns.begin())] = dtype;
  }
  return dtypes;
}

/// Data of a 16-bit type beside float32 in all else.
inline DTypes SixteenBitData(const Operator& op, DType data) {
  constexpr DType kF32 = DType::kFloat32;
  if (&op != &kBatchNormElemtBackward) return DTypesOf(op, kF32, {{"data", data}});
  return DTypesOf(op, kF32, {{"gradOut", data}, {"input", data}, {"gradInput", data}});
}

/// Owns zero-initialised tensors, one per tensor of an operator.
class TensorSet {
 public:
  /// `dtypes` as DTypesOf(); those that are kNone are null.
  TensorSet(const Operator& op, Dims dims, const DTypes& dtypes)
      : op_(&op), dims_(std::move(dims)), storage_(op.params.size()), tensors_(op.params.size()) {
    for (std::size_t i = 0; i < op.params.size(); ++i) {
      const Param& param = op.params[i];
      if (!param.IsTensor()) continue;
      const DType dtype = dtypes.at(DTypeColumn(op, param));
      if (dtype == DType::kNone) continue;
      const Shape shape = Expand(param.pattern, dims_);
      // One byte more, so that the address of an empty tensor is an address too.
      storage_[i].resize(ElementCount(shape) * SizeOf(dtype) + 1);
      tensors_[i] = {dtype, shape, storage_[i].data()};
    }
  }
  TensorSet(const Operator& op, Dims dims)
      : TensorSet(op, std::move(dims), DTypesOf(op, DType::kFloat32)) {}

  // The tensors point into the storage, which moves along but would not be copied along.
  TensorSet(TensorSet&&) = default;
  TensorSet& operator=(TensorSet&&) = default;

  const Operator& Op() const { return *op_; }
  const Dims& BoundDims() const { return dims_; }
  std::span<const HostTensor> All() const { return tensors_; }

  std::size_t IndexOf(std::string_view name) const {
    const auto index = FindParam(*op_, name);
    if (!index) throw std::logic_error("no such parameter");
    return *index;
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
    const std::size_t index = IndexOf(name), count = CountOf(name);
    const DType dtype = tensors_[index].dtype;
    std::byte* const data = storage_[index].data();
    for (std::size_t i = 0; i < count; ++i) {
      Store(dtype, static_cast<double>(element(i)), data + i * SizeOf(dtype));
    }
  }
  void Fill(std::string_view name, std::initializer_list<double> elements) {
    if (elements.size() != CountOf(name)) throw std::logic_error("another number of elements");
    Fill(name, [&](std::size_t i) { return elements.begin()[i]; });
  }
  /// Draws every input that FillStatistics() does not set, and then those; counts are small.
  void FillRandom(double eps) {
    for (const Param& param : op_->params) {
      if (param.kind != Param::Kind::kInput || IsDerived(param) || !(*this)[param.name].present()) {
        continue;
      }
      const RandomStream random(HashText(param.name));
      const bool counts = param.role == Role::kCount;
      std::vector<double> normals(counts ? 0 : CountOf(param.name));
      random.Normals(0, normals);
      Fill(param.name, [&](std::size_t i) {
        return counts ? static_cast<double>(1 + random.Bits(i) % 8) : normals[i];
      });
    }
    FillStatistics(eps);
  }
  /// Makes a tensor null.
  void Drop(std::string_view name) { tensors_[IndexOf(name)] = {}; }

  /// Sets what the oracle derives from the other inputs, rounded to its dtype.
  void FillStatistics(double eps) {
    const auto values = OracleOf(*op_).statistics(dims_, eps, tensors_, 1);
    auto statistic = values.begin();
    for (const Param& param : op_->params) {
      if (!IsDerived(param)) continue;
      Fill(param.name, [&](std::size_t i) { return statistic->at(i); });
      ++statistic;
    }
  }

  /// Whether FillStatistics() sets it.
  static bool IsDerived(const Param& param) {
    return param.kind == Param::Kind::kInput &&
           (param.role == Role::kStatistic || param.role == Role::kChannelSum);
  }

 private:
  const Operator* op_;
  Dims dims_;
  std::vector<std::vector<std::byte>> storage_;
  std::vector<HostTensor> tensors_;
};

}  // namespace normgrad
