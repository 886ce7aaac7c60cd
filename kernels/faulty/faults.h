// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/api/kernel.h"

namespace normgrad::faulty {

/// One launch of a correct kernel and what a fault may know about it.
struct Scene {
  const Launch& launch;
  std::uint64_t workspace_bytes = 0;
  std::uint64_t launches = 0;  // of this process so far, this one included
};

/// A way for a device to be wrong, chosen with the environment variable NORMGRAD_FAULT.
struct Fault {
  std::string_view name;
  std::string_view what;  // what it does, in one line
  /// Runs around the correct kernel: calls `compute` where the work belongs.
  void (*run)(const Scene& scene, void (*compute)(const Launch& launch));
};

/// Every fault. Those that need a tensor's elements leave a call without elements correct.
std::span<const Fault> Faults();

}  // namespace normgrad::faulty
