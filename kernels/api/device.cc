// SPDX-License-Identifier: Apache-2.0
// The device and its contexts.
#include "kernels/api/device.h"

#include <mutex>
#include <utility>

#include "kernels/api/per_thread.h"
#include "kernels/api/refusal.h"
#include "kernels/api/registry.h"

namespace normgrad {
namespace {

struct Context {
  std::shared_ptr<Stream> default_stream;
};

Registry<Context, aclrtContext>& Contexts() {
  static auto& contexts = *new Registry<Context, aclrtContext>;  // outlives every thread
  return contexts;
}

// DeviceMutex() guards what follows.
std::uint64_t device_references = 0;
aclrtContext default_context = nullptr;  // null while device_references is 0

// The calling thread's current context. Null until it has one; may have died since.
aclrtContext& Current() {
  static auto& contexts = *new PerThread<aclrtContext>;  // outlives every thread
  return contexts.Get();
}

aclrtContext NewContext() {
  const auto stream = std::make_shared<Stream>();
  const aclrtContext context = Contexts().Add(std::make_shared<Context>(Context{stream}));
  AddStream(context, stream);
  return context;
}

void RequireDevice(std::int64_t device) {
  if (device == kDeviceId) return;
  throw Refusal(ACL_ERROR_RT_INVALID_DEVICEID, "device {} does not exist: there is only device {}",
                device, kDeviceId);
}

std::int64_t Attribute(aclrtDevAttr attribute) {
  const backend::Facts& facts = backend::DeviceFacts();
  switch (attribute) {
    case ACL_DEV_ATTR_AICPU_CORE_NUM:
    case ACL_DEV_ATTR_AICORE_CORE_NUM:
    case ACL_DEV_ATTR_VECTOR_CORE_NUM: return facts.cores;
    case ACL_DEV_ATTR_CUBE_CORE_NUM:
    case ACL_DEV_ATTR_UBUF_PER_VECTOR_CORE: return 0;  // no such parts
    case ACL_DEV_ATTR_TOTAL_GLOBAL_MEM_SIZE: return static_cast<std::int64_t>(facts.memory_bytes);
    case ACL_DEV_ATTR_L2_CACHE_SIZE: return static_cast<std::int64_t>(facts.cache_bytes);
    case ACL_DEV_ATTR_NPU_ARCH: return CurrentProduct().arch;
  }
  throw Refusal(ACL_ERROR_INVALID_PARAM, "unknown attribute {}", static_cast<int>(attribute));
}

std::shared_ptr<Context> FindContext(aclrtContext handle) {
  RequirePointer(handle, "context");
  if (auto context = Contexts().Find(handle)) return context;
  throw Refusal(ACL_ERROR_RT_INVALID_HANDLE, "{} is not a context, or was destroyed",
                fmt::ptr(handle));
}

// Ends everything on the device, whatever the count of aclrtSetDevice() is. DeviceMutex() is held.
void End() {
  ReleaseStreams(nullptr);
  Contexts().Clear();
  ReleaseEvents();
  ReleaseDeviceMemory();
  device_references = 0;
  default_context = nullptr;
}

}  // namespace

std::mutex& DeviceMutex() {
  static std::mutex mutex;
  return mutex;
}

aclrtContext CurrentContext() {
  if (const aclrtContext context = Current(); Contexts().Find(context)) return context;
  throw Refusal(ACL_ERROR_RT_CONTEXT_NULL, "this thread has no context: call aclrtSetDevice first");
}

std::shared_ptr<Stream> DefaultStream(aclrtContext context) {
  return FindContext(context)->default_stream;
}

void ReleaseDevice() {
  const std::lock_guard lock(DeviceMutex());
  End();
}

}  // namespace normgrad

using normgrad::Refusal;
using normgrad::RefuseAcl;
using normgrad::RequireDevice;
using normgrad::RequirePointer;

aclError aclrtSetDevice(std::int32_t device) try {
  RequireDevice(device);
  const std::lock_guard lock(normgrad::DeviceMutex());
  if (normgrad::device_references == 0) normgrad::default_context = normgrad::NewContext();
  normgrad::Current() = normgrad::default_context;
  ++normgrad::device_references;
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtResetDevice(std::int32_t device) try {
  RequireDevice(device);
  const std::lock_guard lock(normgrad::DeviceMutex());
  if (normgrad::device_references == 0) {
    throw Refusal(ACL_ERROR_RT_CONTEXT_NULL, "device {} is not set", device);
  }
  if (--normgrad::device_references == 0) normgrad::End();
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtResetDeviceForce(std::int32_t device) try {
  RequireDevice(device);
  normgrad::ReleaseDevice();
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtGetDevice(std::int32_t* device) try {
  RequirePointer(device, "deviceId");
  normgrad::CurrentContext();
  *device = normgrad::kDeviceId;
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtGetDeviceCount(std::uint32_t* count) try {
  RequirePointer(count, "count");
  *count = 1;
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

const char* aclrtGetSocName() try {
  return normgrad::CurrentProduct().soc.data();  // a literal, so it ends in a zero
} catch (...) {
  RefuseAcl(__func__);
  return nullptr;
}

aclError aclrtGetRunMode(aclrtRunMode* mode) try {
  RequirePointer(mode, "runMode");
  *mode = ACL_HOST;
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtGetDeviceInfo(std::uint32_t device, aclrtDevAttr attribute, std::int64_t* value) try {
  RequireDevice(device);
  RequirePointer(value, "value");
  *value = normgrad::Attribute(attribute);
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtQueryDeviceStatus(std::int32_t device, aclrtDeviceStatus* status) try {
  RequireDevice(device);
  RequirePointer(status, "deviceStatus");
  *status = ACL_RT_DEVICE_STATUS_NORMAL;
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtGetDeviceResLimit(std::int32_t device, aclrtDevResLimitType type,
                                std::uint32_t* value) try {
  RequireDevice(device);
  RequirePointer(value, "value");
  switch (type) {
    case ACL_RT_DEV_RES_CUBE_CORE: *value = 0; return ACL_SUCCESS;
    case ACL_RT_DEV_RES_VECTOR_CORE:
      *value = normgrad::backend::DeviceFacts().cores;
      return ACL_SUCCESS;
  }
  throw Refusal(ACL_ERROR_INVALID_PARAM, "unknown type {}", static_cast<int>(type));
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtCreateContext(aclrtContext* context, std::int32_t device) try {
  RequirePointer(context, "context");
  RequireDevice(device);
  const std::lock_guard lock(normgrad::DeviceMutex());
  *context = normgrad::Current() = normgrad::NewContext();
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtDestroyContext(aclrtContext context) try {
  const std::lock_guard lock(normgrad::DeviceMutex());
  normgrad::FindContext(context);
  if (context == normgrad::default_context) {
    throw Refusal(ACL_ERROR_INVALID_PARAM,
                  "the default context ends with aclrtResetDevice, not here");
  }
  normgrad::ReleaseStreams(context);
  normgrad::Contexts().Remove(context);
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtSetCurrentContext(aclrtContext context) try {
  normgrad::FindContext(context);
  normgrad::Current() = context;
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtGetCurrentContext(aclrtContext* context) try {
  RequirePointer(context, "context");
  *context = normgrad::CurrentContext();
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}
