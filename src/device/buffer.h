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

/// A device allocation between two guards.
class GuardedBuffer {
 public:
  static constexpr std::size_t kGuardBytes = 512;  // keeps the payload 64-byte aligned

  GuardedBuffer(const Device& device, std::size_t payload_bytes);

  std::byte* data() const { return memory_.address() + kGuardBytes; }
  std::size_t size() const { return payload_bytes_; }

  /// Uploads `payload` (size() bytes) between fresh guards.
  void Write(std::span<const std::byte> payload, Poison poison);
  /// Fills payload and guards with `poison`.
  void WritePoison(Poison poison);

  /// Downloads the payload into `payload` (size() bytes).
  void Read(std::span<std::byte> payload) const;

  /// The first guard byte that no longer holds what was written: "byte 3 behind its end" or
  /// "byte 1 before its start", with the value found.
  std::optional<std::string> GuardDamage() const;

 private:
  const Device& device_;
  std::size_t payload_bytes_;
  DeviceMemory memory_;
  Poison poison_ = Poison::kFirst;
};

}  // namespace normgrad
