// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kernels/api/device.h"
#include "kernels/api/refusal.h"
#include "kernels/api/registry.h"

namespace normgrad {
namespace {

constexpr std::uint32_t kStreamFlags = ACL_STREAM_FAST_LAUNCH | ACL_STREAM_FAST_SYNC |
                                       ACL_STREAM_PERSISTENT | ACL_STREAM_HUGE |
                                       ACL_STREAM_CPU_SCHEDULE | ACL_STREAM_DEVICE_USE_ONLY;

Registry<Stream, aclrtStream>& Streams() {
  static auto& streams = *new Registry<Stream, aclrtStream>;  // outlives every thread
  return streams;
}

void Create(aclrtStream* handle) {
  RequirePointer(handle, "stream");
  const std::lock_guard lock(DeviceMutex());
  *handle = AddStream(CurrentContext(), std::make_shared<Stream>());
}

std::shared_ptr<Stream> Require(std::shared_ptr<Stream> stream, aclrtStream handle) {
  if (stream) return stream;
  throw Refusal(ACL_ERROR_RT_INVALID_HANDLE, "{} is not a stream, or was destroyed",
                fmt::ptr(handle));
}

[[noreturn]] void RefuseToWait(Timeout timeout) {
  throw Refusal(ACL_ERROR_RT_STREAM_SYNC_TIMEOUT, "work is still going on after {} ms",
                timeout->count());
}

void ReportFailure(Stream& stream) {
  if (const std::optional<std::string> failure = stream.queue->TakeFailure()) {
    throw Refusal(ACL_ERROR_RT_AICORE_EXCEPTION, "{}", *failure);
  }
}

// Waits for the work `stream` has now, then reports the failures of its work.
void Synchronize(Stream& stream, Timeout timeout) {
  if (!stream.queue->Wait(timeout)) RefuseToWait(timeout);
  ReportFailure(stream);
}

// From now on nothing of `stream` runs, and nothing will.
void End(Stream& stream) {
  stream.queue->Abandon();
  stream.queue->Wait(std::nullopt);
}

// A stream that is being destroyed stays known until nothing of it runs: the device must not go
// before.
void Destroy(aclrtStream handle, bool drop_work) {
  RequirePointer(handle, "stream");  // default streams end with their context
  const auto stream = FindStream(handle);
  if (!drop_work) stream->queue->Wait(std::nullopt);
  End(*stream);
  Require(Streams().Remove(handle), handle);
  if (!drop_work) ReportFailure(*stream);
}

void SynchronizeAll(Timeout timeout) {
  CurrentContext();
  const auto streams = Streams().All();
  const auto begin = std::chrono::steady_clock::now();
  for (const auto& stream : streams) {
    Timeout left = timeout;
    if (left) {
      const auto gone = std::chrono::duration_cast<std::chrono::milliseconds>(
          std::chrono::steady_clock::now() - begin);
      left = std::max(std::chrono::milliseconds(0), *timeout - gone);
    }
    if (!stream->queue->Wait(left)) RefuseToWait(timeout);
  }
  for (const auto& stream : streams) ReportFailure(*stream);
}

}  // namespace

std::shared_ptr<Stream> FindStream(aclrtStream handle) {
  const aclrtContext context = CurrentContext();
  if (handle == nullptr) return DefaultStream(context);
  auto stream = Require(Streams().Find(handle), handle);
  if (stream->context != context) {
    throw Refusal(ACL_ERROR_RT_STREAM_CONTEXT, "the stream belongs to another context");
  }
  return stream;
}

Timeout ParseTimeout(std::int32_t milliseconds) {
  if (milliseconds == -1) return std::nullopt;
  if (milliseconds > 0) return std::chrono::milliseconds(milliseconds);
  throw Refusal(ACL_ERROR_RT_PARAM_INVALID, "timeout {} ms: expected -1 or more than 0",
                milliseconds);
}

aclrtStream AddStream(aclrtContext context, std::shared_ptr<Stream> stream) {
  stream->context = context;
  return Streams().Add(std::move(stream));
}

void ReleaseStreams(aclrtContext context) {
  const auto ends = [&](const Stream& stream) {
    return context == nullptr || stream.context == context;
  };
  auto streams = Streams().All();
  std::erase_if(streams, [&](const auto& stream) { return !ends(*stream); });
  for (const auto& stream : streams) stream->queue->Abandon();  // all, so that none awaits another
  for (const auto& stream : streams) End(*stream);
  Streams().RemoveIf(ends);
}

}  // namespace normgrad

using normgrad::FindStream;
using normgrad::Refusal;
using normgrad::RefuseAcl;
using normgrad::RequirePointer;

aclError aclrtCreateStream(aclrtStream* stream) try {
  normgrad::Create(stream);
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtCreateStreamWithConfig(aclrtStream* stream, std::uint32_t, std::uint32_t flag) try {
  if ((flag & ~normgrad::kStreamFlags) != 0) {
    throw Refusal(ACL_ERROR_RT_PARAM_INVALID, "flag {:#x} has unknown bits", flag);
  }
  normgrad::Create(stream);  // priority and flags are hints this device has no use for
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtDestroyStream(aclrtStream stream) try {
  normgrad::Destroy(stream, false);
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtDestroyStreamForce(aclrtStream stream) try {
  normgrad::Destroy(stream, true);
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtSynchronizeStream(aclrtStream stream) try {
  normgrad::Synchronize(*FindStream(stream), std::nullopt);
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtSynchronizeStreamWithTimeout(aclrtStream stream, std::int32_t timeout) try {
  normgrad::Synchronize(*FindStream(stream), normgrad::ParseTimeout(timeout));
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtSynchronizeDevice() try {
  normgrad::SynchronizeAll(std::nullopt);
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtSynchronizeDeviceWithTimeout(std::int32_t timeout) try {
  normgrad::SynchronizeAll(normgrad::ParseTimeout(timeout));
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtStreamQuery(aclrtStream stream, aclrtStreamStatus* status) try {
  RequirePointer(status, "status");
  const bool idle = FindStream(stream)->queue->Idle();
  *status = idle ? ACL_STREAM_STATUS_COMPLETE : ACL_STREAM_STATUS_NOT_READY;
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtSetOpExecuteTimeOut(std::uint32_t) try {
  throw Refusal(ACL_ERROR_RT_FEATURE_NOT_SUPPORT, "this device cannot interrupt an operator");
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtSetOpExecuteTimeOutWithMs(std::uint32_t) try {
  throw Refusal(ACL_ERROR_RT_FEATURE_NOT_SUPPORT, "this device cannot interrupt an operator");
} catch (...) {
  return RefuseAcl(__func__);
}
