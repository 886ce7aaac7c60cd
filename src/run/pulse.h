// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "device/watch.h"
#include "report/result.h"

namespace normgrad {

/// What a worker is doing, in memory that it shares with whoever waits for it: costs the worker a
/// store, and is still there after the worker is gone. The device library can reach the memory,
/// too, so nothing that is read from it is trusted: it is text or within its range.
class Pulse final : public DeviceWatch {
 public:
  /// Makes the memory; descriptor() is what a worker attaches it by. Throws Error where the system
  /// gives none.
  Pulse();
  /// Attaches the memory of another process and closes `descriptor`. Throws Error.
  explicit Pulse(int descriptor);
  Pulse(const Pulse&) = delete;
  Pulse& operator=(const Pulse&) = delete;
  ~Pulse() override;

  int descriptor() const { return descriptor_; }

  // The worker's side.

  /// A step of a case: "fill", then the name of each check.
  void OnStep(std::string_view step);
  /// A check of the case has its answer.
  void OnAnswer(const CheckResult& answer);
  void OnPhase(Phase phase) override;
  void OnMessage(std::string_view message) override;
  /// The phase goes on, and rightly so.
  void Touch();

  // The other side.

  /// A new request, while the worker does nothing: nothing is known of it yet.
  void Begin();
  Phase phase() const;
  /// When the phase began, in seconds of the monotonic clock.
  double since_seconds() const;
  /// The step under way; empty before the first.
  std::string step() const;
  /// What the library last said of a call that failed, since Begin(); may be cut.
  std::string message() const;
  /// The checks answered since Begin(), in order; reasons may be cut.
  std::vector<CheckResult> answers() const;

 private:
  struct Shared;

  Shared* Map() const;

  int descriptor_;
  Shared* shared_;
};

/// Seconds of the monotonic clock, which all processes share.
double MonotonicSeconds();

}  // namespace normgrad
