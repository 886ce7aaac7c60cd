// SPDX-License-Identifier: Apache-2.0
#include "run/fill_call.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/parallel.h"

namespace normgrad {
namespace {

constexpr std::size_t kElementsPerTask = 1 << 16;

std::vector<HostTensor> Allocate(const Case& the_case, CaseInputs* inputs) {
  std::vector<HostTensor> tensors;
  tensors.reserve(the_case.op->params.size());
  if (inputs != nullptr) inputs->tensors.resize(the_case.op->params.size());
  for (const Param& param : the_case.op->params) {
    HostTensor& tensor = tensors.emplace_back();
    if (!param.IsTensor() || !the_case.Uses(param)) continue;
    tensor = {the_case.DTypeOf(param), the_case.ShapeOf(param), nullptr};
    if (inputs == nullptr || param.kind != Param::Kind::kInput) continue;
    Bytes& elements = inputs->tensors[tensors.size() - 1];
    elements = Bytes(ElementCount(tensor.shape) * SizeOf(tensor.dtype));
    tensor.data = elements.data();
  }
  return tensors;
}

}  // namespace

FillCall::FillCall(const Case& the_case, unsigned threads, CaseInputs* inputs)
    : case_(the_case),
      threads_(threads),
      inputs_(inputs),
      tensors_(Allocate(the_case, inputs)),
      norm_(OracleOf(*the_case.op).call(the_case.dims, tensors_)) {}

std::vector<std::size_t> FillCall::InputsOf(Role role) const {
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    const Param& param = case_.op->params[i];
    if (param.kind == Param::Kind::kInput && param.role == role) found.push_back(i);
  }
  return found;
}

std::size_t FillCall::ScaleSize() const {
  return norm_.elements / std::max<std::size_t>(norm_.scales.count, 1);
}

RandomStream FillCall::Random(std::string_view purpose) const {
  return RandomStream(HashText(purpose, case_.Hash()));
}

void FillCall::Set(std::size_t param, std::size_t index, double value) {
  if (param == kNoParam || !tensors_[param].present()) return;
  const DType dtype = tensors_[param].dtype;
  std::byte* const element = inputs_->tensors[param].data() + index * SizeOf(dtype);
  if (std::isnan(value)) {
    std::fill_n(element, SizeOf(dtype), std::byte{0xFF});
  } else {
    Store(dtype, value, element);
  }
}

void FillCall::SetAll(std::size_t param, const std::function<double(std::size_t)>& element) {
  SetBlocks(param, [&](std::size_t first, std::span<double> elements) {
    for (double& value : elements) value = element(first++);
  });
}

void FillCall::SetBlocks(
    std::size_t param,
    const std::function<void(std::size_t first, std::span<double> elements)>& make) {
  if (param == kNoParam || !tensors_[param].present()) return;
  const DType dtype = tensors_[param].dtype;
  std::byte* const data = inputs_->tensors[param].data();
  ForStretches(ElementCount(tensors_[param].shape), 1, [&](std::size_t first, std::size_t end) {
    std::array<double, kTile> block;  // NOLINT(cppcoreguidelines-pro-type-member-init)
    for (std::size_t i = first; i < end; i += kTile) {
      const std::size_t count = std::min(kTile, end - i);
      make(i, std::span(block).first(count));
      StoreAll(dtype, block.data(), count, data + i * SizeOf(dtype));
    }
  });
}

void FillCall::ForStretches(
    std::size_t count, std::size_t item_elements,
    const std::function<void(std::size_t first, std::size_t end)>& body) const {
  const std::size_t items =
      std::max<std::size_t>(kElementsPerTask / std::max<std::size_t>(item_elements, 1), 1);
  ParallelFor((count + items - 1) / items, threads_,
              [&](std::size_t task) { body(task * items, std::min(count, (task + 1) * items)); });
}

}  // namespace normgrad
