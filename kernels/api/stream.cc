// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
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
  auto stream = std::make_shared<Stream>();
  stream->context = CurrentContext();
  *handle = Streams().Add(std::move(stream));
}

// Default streams end with their context, so null is no stream here.
std::shared_ptr<Stream> Take(aclrtStream handle) {
  RequirePointer(handle, "stream");
  FindStream(handle);
  return Streams().Remove(handle);
}

void Await(Mark& mark, Timeout timeout) {
  if (mark.Wait(timeout)) return;
  throw Refusal(ACL_ERROR_RT_STREAM_SYNC_TIMEOUT, "work is still going on after {} ms",
                timeout->count());
}

void ReportFailure(Stream& stream) {
  if (const std::optional<std::string> failure = stream.queue->TakeFailure()) {
    throw Refusal(ACL_ERROR_RT_AICORE_EXCEPTION, "{}", *failure);
  }
}

std::shared_ptr<Mark> MarkNow(Stream& stream) {
  auto mark = backend::MakeMark();
  stream.queue->Record(mark);
  return mark;
}

// Waits for the work `stream` has now, then reports the failures of its work.
void Synchronize(Stream& stream, Timeout timeout) {
  Await(*MarkNow(stream), timeout);
  ReportFailure(stream);
}

void SynchronizeAll(Timeout timeout) {
  CurrentContext();
  auto streams = DefaultStreams();
  for (auto& stream : Streams().All()) streams.push_back(std::move(stream));
  std::vector<std::shared_ptr<Mark>> marks;
  marks.reserve(streams.size());
  for (const auto& stream : streams) marks.push_back(MarkNow(*stream));
  const auto begin = std::chrono::steady_clock::now();
  for (const auto& mark : marks) {
    Timeout left = timeout;
    if (left) {
      const auto gone = std::chrono::duration_cast<std::chrono::milliseconds>(
          std::chrono::steady_clock::now() - begin);
      left = std::max(std::chrono::milliseconds(0), *timeout - gone);
    }
    Await(*mark, left);
  }
  for (const auto& stream : streams) ReportFailure(*stream);
}

}  // namespace

std::shared_ptr<Stream> FindStream(aclrtStream handle) {
  const aclrtContext context = CurrentContext();
  if (handle == nullptr) return DefaultStream(context);
  auto stream = Streams().Find(handle);
  if (!stream) {
    throw Refusal(ACL_ERROR_RT_INVALID_HANDLE, "{} is not a stream, or was destroyed",
                  fmt::ptr(handle));
  }
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

void ReleaseStreams() {
  for (const auto& stream : Streams().All()) stream->queue->Abandon();
  Streams().Clear();
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
  const auto taken = normgrad::Take(stream);
  normgrad::Synchronize(*taken, std::nullopt);
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtDestroyStreamForce(aclrtStream stream) try {
  normgrad::Take(stream)->queue->Abandon();
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
