// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/dtype.h"
#include "base/layout.h"
#include "device/library.h"
#include "device/watch.h"

namespace normgrad {

/// A call into the device library failed. What happened to one case, not something the user typed:
/// the runner turns it into an outcome.
class DeviceError : public std::runtime_error {
 public:
  /// "<call> returned 561002 (ACLNN_ERR_INNER_TILING_ERROR): <device's message>"
  DeviceError(std::string_view call, int status, std::string_view device_message);
  bool timed_out() const;  // the device did not finish within the limit
  int status() const { return status_; }

 private:
  int status_;
};

/// A device failed before it was given a case: no case's outcome, and nothing that the user typed.
/// The message says which library and what it answered; exit code 5.
class StartError : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Device;

/// Device memory, freed with the object unless the device is lost.
class DeviceMemory {
 public:
  DeviceMemory(const Device& device, void* address) : device_(&device), address_(address) {}
  DeviceMemory(DeviceMemory&& other) noexcept
      : device_(other.device_), address_(std::exchange(other.address_, nullptr)) {}
  DeviceMemory& operator=(DeviceMemory&&) = delete;
  ~DeviceMemory();
  std::byte* address() const { return static_cast<std::byte*>(address_); }

 private:
  const Device* device_;
  void* address_;
};

/// Has its device destroy what it made.
struct Destroyer {
  const Device* device = nullptr;
  void operator()(aclTensor* tensor) const;
  void operator()(aclIntArray* array) const;
  void operator()(aclBoolArray* array) const;
  void operator()(aclOpExecutor* executor) const;
};

/// Arguments of a call, and an executor that phase 2 has not consumed; destroyed with the object.
using DeviceTensor = std::unique_ptr<aclTensor, Destroyer>;
using DeviceIntArray = std::unique_ptr<aclIntArray, Destroyer>;
using DeviceBoolArray = std::unique_ptr<aclBoolArray, Destroyer>;
using DeviceExecutor = std::unique_ptr<aclOpExecutor, Destroyer>;

/// What a call of the library answered, right or wrong.
struct Reply {
  int status = 0;
  std::string message{};  // aclGetRecentErrMsg() after a status that is not 0
};

/// One prepared call: what phase 1 answered.
struct Prepared {
  std::uint64_t workspace_bytes = 0;
  DeviceExecutor executor{};
};

/// A stream beside the device's own, for work that runs at the same time. Waited for and destroyed
/// with the object.
class SideStream {
 public:
  explicit SideStream(const Device& device);
  SideStream(const SideStream&) = delete;
  SideStream& operator=(const SideStream&) = delete;
  ~SideStream();
  aclrtStream get() const { return stream_; }

 private:
  const Device& device_;
  aclrtStream stream_ = nullptr;
};

/// One device of a library, with a stream of its own. One host thread drives it.
/// Every function throws DeviceError when the library refuses.
class Device {
 public:
  /// Initialises the library and selects device `id`; no wait takes longer than `timeout_seconds`.
  /// `watch`, which may be null, hears of every call and must live as long as the device.
  /// Throws Error when there is no such device, DeviceError when it does not start.
  Device(const DeviceLibrary& library, std::int32_t id, double timeout_seconds,
         DeviceWatch* watch = nullptr);
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  ~Device();

  const DeviceLibrary& library() const { return library_; }
  std::string SocName() const;
  std::string Description() const;  // "Ascend910B1, acl 1.17.0, 23.4 GiB free of 23.5 GiB"
  std::size_t FreeBytes() const;
  std::uint32_t Count() const;  // devices of the library

  /// Bytes of the last cache in front of memory; 0 where the library does not say.
  std::size_t CacheBytes() const;

  /// Makes the device stand in for `product`, or, on a library that cannot (a vendor's), tells
  /// whether it is one. Returns false when it is another product.
  bool Become(std::string_view product) const;

  /// Whether the library is one of ours, which obey the documents to the letter.
  bool IsOurs() const { return api_.set_product != nullptr; }

  /// Threads a CPU device may use; 0 for all. No effect on libraries without the extension.
  void SetThreads(unsigned threads) const;
  bool CanSetThreads() const { return api_.set_threads != nullptr; }
  unsigned threads() const { return threads_; }  // as last set

  DeviceMemory Allocate(std::size_t bytes) const;

  /// Memory to measure motions in. It holds random bytes: pages that nobody has written may all be
  /// the same one, and some processors move zeros a fifth faster than anything else.
  DeviceMemory AllocateFilled(std::size_t bytes) const;
  void Upload(std::byte* to, std::span<const std::byte> from) const;
  void Download(std::span<std::byte> to, const std::byte* from) const;

  /// Where this process reads the device memory from `address` to the end of its allocation in
  /// place; null where it must Download().
  const std::byte* HostView(const std::byte* address) const;

  /// A view of `storage` with element type and format given as aclDataType and aclFormat.
  DeviceTensor MakeTensor(const Layout& layout, std::int32_t dtype, std::int32_t format,
                          std::byte* storage) const;
  DeviceIntArray MakeIntArray(std::span<const std::int64_t> values) const;
  DeviceBoolArray MakeBoolArray(const std::vector<bool>& values) const;

  /// Owns what TryPhaseOne() gave; null for null.
  DeviceExecutor Own(aclOpExecutor* executor) const { return {executor, Destroyer{this}}; }

  /// ACL_OPT_DETERMINISTIC, read by later phase-1 calls.
  void SetDeterministic(bool on) const;

  Prepared PhaseOneOf(const BoundOperator& op, std::span<const Arg> args) const;

  /// Both phases with whatever arguments, however wrong; nothing but what they answer.
  Reply TryPhaseOne(const BoundOperator& op, std::span<const Arg> args,
                    std::uint64_t* workspace_bytes, aclOpExecutor** executor) const;
  Reply TryPhaseTwo(const BoundOperator& op, std::byte* workspace, std::uint64_t workspace_bytes,
                    aclOpExecutor* executor) const;

  /// Lets phase 2 run more than once on an executor, which it then no longer consumes. A status
  /// that is not 0 means that this library, or this executor, does not offer it.
  Reply MakeRepeatable(const Prepared& prepared) const;

  /// Enqueues phase 2 on the stream, or on `side`; does not wait. Consumes the executor, as the ABI
  /// does.
  void PhaseTwoOf(const BoundOperator& op, Prepared* prepared, std::byte* workspace,
                  const SideStream* side = nullptr) const;
  /// Waits for the stream, or for `side`. When that takes longer than the limit, waits ten times as
  /// long for the launch to end before it throws; if even then it has not, the device is lost().
  void Synchronize(const SideStream* side = nullptr) const;

  /// How long Synchronize() may take on a library that keeps to the limits it is given.
  static double MostWaitSeconds(double timeout_seconds);

  /// A launch never ended and may still read and write its memory. Nothing is given back any more,
  /// and the library must not be torn down: leave the process with std::_Exit.
  bool lost() const { return lost_; }

  /// Device seconds that whatever `enqueue` puts on the stream takes; waits for it.
  template <typename Enqueue>
  double TimeSeconds(Enqueue enqueue) const {
    Record(start_);
    enqueue();
    Record(stop_);
    return ElapsedSeconds();
  }

  /// Enqueues a device-to-device copy.
  void CopyOnDevice(std::byte* to, const std::byte* from, std::size_t bytes) const;

  /// Whether the library has Move(), which is an extension of ours.
  bool CanMove() const { return api_.move != nullptr; }
  /// Moves device memory as normgradMove() says, and returns when done.
  void Move(normgradMotion motion, std::byte* to, const std::byte* a, const std::byte* b,
            std::size_t bytes, std::uint32_t times) const;

 private:
  friend class DeviceMemory;
  friend class SideStream;
  friend struct Destroyer;

  /// Calls a function of the library and lets the watch know.
  template <typename Function, typename... Args>
  auto In(Phase phase, Function* function, Args... args) const {
    if (watch_ == nullptr) return function(args...);
    watch_->OnPhase(phase);
    const auto answer = function(args...);
    watch_->OnPhase(Phase::kOwnWork);
    return answer;
  }

  void Open();
  void Close() noexcept;
  void Check(int status, std::string_view call) const;
  Reply ReplyOf(int status) const;
  std::string RecentMessage() const;
  void Record(aclrtEvent event) const;
  double ElapsedSeconds() const;

  const DeviceLibrary& library_;
  const Api& api_;
  std::int32_t id_;
  std::int32_t timeout_ms_;
  DeviceWatch* watch_;
  bool initialised_ = false;
  bool selected_ = false;
  aclrtStream stream_ = nullptr;
  aclrtEvent start_ = nullptr;
  aclrtEvent stop_ = nullptr;
  mutable unsigned threads_ = 0;
  mutable bool lost_ = false;
};

}  // namespace normgrad
