// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "device/device.h"

namespace normgrad {

/// The CPU device, opened as the tool opens any.
inline const Device& CpuDevice() {
  static const DeviceLibrary kLibrary({NORMGRAD_CPU_LIBRARY});
  static const Device kDevice(kLibrary, 0, /*timeout_seconds=*/60);
  return kDevice;
}

}  // namespace normgrad
