// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/fingerprint.h"
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
  void Write(std::span<const std::byte> payload, Poison guards);
  /// Fills the payload with `payload`, the guards with `guards`.
  void WritePoison(Poison payload, Poison guards);
  void WritePoison(Poison poison) { WritePoison(poison, poison); }
  /// Fills the guards alone.
  void WriteGuards(Poison guards);

  /// Downloads the payload from byte `first` on into `bytes`.
  void Read(std::span<std::byte> bytes, std::size_t first = 0) const;

  /// The first byte of the payload that is not as in `expected` (size() bytes), or not the
  /// poison's. Neither keeps a copy of the payload.
  std::optional<std::size_t> FirstOther(std::span<const std::byte> expected) const;
  std::optional<std::size_t> FirstOther(Poison expected) const;

  /// FirstOther(expected), for contents that are asked about again and again: fills in
  /// `fingerprint`, if it is of no bytes and nothing is other, and where it is filled in reads
  /// `expected` only to say which byte is other.
  std::optional<std::size_t> FirstOther(std::span<const std::byte> expected,
                                        Fingerprint* fingerprint) const;

  /// The guard byte next to the payload that no longer holds what was written, those behind its end
  /// first.
  std::optional<GuardDamage> Damage() const;

 private:
  std::size_t front_bytes() const { return kGuardBytes + shift_bytes_; }
  std::size_t back_bytes() const { return kGuardBytes + kShiftBytes - shift_bytes_; }

  template <typename Compare>
  std::optional<std::size_t> FirstOtherOf(Compare compare) const;
  void ReadPieces(std::size_t size, const std::function<bool(std::size_t)>& enough,
                  const std::function<void(std::span<const std::byte>, std::size_t)>& use) const;

  const Device& device_;
  std::size_t payload_bytes_;
  std::size_t shift_bytes_ = 0;
  DeviceMemory memory_;
  Poison guards_ = Poison::kFirst;
};

}  // namespace normgrad
