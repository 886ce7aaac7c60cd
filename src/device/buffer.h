// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "device/device.h"

namespace normgrad {

/// What memory that the device must write, or must not touch, holds before a launch. The two are
/// complementary bit by bit and finite in every float type, so a value that survives both launches
/// was never written, and a result that follows them was computed from them.
enum class Poison : unsigned char { kFirst = 0x5A, kSecond = 0xA5 };

std::byte PoisonByte(Poison poison);

/// What was written beside a payload.
struct GuardDamage {
  bool behind = false;  // its end; else before its start
  std::string text{};   // "byte 3 behind its end is 0x07, 2 bytes in all"
};

/// A device allocation between two guards.
class GuardedBuffer {
 public:
  static constexpr std::size_t kGuardBytes = 512;   // keeps the payload 64-byte aligned
  static constexpr std::size_t kShiftBytes = 1024;  // the farthest that the payload can be shifted

  GuardedBuffer(const Device& device, std::size_t payload_bytes);

  std::byte* data() const { return memory_.address() + kGuardBytes + shift_bytes_; }
  std::size_t size() const { return payload_bytes_; }

  /// Puts the payload `bytes` behind its first place, where it must be written anew.
  /// std::logic_error beyond kShiftBytes.
  void Shift(std::size_t bytes);

  /// Uploads `payload` (size() bytes) between fresh guards.
  void Write(std::span<const std::byte> payload, Poison poison);
  /// Fills payload and guards with `poison`.
  void WritePoison(Poison poison);

  /// Downloads the payload into `payload` (size() bytes).
  void Read(std::span<std::byte> payload) const;

  /// The guard byte next to the payload that no longer holds what was written, those behind its end
  /// first.
  std::optional<GuardDamage> Damage() const;

 private:
  std::size_t front_bytes() const { return kGuardBytes + shift_bytes_; }
  std::size_t back_bytes() const { return kGuardBytes + kShiftBytes - shift_bytes_; }

  const Device& device_;
  std::size_t payload_bytes_;
  std::size_t shift_bytes_ = 0;
  DeviceMemory memory_;
  Poison poison_ = Poison::kFirst;
};

}  // namespace normgrad
