// SPDX-License-Identifier: Apache-2.0
#include "checks/case_run.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include <fmt/format.h>

#include "base/random.h"

namespace normgrad {
namespace {

/// Memory that aclrtMalloc gives, and a workspace, is aligned to as much.
constexpr std::size_t kMoveBytes = 64;

/// Where byte `byte` of a tensor's storage lies: "in element [3, 17]", or behind the one before it,
/// or before the first.
std::string PlaceOf(const Layout& layout, std::size_t element_bytes, std::size_t byte) {
  const std::size_t count = ElementCount(layout.shape);
  if (count == 0) return "of a tensor without elements";
  const auto target = static_cast<std::int64_t>(byte / element_bytes);
  std::size_t before = 0, first = 0;
  std::int64_t before_at = -1, first_at = std::numeric_limits<std::int64_t>::max();
  for (std::size_t flat = 0; flat < count; ++flat) {
    std::int64_t at = layout.offset;
    std::size_t rest = flat;
    for (std::size_t axis = layout.shape.size(); axis-- > 0;) {
      const auto extent = static_cast<std::size_t>(layout.shape[axis]);
      at += static_cast<std::int64_t>(rest % extent) * layout.strides[axis];
      rest /= extent;
    }
    if (at <= target && at > before_at) {
      before_at = at;
      before = flat;
    }
    if (at < first_at) {
      first_at = at;
      first = flat;
    }
  }
  return fmt::format("{} element {}",
                     before_at < 0         ? "before"
                     : before_at == target ? "in"
                                           : "behind",
                     IndexText(layout.shape, before_at < 0 ? first : before));
}

}  // namespace

HostTensor AsHostTensor(const Case& the_case, std::size_t index, const Bytes& dense) {
  const Param& param = the_case.op->params[index];
  if (!the_case.Uses(param)) return {};
  return {the_case.DTypeOf(param), the_case.ShapeOf(param), dense.data()};
}

std::vector<HostTensor> HostTensors(const CaseRun& run, const DenseTensors& outputs) {
  std::vector<HostTensor> tensors;
  tensors.reserve(outputs.size());
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const bool input = run.op().params[i].kind == Param::Kind::kInput;
    tensors.push_back(
        AsHostTensor(run.the_case(), i, input ? run.inputs()->tensors[i] : outputs[i]));
  }
  return tensors;
}

namespace {

/// Calls visit(param, layout, bytes per element) for every tensor passed.
template <typename Visit>
void ForEachTensor(const Case& the_case, Visit visit) {
  for (const Param& param : the_case.op->params) {
    if (!the_case.Passes(param)) continue;
    visit(param, MakeLayout(the_case.LayoutOf(param), the_case.ShapeOf(param)),
          SizeOf(the_case.DTypeOf(param)));
  }
}

bool IsGapless(const Layout& layout) {
  return IsDense(layout) && StorageCount(layout) == ElementCount(layout.shape);
}

}  // namespace

std::uint64_t StorageBytes(const Case& the_case) {
  std::uint64_t bytes = 0;
  ForEachTensor(the_case, [&](const Param&, const Layout& layout, std::size_t element_bytes) {
    bytes += StorageCount(layout) * element_bytes;
  });
  return bytes;
}

std::uint64_t HostBytes(const Case& the_case) {
  std::uint64_t bytes = 0, image = 0;
  ForEachTensor(the_case, [&](const Param& param, const Layout& layout, std::size_t element_bytes) {
    if (the_case.Uses(param)) bytes += ElementCount(layout.shape) * element_bytes;
    if (IsGapless(layout)) return;
    image = std::max<std::uint64_t>(image, StorageCount(layout) * element_bytes);
  });
  return bytes + 3 * image;
}

void DeviceArgs::Add(const Param& param, const CallArg& arg, const Layout& layout,
                     std::byte* storage) {
  switch (param.kind) {
    case Param::Kind::kInput:
    case Param::Kind::kOutput:
      tensors_.push_back(
          arg.present ? device_.MakeTensor(layout, arg.dtype_code, arg.format, storage) : nullptr);
      args_.emplace_back(tensors_.back().get());
      break;
    case Param::Kind::kExtents:
      int_arrays_.push_back(arg.present ? device_.MakeIntArray(arg.shape) : nullptr);
      args_.emplace_back(int_arrays_.back().get());
      break;
    case Param::Kind::kExtent: args_.emplace_back(arg.shape.front()); break;
    case Param::Kind::kOutputMask:
      bool_arrays_.push_back(arg.present ? device_.MakeBoolArray(arg.mask) : nullptr);
      args_.emplace_back(bool_arrays_.back().get());
      break;
  }
}

std::uint64_t WorkspaceBytesOf(const Case& the_case, const Device& device) {
  // Phase 1 looks at no element: every tensor may have the same few bytes.
  const DeviceMemory storage = device.Allocate(1);
  DeviceArgs args(device);
  const std::vector<CallArg> call_args = ArgsOf(the_case);
  for (std::size_t i = 0; i < call_args.size(); ++i) {
    const Param& param = the_case.op->params[i];
    args.Add(param, call_args[i], MakeLayout(the_case.LayoutOf(param), call_args[i].shape),
             storage.address());
  }
  return device.PhaseOneOf(device.library().Bind(*the_case.op), args.All()).workspace_bytes;
}

CaseRun::CaseRun(const Case& the_case, const Device& device,
                 std::shared_ptr<const CaseInputs> inputs)
    : case_(the_case),
      device_(device),
      bound_(device.library().Bind(*the_case.op)),
      inputs_(std::move(inputs)) {
  const std::vector<CallArg> args = ArgsOf(case_);
  for (std::size_t i = 0; i < args.size(); ++i) slots_.push_back(MakeSlot(i, args[i]));
  MakeArgs();
  Reset(Poison::kFirst);
}

void CaseRun::MakeArgs() {
  const std::vector<CallArg> args = ArgsOf(case_);
  args_.emplace(device_);
  for (std::size_t i = 0; i < args.size(); ++i) {
    const Slot* const slot = slots_[i].get();
    args_->Add(op().params[i], args[i], slot != nullptr ? slot->layout : Layout{},
               slot != nullptr ? slot->buffer.data() : nullptr);
  }
}

/// Every tensor gets a distance of its own, so that none keeps its place relative to another.
void CaseRun::Place(Placement placement) {
  if (placement == placement_) return;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i] == nullptr) continue;
    const std::size_t shift = placement == Placement::kAligned ? 0
                              : placement == Placement::kMoved
                                  ? (i + 1) * kMoveBytes
                                  : (2 * i + 1) * slots_[i]->element_bytes;
    slots_[i]->buffer.Shift(shift);
    slots_[i]->known = false;
  }
  placement_ = placement;
  MakeArgs();
}

/// Memory for the tensor of a param; null where none is passed.
std::unique_ptr<CaseRun::Slot> CaseRun::MakeSlot(std::size_t index, const CallArg& arg) const {
  const Param& param = op().params[index];
  if (!param.IsTensor() || !arg.present) return nullptr;
  const bool changed = case_.changes.contains(param.name);
  // A device that takes a call it should refuse must at least find memory where it looks for it.
  constexpr std::size_t kWidestElement = 16, kSpareElements = 4096;
  Layout layout = MakeLayout(changed ? LayoutKind::kContiguous : case_.LayoutOf(param), arg.shape);
  const std::size_t element_bytes = changed ? kWidestElement : SizeOf(*arg.dtype);
  const std::size_t elements =
      changed ? ElementCount(case_.ShapeOf(param)) + kSpareElements : StorageCount(layout);
  const bool writable = param.kind == Param::Kind::kOutput && case_.Uses(param);
  return std::make_unique<Slot>(Slot{.param = &param,
                                     .index = index,
                                     .writable = writable,
                                     .gapless = !changed && IsGapless(layout),
                                     .element_bytes = element_bytes,
                                     .layout = std::move(layout),
                                     .buffer = GuardedBuffer(device_, elements * element_bytes)});
}

Bytes CaseRun::Slot::Image() const {
  Bytes image(buffer.size(), PoisonByte(IsUniform() ? elements : gaps));
  if (data != nullptr) {
    Scatter(layout, element_bytes, Data().data(), image.data());
  } else if (!IsUniform()) {
    const Bytes dense(ElementCount(layout.shape) * element_bytes, PoisonByte(elements));
    Scatter(layout, element_bytes, dense.data(), image.data());
  }
  return image;
}

std::optional<std::size_t> CaseRun::Slot::FirstChange() const {
  if (IsUniform()) return buffer.FirstOther(elements);
  return gapless ? buffer.FirstOther(Data(), &fingerprint) : buffer.FirstOther(Image());
}

std::byte CaseRun::Slot::ByteNow(std::size_t at) const {
  std::byte byte{};
  buffer.Read({&byte, 1}, at);
  return byte;
}

void CaseRun::WriteSlot(Slot& slot, const Poisons& poisons) const {
  const bool output = slot.param->kind == Param::Kind::kOutput;
  const bool has_data = inputs_ != nullptr && !inputs_->tensors[slot.index].empty() &&
                        !case_.changes.contains(slot.param->name);
  const auto data = has_data ? inputs_ : nullptr;
  const Poison elements = output ? poisons.outputs : poisons.gaps;
  // Of gapless data neither poison shows.
  const bool shows = !has_data || !slot.gapless;
  const bool same = slot.elements == elements && slot.gaps == poisons.gaps;
  if (slot.known && slot.data == data && (same || !shows)) {
    slot.buffer.WriteGuards(poisons.guards);
    return;
  }
  if (slot.data != data) slot.fingerprint = Fingerprint();
  slot.data = data, slot.elements = elements, slot.gaps = poisons.gaps;
  if (slot.IsUniform()) {
    slot.buffer.WritePoison(elements, poisons.guards);
  } else if (slot.gapless) {
    slot.buffer.Write(slot.Data(), poisons.guards);
  } else {
    slot.buffer.Write(slot.Image(), poisons.guards);
  }
  slot.known = true;
}

void CaseRun::WriteSlots(const Poisons& poisons) {
  for (const auto& slot : slots_) {
    if (slot != nullptr) WriteSlot(*slot, poisons);
  }
}

void CaseRun::WriteWorkspace(Poison poison) {
  if (workspace_ != nullptr) workspace_->WritePoison(poison);
}

void CaseRun::ForgetContents() const {
  for (const auto& slot : slots_) {
    if (slot != nullptr) slot->known = false;
  }
}

void CaseRun::Reset(Poison poison) {
  ForgetContents();
  WriteSlots(Poisons::All(poison));
  WriteWorkspace(poison);
}

Reply CaseRun::TryPhaseOne(std::uint64_t* workspace_bytes, aclOpExecutor** executor) const {
  ForgetContents();
  return device_.TryPhaseOne(bound_, args_->All(), workspace_bytes, executor);
}

Reply CaseRun::TryPhaseTwo(std::byte* workspace, std::uint64_t workspace_bytes,
                           aclOpExecutor* executor) const {
  ForgetContents();
  return device_.TryPhaseTwo(bound_, workspace, workspace_bytes, executor);
}

double CaseRun::PhaseOne() {
  ForgetContents();
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  prepared_ = device_.PhaseOneOf(bound_, args_->All());
  const std::chrono::duration<double> seconds = Clock::now() - start;
  if (prepared_.workspace_bytes == 0) {
    workspace_.reset();
  } else if (workspace_ == nullptr || workspace_->size() != prepared_.workspace_bytes) {
    workspace_ = std::make_unique<GuardedBuffer>(device_, prepared_.workspace_bytes);
    workspace_->WritePoison(Poison::kFirst);
  }
  if (workspace_ != nullptr) workspace_->Shift(placement_ == Placement::kMoved ? kMoveBytes : 0);
  return seconds.count();
}

void CaseRun::PhaseTwo(const SideStream* side) {
  ForgetContents();
  device_.PhaseTwoOf(bound_, &prepared_, workspace_ != nullptr ? workspace_->data() : nullptr,
                     side);
}

void CaseRun::Prepare(const Setup& setup) {
  Place(setup.placement);
  WriteSlots(setup.poisons);
  device_.SetDeterministic(setup.deterministic);
  PhaseOne();
  WriteWorkspace(setup.poisons.workspace);
}

void CaseRun::Launch(const Setup& setup) {
  Prepare(setup);
  PhaseTwo();
  device_.Synchronize();
}

Aftermath CaseRun::FirstLaunch(bool deterministic, bool look_for_damage) {
  std::optional<Aftermath>& kept = first_launches_[deterministic ? 1 : 0];
  if (kept && (kept->damage || !look_for_damage)) return *kept;
  kept.reset();
  Launch(Poison::kFirst, deterministic);
  Aftermath left;  // kept when it is complete: anything here may throw
  if (look_for_damage) left.damage = Damage();
  std::optional<Aftermath>& other = first_launches_[deterministic ? 0 : 1];
  if (other && LeftAgain(*other->outputs)) {
    left.outputs = other->outputs;
  } else {
    other.reset();
    left.outputs = std::make_shared<const KeptOutputs>(Outputs());
  }
  return kept.emplace(std::move(left));
}

void CaseRun::LaunchBeside(CaseRun* neighbour, const Setup& setup) {
  neighbour->Prepare(setup);
  Prepare(setup);
  const SideStream side(device_);
  neighbour->PhaseTwo(&side);
  PhaseTwo();
  device_.Synchronize();
}

Reply CaseRun::LaunchTwice(const Setup& setup, const std::function<void()>& after) {
  Prepare(setup);
  Reply reply = device_.MakeRepeatable(prepared_);
  for (int launch = 0; launch < 2 && reply.status == 0; ++launch) {
    if (launch > 0) {
      WriteSlots(setup.poisons);
      WriteWorkspace(setup.poisons.workspace);
    }
    reply = TryPhaseTwo(workspace_ != nullptr ? workspace_->data() : nullptr,
                        prepared_.workspace_bytes, prepared_.executor.get());
    if (reply.status != 0) break;
    device_.Synchronize();
    after();
  }
  prepared_.executor.reset();
  return reply;
}

CaseRun::Times CaseRun::LaunchTimed() {
  if (placement_ != Placement::kAligned) {
    Place(Placement::kAligned);
    Reset(Poison::kFirst);
  }
  const double phase_one = PhaseOne();
  const double kernel = device_.TimeSeconds([this] { PhaseTwo(); });
  return {phase_one, kernel};
}

Bytes CaseRun::Output(std::size_t index) const {
  const Slot* slot = slots_[index].get();
  if (slot == nullptr || !slot->writable) return {};
  Bytes output(ElementCount(slot->layout.shape) * slot->element_bytes);
  if (slot->gapless) {
    slot->buffer.Read(output);
  } else {
    Gather(slot->layout, slot->element_bytes, Storage(index).data(), output.data());
  }
  return output;
}

DenseTensors CaseRun::Outputs() const {
  DenseTensors outputs(slots_.size());
  for (std::size_t i = 0; i < slots_.size(); ++i) outputs[i] = Output(i);
  return outputs;
}

bool CaseRun::LeftAgain(const KeptOutputs& outputs) const {
  return std::ranges::all_of(slots_, [&](const auto& slot) {
    if (slot == nullptr || !slot->writable) return true;
    const Bytes& output = outputs.tensors()[slot->index];
    if (!slot->gapless) return Output(slot->index) == output;
    return !slot->buffer.FirstOther(output, &outputs.fingerprints_[slot->index]);
  });
}

Bytes CaseRun::Storage(std::size_t index) const {
  if (slots_[index] == nullptr) return {};
  Bytes storage(slots_[index]->buffer.size());
  slots_[index]->buffer.Read(storage);
  return storage;
}

std::optional<std::string> CaseRun::SlotDamage(Slot& slot) {
  const std::string name(slot.param->name);
  if (const auto guard = slot.buffer.Damage()) {
    return fmt::format("{}: written out of bounds: {}, {}", name, guard->text,
                       guard->behind ? PlaceOf(slot.layout, slot.element_bytes, slot.buffer.size())
                                     : PlaceOf(slot.layout, slot.element_bytes, 0));
  }
  std::optional<std::size_t> at;
  std::byte was{};
  if (!slot.writable) {
    at = slot.FirstChange();
    slot.known = !at;
    if (at) was = slot.IsUniform() ? PoisonByte(slot.elements) : slot.Image()[*at];
  } else if (!slot.gapless) {
    // Only the elements of the view may change: put the old ones back and compare.
    const Bytes image = slot.Image();
    Bytes now(image.size()), dense(ElementCount(slot.layout.shape) * slot.element_bytes);
    slot.buffer.Read(now);
    Gather(slot.layout, slot.element_bytes, image.data(), dense.data());
    Scatter(slot.layout, slot.element_bytes, dense.data(), now.data());
    const auto [changed, held] = std::ranges::mismatch(now, image);
    if (changed != now.end()) {
      at = static_cast<std::size_t>(changed - now.begin());
      was = *held;
    }
  }
  if (!at) return std::nullopt;
  const std::string_view what = slot.writable ? "a gap between its elements was"
                                : slot.param->kind == Param::Kind::kInput
                                    ? "the input was"
                                    : "an output that is not wanted was";
  return fmt::format("{}: {} changed: byte {} of its storage, {}, was 0x{:02x}, is 0x{:02x}", name,
                     what, *at, PlaceOf(slot.layout, slot.element_bytes, *at),
                     std::to_integer<unsigned>(was), std::to_integer<unsigned>(slot.ByteNow(*at)));
}

std::optional<std::string> CaseRun::AnyChange() const {
  for (const auto& slot : slots_) {
    if (slot == nullptr) continue;
    if (auto damage = SlotDamage(*slot)) return damage;
    if (slot->known) continue;
    const auto at = slot->FirstChange();
    if (at) return fmt::format("{}: byte {} of its storage was written", slot->param->name, *at);
    slot->known = true;
  }
  return std::nullopt;
}

std::vector<std::string> CaseRun::Damage() const {
  std::vector<std::string> damage;
  for (const auto& slot : slots_) {
    if (slot == nullptr) continue;
    if (auto line = SlotDamage(*slot)) damage.push_back(std::move(*line));
  }
  if (workspace_ != nullptr) {
    if (const auto guard = workspace_->Damage()) {
      damage.push_back(fmt::format("workspace of {} bytes: written out of bounds: {}",
                                   workspace_->size(), guard->text));
    }
  }
  return damage;
}

std::uint64_t HashOf(const DenseTensors& outputs) {
  std::uint64_t hash = HashText("");
  for (const Bytes& output : outputs) {
    Fingerprint fingerprint(output.size());
    fingerprint.Note(output, 0);
    hash = fingerprint.Hash(hash);
  }
  return hash;
}

std::uint64_t CaseRun::tensor_bytes() const { return StorageBytes(case_); }

std::uint64_t CaseRun::compulsory_bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& slot : slots_) {
    if (slot == nullptr || !case_.Uses(*slot->param)) continue;
    bytes += ElementCount(slot->layout.shape) * slot->element_bytes;
  }
  return bytes;
}

}  // namespace normgrad
