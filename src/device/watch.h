// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace normgrad {

/// What the tool is doing with a device library at a moment: one of its calls, or nothing.
enum class Phase : std::uint32_t {
  kOwnWork,      // no call of the library is under way
  kOpen,         // loading the library, initialising it, selecting the device
  kQuery,        // asking what the device is and has
  kAllocate,     // aclrtMalloc
  kFree,         // aclrtFree
  kCopy,         // aclrtMemcpy
  kCreate,       // tensors, arrays, streams, options
  kDestroy,      // tensors, arrays, streams, executors
  kPhaseOne,     // aclnnXGetWorkspaceSize
  kPhaseTwo,     // aclnnX, and other work that is only enqueued
  kSynchronize,  // waiting for a stream
  kClose,        // giving everything back
  kOtherProcess  // waiting for what another process of this tool has to say
};

/// Every phase, in the order above.
std::span<const Phase> Phases();

/// In words that follow "in": "phase 1", "waiting for the stream", …
std::string_view Name(Phase phase);

/// Told what a device is about to do, by the thread that drives it. Must be cheap: hears of every
/// call.
class DeviceWatch {
 public:
  virtual ~DeviceWatch() = default;

  /// A call of this kind begins; kOwnWork when it has returned.
  virtual void OnPhase(Phase phase) = 0;

  /// The library says so, after a call that failed.
  virtual void OnMessage(std::string_view message) = 0;
};

}  // namespace normgrad
