// SPDX-License-Identifier: Apache-2.0
#include "device/device.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "abi/status.h"
#include "base/error.h"
#include "base/random.h"
#include "base/text.h"

namespace normgrad {
namespace {

/// What the device says, without the name of the call that the message names already.
std::string_view WithoutPrefix(std::string_view message, std::string_view call) {
  if (message.empty()) return "the device gave no message";
  if (!message.starts_with(call)) return message;
  message.remove_prefix(call.size());
  return message.starts_with(": ") ? message.substr(2) : message;
}

/// How long a launch that takes too long is waited for, so that its memory can be given back.
std::int32_t GraceMs(std::int32_t timeout_ms) {
  constexpr std::int32_t kMostGraceMs = 30'000;
  return timeout_ms > kMostGraceMs / 10 ? kMostGraceMs : 10 * timeout_ms;
}

}  // namespace

DeviceError::DeviceError(std::string_view call, int status, std::string_view device_message)
    : std::runtime_error(fmt::format("{} returned {} ({}): {}", call, status, StatusName(status),
                                     WithoutPrefix(device_message, call))),
      status_(status) {}

bool DeviceError::timed_out() const {
  return status_ == ACL_ERROR_RT_STREAM_SYNC_TIMEOUT || status_ == ACL_ERROR_RT_EVENT_SYNC_TIMEOUT;
}

DeviceMemory::~DeviceMemory() {
  if (address_ != nullptr && !device_->lost()) {
    device_->In(Phase::kFree, device_->api_.free, address_);
  }
}

void Destroyer::operator()(aclTensor* tensor) const {
  device->In(Phase::kDestroy, device->api_.destroy_tensor, static_cast<const aclTensor*>(tensor));
}

void Destroyer::operator()(aclIntArray* array) const {
  device->In(Phase::kDestroy, device->api_.destroy_int_array,
             static_cast<const aclIntArray*>(array));
}

void Destroyer::operator()(aclBoolArray* array) const {
  device->In(Phase::kDestroy, device->api_.destroy_bool_array,
             static_cast<const aclBoolArray*>(array));
}

void Destroyer::operator()(aclOpExecutor* executor) const {
  device->In(Phase::kDestroy, device->api_.destroy_executor, executor);
}

SideStream::SideStream(const Device& device) : device_(device) {
  device_.Check(device_.In(Phase::kCreate, device_.api_.create_stream, &stream_),
                "aclrtCreateStream");
}

SideStream::~SideStream() {
  if (device_.lost()) return;
  try {
    device_.Synchronize(this);
  } catch (const DeviceError&) {
    // Of whoever launched the work: waited for here so that its memory is not taken away.
  }
  if (!device_.lost()) device_.In(Phase::kDestroy, device_.api_.destroy_stream, stream_);
}

Device::Device(const DeviceLibrary& library, std::int32_t id, double timeout_seconds,
               DeviceWatch* watch)
    : library_(library),
      api_(library.api()),
      id_(id),
      timeout_ms_(static_cast<std::int32_t>(std::ceil(timeout_seconds * 1e3))),
      watch_(watch) {
  try {
    Open();
  } catch (...) {
    Close();
    throw;
  }
}

void Device::Open() {
  const int status = In(Phase::kOpen, api_.init, nullptr);
  if (status != ACL_ERROR_REPEAT_INITIALIZE) Check(status, "aclInit");
  initialised_ = true;
  const std::uint32_t count = Count();
  if (id_ < 0 || static_cast<std::uint32_t>(id_) >= count) {
    throw Error("{}: no device {}: the library has {}, numbered from 0",
                fmt::join(library_.paths(), ","), id_, count);
  }
  Check(In(Phase::kOpen, api_.set_device, id_), "aclrtSetDevice");
  selected_ = true;
  Check(In(Phase::kOpen, api_.create_stream, &stream_), "aclrtCreateStream");
  Check(In(Phase::kOpen, api_.create_event, &start_, ACL_EVENT_TIME_LINE),
        "aclrtCreateEventWithFlag");
  Check(In(Phase::kOpen, api_.create_event, &stop_, ACL_EVENT_TIME_LINE),
        "aclrtCreateEventWithFlag");
}

Device::~Device() { Close(); }

void Device::Close() noexcept {
  if (lost_) return;
  // Teardown order of the runtime's documentation: events, streams, device.
  if (start_ != nullptr) In(Phase::kClose, api_.destroy_event, start_);
  if (stop_ != nullptr) In(Phase::kClose, api_.destroy_event, stop_);
  if (stream_ != nullptr) In(Phase::kClose, api_.destroy_stream, stream_);
  if (selected_) In(Phase::kClose, api_.reset_device, id_);
  if (initialised_) In(Phase::kClose, api_.finalize);
}

void Device::Check(int status, std::string_view call) const {
  if (status != ACL_SUCCESS) throw DeviceError(call, status, RecentMessage());
}

std::string Device::RecentMessage() const {
  const char* const text = In(Phase::kQuery, api_.recent_error);
  std::string message = text != nullptr ? text : "";
  if (watch_ != nullptr) watch_->OnMessage(message);
  return message;
}

std::uint32_t Device::Count() const {
  std::uint32_t count = 0;
  Check(In(Phase::kQuery, api_.device_count, &count), "aclrtGetDeviceCount");
  return count;
}

std::string Device::SocName() const {
  const char* name = In(Phase::kQuery, api_.soc_name);
  return name != nullptr ? name : "unknown SoC";
}

std::string Device::Description() const {
  std::int32_t major = 0, minor = 0, patch = 0;
  Check(In(Phase::kQuery, api_.version, &major, &minor, &patch), "aclrtGetVersion");
  std::size_t free_bytes = 0, total_bytes = 0;
  Check(In(Phase::kQuery, api_.mem_info, ACL_HBM_MEM, &free_bytes, &total_bytes),
        "aclrtGetMemInfo");
  const std::string& instructions = library_.instruction_set();
  return fmt::format("{}, acl {}.{}.{}, {} free of {}{}", SocName(), major, minor, patch,
                     HumanBytes(static_cast<double>(free_bytes)),
                     HumanBytes(static_cast<double>(total_bytes)),
                     instructions.empty() ? "" : ", " + instructions + " instructions");
}

std::size_t Device::FreeBytes() const {
  std::size_t free_bytes = 0, total_bytes = 0;
  Check(In(Phase::kQuery, api_.mem_info, ACL_HBM_MEM, &free_bytes, &total_bytes),
        "aclrtGetMemInfo");
  return free_bytes;
}

std::size_t Device::CacheBytes() const {
  std::int64_t bytes = 0;
  if (api_.device_info == nullptr ||
      In(Phase::kQuery, api_.device_info, static_cast<std::uint32_t>(id_),
         ACL_DEV_ATTR_L2_CACHE_SIZE, &bytes) != ACL_SUCCESS) {
    return 0;
  }
  return static_cast<std::size_t>(std::max<std::int64_t>(bytes, 0));
}

bool Device::Become(std::string_view product) const {
  if (api_.set_product != nullptr) {
    const std::string key(product);
    Check(In(Phase::kQuery, api_.set_product, key.c_str()), "normgradSetProduct");
    return true;
  }
  const Product* actual = ProductOfSoc(SocName());
  return actual != nullptr && actual->key == product;
}

void Device::SetThreads(unsigned threads) const {
  if (api_.set_threads != nullptr) {
    Check(In(Phase::kCreate, api_.set_threads, threads), "normgradSetThreads");
  }
  threads_ = threads;
}

DeviceMemory Device::Allocate(std::size_t bytes) const {
  void* address = nullptr;
  // The runtime refuses 0 bytes; an empty tensor gets one it never touches.
  Check(In(Phase::kAllocate, api_.malloc, &address, std::max<std::size_t>(bytes, 1),
           ACL_MEM_MALLOC_HUGE_FIRST),
        "aclrtMalloc");
  return {*this, address};
}

DeviceMemory Device::AllocateFilled(std::size_t bytes) const {
  constexpr std::size_t kPieceBytes = std::size_t{4} << 20;
  std::vector<std::uint64_t> piece(std::min(bytes, kPieceBytes) / sizeof(std::uint64_t) + 1);
  const RandomStream random(bytes);
  for (std::size_t i = 0; i < piece.size(); ++i) piece[i] = random.Bits(i);
  DeviceMemory memory = Allocate(bytes);
  for (std::size_t first = 0; first < bytes; first += kPieceBytes) {
    const std::size_t count = std::min(kPieceBytes, bytes - first);
    Upload(memory.address() + first, std::as_bytes(std::span(piece)).first(count));
  }
  return memory;
}

void Device::Upload(std::byte* to, std::span<const std::byte> from) const {
  Check(In(Phase::kCopy, api_.memcpy, to, from.size(), from.data(), from.size(),
           ACL_MEMCPY_HOST_TO_DEVICE),
        "aclrtMemcpy (host to device)");
}

void Device::Download(std::span<std::byte> to, const std::byte* from) const {
  Check(In(Phase::kCopy, api_.memcpy, to.data(), to.size(), from, to.size(),
           ACL_MEMCPY_DEVICE_TO_HOST),
        "aclrtMemcpy (device to host)");
}

const std::byte* Device::HostView(const std::byte* address) const {
  if (api_.host_view == nullptr) return nullptr;
  const void* host = nullptr;
  Check(In(Phase::kQuery, api_.host_view, static_cast<const void*>(address), &host),
        "normgradHostView");
  return static_cast<const std::byte*>(host);
}

DeviceTensor Device::MakeTensor(const Layout& layout, std::int32_t dtype, std::int32_t format,
                                std::byte* storage) const {
  aclTensor* tensor = In(Phase::kCreate, api_.create_tensor, layout.shape.data(),
                         layout.shape.size(), static_cast<aclDataType>(dtype),
                         layout.strides.data(), layout.offset, static_cast<aclFormat>(format),
                         layout.storage_shape.data(), layout.storage_shape.size(), storage);
  // aclCreateTensor has no status: null is its only way to fail.
  if (tensor == nullptr) Check(ACL_ERROR_FAILURE, "aclCreateTensor");
  return {tensor, Destroyer{this}};
}

DeviceIntArray Device::MakeIntArray(std::span<const std::int64_t> values) const {
  const std::int64_t none = 0;  // an address for an array without elements
  aclIntArray* array = In(Phase::kCreate, api_.create_int_array,
                          values.empty() ? &none : values.data(), values.size());
  if (array == nullptr) Check(ACL_ERROR_FAILURE, "aclCreateIntArray");
  return {array, Destroyer{this}};
}

DeviceBoolArray Device::MakeBoolArray(const std::vector<bool>& values) const {
  const auto bits = std::make_unique<bool[]>(values.size() + 1);
  std::ranges::copy(values, bits.get());
  aclBoolArray* array = In(Phase::kCreate, api_.create_bool_array, bits.get(), values.size());
  if (array == nullptr) Check(ACL_ERROR_FAILURE, "aclCreateBoolArray");
  return {array, Destroyer{this}};
}

void Device::SetDeterministic(bool on) const {
  Check(In(Phase::kCreate, api_.set_option, ACL_OPT_DETERMINISTIC, on ? 1 : 0),
        "aclrtCtxSetSysParamOpt");
}

Reply Device::ReplyOf(int status) const {
  if (status == ACL_SUCCESS) return {};
  return {status, RecentMessage()};
}

Reply Device::TryPhaseOne(const BoundOperator& op, std::span<const Arg> args,
                          std::uint64_t* workspace_bytes, aclOpExecutor** executor) const {
  return ReplyOf(
      In(Phase::kPhaseOne, op.phase_one, op.phase_one_symbol, args, workspace_bytes, executor));
}

Reply Device::TryPhaseTwo(const BoundOperator& op, std::byte* workspace,
                          std::uint64_t workspace_bytes, aclOpExecutor* executor) const {
  return ReplyOf(In(Phase::kPhaseTwo, op.phase_two, workspace, workspace_bytes, executor, stream_));
}

Prepared Device::PhaseOneOf(const BoundOperator& op, std::span<const Arg> args) const {
  Prepared prepared;
  aclOpExecutor* executor = nullptr;
  const int status = In(Phase::kPhaseOne, op.phase_one, op.phase_one_symbol, args,
                        &prepared.workspace_bytes, &executor);
  if (status != ACL_SUCCESS) Check(status, op.api + "GetWorkspaceSize");
  prepared.executor = Own(executor);
  return prepared;
}

Reply Device::MakeRepeatable(const Prepared& prepared) const {
  if (api_.set_repeatable == nullptr) {
    return {ACL_ERROR_API_NOT_SUPPORT, "the library has no aclSetAclOpExecutorRepeatable"};
  }
  return ReplyOf(In(Phase::kCreate, api_.set_repeatable, prepared.executor.get()));
}

void Device::PhaseTwoOf(const BoundOperator& op, Prepared* prepared, std::byte* workspace,
                        const SideStream* side) const {
  Check(In(Phase::kPhaseTwo, op.phase_two, workspace, prepared->workspace_bytes,
           prepared->executor.release(), side != nullptr ? side->get() : stream_),
        op.api);
}

double Device::MostWaitSeconds(double timeout_seconds) {
  const auto timeout_ms = static_cast<std::int32_t>(std::ceil(timeout_seconds * 1e3));
  return static_cast<double>(timeout_ms + GraceMs(timeout_ms)) * 1e-3;
}

void Device::Synchronize(const SideStream* side) const {
  const aclrtStream stream = side != nullptr ? side->get() : stream_;
  const int status = In(Phase::kSynchronize, api_.synchronize_stream, stream, timeout_ms_);
  if (status == ACL_ERROR_RT_STREAM_SYNC_TIMEOUT) {
    // The caller is about to give the call's memory back.
    lost_ = In(Phase::kSynchronize, api_.synchronize_stream, stream, GraceMs(timeout_ms_)) ==
            ACL_ERROR_RT_STREAM_SYNC_TIMEOUT;
  }
  Check(status, "aclrtSynchronizeStreamWithTimeout");
}

void Device::Record(aclrtEvent event) const {
  Check(In(Phase::kPhaseTwo, api_.record_event, event, stream_), "aclrtRecordEvent");
}

double Device::ElapsedSeconds() const {
  Synchronize();
  float milliseconds = 0;
  Check(In(Phase::kQuery, api_.elapsed_ms, &milliseconds, start_, stop_), "aclrtEventElapsedTime");
  return static_cast<double>(milliseconds) * 1e-3;
}

void Device::CopyOnDevice(std::byte* to, const std::byte* from, std::size_t bytes) const {
  Check(In(Phase::kPhaseTwo, api_.memcpy_async, to, bytes, from, bytes, ACL_MEMCPY_DEVICE_TO_DEVICE,
           stream_),
        "aclrtMemcpyAsync");
}

void Device::Move(normgradMotion motion, std::byte* to, const std::byte* a, const std::byte* b,
                  std::size_t bytes, std::uint32_t times) const {
  Check(In(Phase::kCopy, api_.move, motion, to, a, b, bytes, times), "normgradMove");
}

}  // namespace normgrad
