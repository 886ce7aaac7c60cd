// SPDX-License-Identifier: Apache-2.0
#include "checks/case_run.h"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>

namespace normgrad {
namespace {

bool IsInput(const Param& param) { return param.kind == Param::Kind::kInput; }

}  // namespace

HostTensor AsHostTensor(const Case& the_case, std::size_t index,
                        const std::vector<std::byte>& dense) {
  const Param& param = the_case.op->params[index];
  return {the_case.DTypeOf(param), the_case.ShapeOf(param), dense.data()};
}

std::uint64_t StorageBytes(const Case& the_case) {
  std::uint64_t bytes = 0;
  for (const Param& param : the_case.op->params) {
    const Layout layout = MakeLayout(the_case.LayoutOf(param), the_case.ShapeOf(param));
    bytes += StorageCount(layout) * SizeOf(the_case.DTypeOf(param));
  }
  return bytes;
}

CaseRun::CaseRun(const Case& the_case, const Device& device,
                 std::shared_ptr<const CaseInputs> inputs)
    : case_(the_case),
      device_(device),
      bound_(device.library().Bind(*the_case.op)),
      inputs_(std::move(inputs)) {
  slots_.reserve(op().params.size());
  for (const Param& param : op().params) {
    const DType dtype = case_.DTypeOf(param);
    Layout layout = MakeLayout(case_.LayoutOf(param), case_.ShapeOf(param));
    GuardedBuffer buffer(device_, StorageCount(layout) * SizeOf(dtype));
    DeviceTensor tensor = device_.MakeTensor(layout, dtype, buffer.data());
    args_.emplace_back(tensor.get());
    slots_.push_back({&param, dtype, std::move(layout), std::move(buffer), std::move(tensor), {}});
  }
  for (std::size_t i = 0; i < slots_.size(); ++i) WriteSlot(i, Poison::kFirst);
}

void CaseRun::WriteSlot(std::size_t index, Poison poison) {
  Slot& slot = slots_[index];
  slot.image.assign(slot.buffer.size(), PoisonByte(poison));
  if (IsInput(*slot.param)) {
    Scatter(slot.layout, SizeOf(slot.dtype), inputs_->tensors[index].data(), slot.image.data());
  }
  slot.buffer.Write(slot.image, poison);
}

double CaseRun::PhaseOne() {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  prepared_ = device_.PhaseOneOf(bound_, args_);
  const std::chrono::duration<double> seconds = Clock::now() - start;
  if (prepared_.workspace_bytes == 0) {
    workspace_.reset();
  } else if (workspace_ == nullptr || workspace_->size() != prepared_.workspace_bytes) {
    workspace_ = std::make_unique<GuardedBuffer>(device_, prepared_.workspace_bytes);
  }
  return seconds.count();
}

void CaseRun::Launch(Poison poison, bool deterministic) {
  for (std::size_t i = 0; i < slots_.size(); ++i) WriteSlot(i, poison);
  device_.SetDeterministic(deterministic);
  PhaseOne();
  if (workspace_ != nullptr) workspace_->WritePoison(poison);
  device_.PhaseTwoOf(bound_, &prepared_, workspace_ != nullptr ? workspace_->data() : nullptr);
  device_.Synchronize();
}

CaseRun::Times CaseRun::LaunchTimed() {
  const double phase_one = PhaseOne();
  const double kernel = device_.TimeSeconds([this] {
    device_.PhaseTwoOf(bound_, &prepared_, workspace_ != nullptr ? workspace_->data() : nullptr);
  });
  return {phase_one, kernel};
}

DenseTensors CaseRun::Outputs() const {
  DenseTensors outputs(slots_.size());
  std::vector<std::byte> storage;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const Slot& slot = slots_[i];
    if (IsInput(*slot.param)) continue;
    storage.resize(slot.buffer.size());
    slot.buffer.Read(storage);
    outputs[i].resize(ElementCount(slot.layout.shape) * SizeOf(slot.dtype));
    Gather(slot.layout, SizeOf(slot.dtype), storage.data(), outputs[i].data());
  }
  return outputs;
}

std::optional<std::string> CaseRun::SlotDamage(const Slot& slot) const {
  const std::string name(slot.param->name);
  if (const auto guard = slot.buffer.GuardDamage()) {
    return fmt::format("{}: written out of bounds: {}", name, *guard);
  }
  std::vector<std::byte> now(slot.buffer.size());
  slot.buffer.Read(now);
  if (IsInput(*slot.param)) {
    if (now == slot.image) return std::nullopt;
  } else {
    // Only the elements of an output's view may change: put the old ones back and compare.
    std::vector<std::byte> elements(ElementCount(slot.layout.shape) * SizeOf(slot.dtype));
    Gather(slot.layout, SizeOf(slot.dtype), slot.image.data(), elements.data());
    Scatter(slot.layout, SizeOf(slot.dtype), elements.data(), now.data());
    if (now == slot.image) return std::nullopt;
  }
  const auto [changed, was] = std::ranges::mismatch(now, slot.image);
  return fmt::format("{}: {} changed: byte {} of its storage was 0x{:02x}, is 0x{:02x}", name,
                     IsInput(*slot.param) ? "the input was" : "a gap between its elements was",
                     changed - now.begin(), std::to_integer<unsigned>(*was),
                     std::to_integer<unsigned>(*changed));
}

std::vector<std::string> CaseRun::Damage() const {
  std::vector<std::string> damage;
  for (const Slot& slot : slots_) {
    if (auto line = SlotDamage(slot)) damage.push_back(std::move(*line));
  }
  if (workspace_ != nullptr) {
    if (const auto guard = workspace_->GuardDamage()) {
      damage.push_back(fmt::format("workspace of {} bytes: written out of bounds: {}",
                                   workspace_->size(), *guard));
    }
  }
  return damage;
}

std::uint64_t CaseRun::tensor_bytes() const { return StorageBytes(case_); }

std::uint64_t CaseRun::compulsory_bytes() const {
  std::uint64_t bytes = 0;
  for (const Slot& slot : slots_) bytes += ElementCount(slot.layout.shape) * SizeOf(slot.dtype);
  return bytes;
}

}  // namespace normgrad
