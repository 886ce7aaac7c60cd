// SPDX-License-Identifier: Apache-2.0
#include "device/device.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "abi/status.h"
#include "base/error.h"
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

}  // namespace

DeviceError::DeviceError(std::string_view call, int status, std::string_view device_message)
    : std::runtime_error(fmt::format("{} returned {} ({}): {}", call, status, StatusName(status),
                                     WithoutPrefix(device_message, call))),
      status_(status) {}

bool DeviceError::timed_out() const {
  return status_ == ACL_ERROR_RT_STREAM_SYNC_TIMEOUT || status_ == ACL_ERROR_RT_EVENT_SYNC_TIMEOUT;
}

DeviceMemory::~DeviceMemory() {
  if (address_ != nullptr && !device_->lost()) device_->library().api().free(address_);
}

SideStream::SideStream(const Device& device) : device_(device) {
  device_.Check(device_.api_.create_stream(&stream_), "aclrtCreateStream");
}

SideStream::~SideStream() {
  if (device_.lost()) return;
  try {
    device_.Synchronize(this);
  } catch (const DeviceError&) {
    // Of whoever launched the work: waited for here so that its memory is not taken away.
  }
  if (!device_.lost()) device_.api_.destroy_stream(stream_);
}

Device::Device(const DeviceLibrary& library, std::int32_t id, double timeout_seconds)
    : library_(library),
      api_(library.api()),
      id_(id),
      timeout_ms_(static_cast<std::int32_t>(std::ceil(timeout_seconds * 1e3))) {
  try {
    Open();
  } catch (...) {
    Close();
    throw;
  }
}

void Device::Open() {
  const int status = api_.init(nullptr);
  if (status != ACL_ERROR_REPEAT_INITIALIZE) Check(status, "aclInit");
  initialised_ = true;
  std::uint32_t count = 0;
  Check(api_.device_count(&count), "aclrtGetDeviceCount");
  if (id_ < 0 || static_cast<std::uint32_t>(id_) >= count) {
    throw Error("{}: no device {}: the library has {}, numbered from 0",
                fmt::join(library_.paths(), ","), id_, count);
  }
  Check(api_.set_device(id_), "aclrtSetDevice");
  selected_ = true;
  Check(api_.create_stream(&stream_), "aclrtCreateStream");
  Check(api_.create_event(&start_, ACL_EVENT_TIME_LINE), "aclrtCreateEventWithFlag");
  Check(api_.create_event(&stop_, ACL_EVENT_TIME_LINE), "aclrtCreateEventWithFlag");
}

Device::~Device() { Close(); }

void Device::Close() noexcept {
  if (lost_) return;
  // Teardown order of the runtime's documentation: events, streams, device.
  if (start_ != nullptr) api_.destroy_event(start_);
  if (stop_ != nullptr) api_.destroy_event(stop_);
  if (stream_ != nullptr) api_.destroy_stream(stream_);
  if (selected_) api_.reset_device(id_);
  if (initialised_) api_.finalize();
}

void Device::Check(int status, std::string_view call) const {
  if (status == ACL_SUCCESS) return;
  const char* message = api_.recent_error();
  throw DeviceError(call, status, message != nullptr ? message : "");
}

std::string Device::SocName() const {
  const char* name = api_.soc_name();
  return name != nullptr ? name : "unknown SoC";
}

std::string Device::Description() const {
  std::int32_t major = 0, minor = 0, patch = 0;
  Check(api_.version(&major, &minor, &patch), "aclrtGetVersion");
  std::size_t free_bytes = 0, total_bytes = 0;
  Check(api_.mem_info(ACL_HBM_MEM, &free_bytes, &total_bytes), "aclrtGetMemInfo");
  return fmt::format("{}, acl {}.{}.{}, {} free of {}", SocName(), major, minor, patch,
                     HumanBytes(static_cast<double>(free_bytes)),
                     HumanBytes(static_cast<double>(total_bytes)));
}

std::size_t Device::FreeBytes() const {
  std::size_t free_bytes = 0, total_bytes = 0;
  Check(api_.mem_info(ACL_HBM_MEM, &free_bytes, &total_bytes), "aclrtGetMemInfo");
  return free_bytes;
}

std::size_t Device::CacheBytes() const {
  std::int64_t bytes = 0;
  if (api_.device_info == nullptr ||
      api_.device_info(static_cast<std::uint32_t>(id_), ACL_DEV_ATTR_L2_CACHE_SIZE, &bytes) !=
          ACL_SUCCESS) {
    return 0;
  }
  return static_cast<std::size_t>(std::max<std::int64_t>(bytes, 0));
}

bool Device::Become(std::string_view product) const {
  if (api_.set_product != nullptr) {
    Check(api_.set_product(std::string(product).c_str()), "normgradSetProduct");
    return true;
  }
  const Product* actual = ProductOfSoc(SocName());
  return actual != nullptr && actual->key == product;
}

void Device::SetThreads(unsigned threads) const {
  if (api_.set_threads != nullptr) Check(api_.set_threads(threads), "normgradSetThreads");
  threads_ = threads;
}

DeviceMemory Device::Allocate(std::size_t bytes) const {
  void* address = nullptr;
  // The runtime refuses 0 bytes; an empty tensor gets one it never touches.
  Check(api_.malloc(&address, std::max<std::size_t>(bytes, 1), ACL_MEM_MALLOC_HUGE_FIRST),
        "aclrtMalloc");
  return {*this, address};
}

void Device::Upload(std::byte* to, std::span<const std::byte> from) const {
  Check(api_.memcpy(to, from.size(), from.data(), from.size(), ACL_MEMCPY_HOST_TO_DEVICE),
        "aclrtMemcpy (host to device)");
}

void Device::Download(std::span<std::byte> to, const std::byte* from) const {
  Check(api_.memcpy(to.data(), to.size(), from, to.size(), ACL_MEMCPY_DEVICE_TO_HOST),
        "aclrtMemcpy (device to host)");
}

DeviceTensor Device::MakeTensor(const Layout& layout, std::int32_t dtype, std::int32_t format,
                                std::byte* storage) const {
  aclTensor* tensor =
      api_.create_tensor(layout.shape.data(), layout.shape.size(), static_cast<aclDataType>(dtype),
                         layout.strides.data(), layout.offset, static_cast<aclFormat>(format),
                         layout.storage_shape.data(), layout.storage_shape.size(), storage);
  // aclCreateTensor has no status: null is its only way to fail.
  if (tensor == nullptr) Check(ACL_ERROR_FAILURE, "aclCreateTensor");
  return {tensor, TensorDeleter{&api_}};
}

DeviceIntArray Device::MakeIntArray(std::span<const std::int64_t> values) const {
  const std::int64_t none = 0;  // an address for an array without elements
  aclIntArray* array = api_.create_int_array(values.empty() ? &none : values.data(), values.size());
  if (array == nullptr) Check(ACL_ERROR_FAILURE, "aclCreateIntArray");
  return {array, ArrayDeleter{&api_}};
}

DeviceBoolArray Device::MakeBoolArray(const std::vector<bool>& values) const {
  const auto bits = std::make_unique<bool[]>(values.size() + 1);
  std::ranges::copy(values, bits.get());
  aclBoolArray* array = api_.create_bool_array(bits.get(), values.size());
  if (array == nullptr) Check(ACL_ERROR_FAILURE, "aclCreateBoolArray");
  return {array, ArrayDeleter{&api_}};
}

void Device::SetDeterministic(bool on) const {
  Check(api_.set_option(ACL_OPT_DETERMINISTIC, on ? 1 : 0), "aclrtCtxSetSysParamOpt");
}

Reply Device::ReplyOf(int status) const {
  if (status == ACL_SUCCESS) return {};
  const char* message = api_.recent_error();
  return {status, message != nullptr ? message : ""};
}

Reply Device::TryPhaseOne(const BoundOperator& op, std::span<const Arg> args,
                          std::uint64_t* workspace_bytes, aclOpExecutor** executor) const {
  return ReplyOf(op.phase_one(op.phase_one_symbol, args, workspace_bytes, executor));
}

Reply Device::TryPhaseTwo(const BoundOperator& op, std::byte* workspace,
                          std::uint64_t workspace_bytes, aclOpExecutor* executor) const {
  return ReplyOf(op.phase_two(workspace, workspace_bytes, executor, stream_));
}

Prepared Device::PhaseOneOf(const BoundOperator& op, std::span<const Arg> args) const {
  Prepared prepared;
  aclOpExecutor* executor = nullptr;
  const int status = op.phase_one(op.phase_one_symbol, args, &prepared.workspace_bytes, &executor);
  if (status != ACL_SUCCESS) Check(status, op.api + "GetWorkspaceSize");
  prepared.executor = {executor, ExecutorDeleter{&api_}};
  return prepared;
}

Reply Device::MakeRepeatable(const Prepared& prepared) const {
  if (api_.set_repeatable == nullptr) {
    return {ACL_ERROR_API_NOT_SUPPORT, "the library has no aclSetAclOpExecutorRepeatable"};
  }
  return ReplyOf(api_.set_repeatable(prepared.executor.get()));
}

void Device::PhaseTwoOf(const BoundOperator& op, Prepared* prepared, std::byte* workspace,
                        const SideStream* side) const {
  Check(op.phase_two(workspace, prepared->workspace_bytes, prepared->executor.release(),
                     side != nullptr ? side->get() : stream_),
        op.api);
}

void Device::Synchronize(const SideStream* side) const {
  constexpr std::int32_t kMostGraceMs = 30'000;
  const aclrtStream stream = side != nullptr ? side->get() : stream_;
  const int status = api_.synchronize_stream(stream, timeout_ms_);
  if (status == ACL_ERROR_RT_STREAM_SYNC_TIMEOUT) {
    // The caller is about to give the call's memory back.
    const std::int32_t grace_ms = timeout_ms_ > kMostGraceMs / 10 ? kMostGraceMs : 10 * timeout_ms_;
    lost_ = api_.synchronize_stream(stream, grace_ms) == ACL_ERROR_RT_STREAM_SYNC_TIMEOUT;
  }
  Check(status, "aclrtSynchronizeStreamWithTimeout");
}

void Device::Record(aclrtEvent event) const {
  Check(api_.record_event(event, stream_), "aclrtRecordEvent");
}

double Device::ElapsedSeconds() const {
  Synchronize();
  float milliseconds = 0;
  Check(api_.elapsed_ms(&milliseconds, start_, stop_), "aclrtEventElapsedTime");
  return static_cast<double>(milliseconds) * 1e-3;
}

void Device::CopyOnDevice(std::byte* to, const std::byte* from, std::size_t bytes) const {
  Check(api_.memcpy_async(to, bytes, from, bytes, ACL_MEMCPY_DEVICE_TO_DEVICE, stream_),
        "aclrtMemcpyAsync");
}

}  // namespace normgrad
