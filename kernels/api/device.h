// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>

#include "abi/acl_abi.h"
#include "kernels/api/backend.h"
#include "ops/product.h"

namespace normgrad {

/// The one device there is.
inline constexpr std::int32_t kDeviceId = 0;

/// A queue and the context it belongs to. `queue` outlives every call that is using it.
struct Stream {
  aclrtContext context = nullptr;
  std::unique_ptr<Queue> queue = backend::MakeQueue();
};

/// The calling thread's current context; ACL_ERROR_RT_CONTEXT_NULL when it has none.
aclrtContext CurrentContext();

/// Held while the device, a context or a stream comes, and while the device or a context goes: what
/// comes is either ended with the device or comes after its end.
std::mutex& DeviceMutex();

/// The default stream of a live context.
std::shared_ptr<Stream> DefaultStream(aclrtContext context);

/// Makes a stream of `context` known: ReleaseStreams() ends it. With DeviceMutex() held.
aclrtStream AddStream(aclrtContext context, std::shared_ptr<Stream> stream);

/// The stream behind a handle; null means the current context's default stream. Refuses handles
/// that are not alive and streams of other contexts.
std::shared_ptr<Stream> FindStream(aclrtStream handle);

/// Milliseconds as CANN's functions take them: -1 is for ever, positive is a limit, others are
/// ACL_ERROR_RT_PARAM_INVALID.
Timeout ParseTimeout(std::int32_t milliseconds);

/// Ends the streams of `context`, the default one included, or of all contexts when it is null:
/// drops the work that has not begun and waits for what has. With DeviceMutex() held.
void ReleaseStreams(aclrtContext context);

/// Ends every event and allocation of the device. No stream may be left.
void ReleaseEvents();
void ReleaseDeviceMemory();

/// Ends everything on the device, whatever the count of aclrtSetDevice() is.
void ReleaseDevice();

/// Makes every option unset again.
void ForgetOptions();

/// Whether ACL_OPT_DETERMINISTIC asks for the same bits on every run.
bool DeterminismRequested();

/// The product this device plays. ACL_ERROR_INVALID_PARAM when NORMGRAD_PRODUCT names none.
const Product& CurrentProduct();

}  // namespace normgrad
