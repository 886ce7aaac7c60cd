// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/api/kernel.h"
#include "ops/operator.h"

namespace normgrad::faulty {

/// One launch of a correct kernel and what a fault may know about it.
struct Scene {
  const Operator& op;
  const Launch& launch;
  void (*compute)(const Launch& launch);  // the correct kernel
  std::uint64_t workspace_bytes = 0;
  std::uint64_t launches = 0;  // of this process so far, this one included
  bool used_executor = false;  // it has been launched before
  bool other_stream = false;   // the launch before this one was on another stream

  /// The last tensor of that kind and role that is present: x, dx, dgamma; nullptr for none.
  const KernelTensor* Find(Param::Kind kind, Role role) const;
};

/// A way for a device to be wrong, chosen with the environment variable NORMGRAD_FAULT.
struct Fault {
  std::string_view name;
  std::string_view what;            // what it does, in one line
  void (*run)(const Scene& scene);  // calls scene.compute where the work belongs
};

/// A way for phase 1 to be wrong, chosen the same way.
struct PhaseOneFault {
  std::string_view name;
  std::string_view what;
  decltype(&CheckContract) check;
};

/// Every fault of phase 1.
std::span<const PhaseOneFault> PhaseOneFaults();

/// Phase 1 asks for another workspace every time.
inline constexpr std::string_view kGrowingWorkspace = "growing-workspace";

/// Phase 1 asks for another workspace in every process.
inline constexpr std::string_view kWorkspaceOfTheProcess = "workspace-of-the-process";

/// Every fault of a launch. Those that need a tensor's elements leave a call without elements
/// correct.
std::span<const Fault> Faults();

}  // namespace normgrad::faulty
