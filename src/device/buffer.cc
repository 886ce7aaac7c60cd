// SPDX-License-Identifier: Apache-2.0
#include "device/buffer.h"

#include <algorithm>

#include <fmt/format.h>

namespace normgrad {

std::byte PoisonByte(Poison poison) { return static_cast<std::byte>(poison); }

GuardedBuffer::GuardedBuffer(const Device& device, std::size_t payload_bytes)
    : device_(device),
      payload_bytes_(payload_bytes),
      memory_(device.Allocate(payload_bytes + 2 * kGuardBytes)) {}

void GuardedBuffer::Write(std::span<const std::byte> payload, Poison poison) {
  poison_ = poison;
  const std::vector<std::byte> guard(kGuardBytes, PoisonByte(poison));
  device_.Upload(memory_.address(), guard);
  if (!payload.empty()) device_.Upload(data(), payload);
  device_.Upload(data() + payload_bytes_, guard);
}

void GuardedBuffer::WritePoison(Poison poison) {
  poison_ = poison;
  const std::vector<std::byte> all(payload_bytes_ + 2 * kGuardBytes, PoisonByte(poison));
  device_.Upload(memory_.address(), all);
}

void GuardedBuffer::Read(std::span<std::byte> payload) const {
  if (!payload.empty()) device_.Download(payload, data());
}

std::optional<std::string> GuardedBuffer::GuardDamage() const {
  std::vector<std::byte> guard(kGuardBytes);
  const auto damaged = [this](std::byte value) { return value != PoisonByte(poison_); };
  device_.Download(guard, data() + payload_bytes_);
  if (const auto byte = std::ranges::find_if(guard, damaged); byte != guard.end()) {
    return fmt::format("byte {} behind its end is 0x{:02x}", byte - guard.begin(),
                       std::to_integer<unsigned>(*byte));
  }
  device_.Download(guard, memory_.address());
  const auto byte = std::find_if(guard.rbegin(), guard.rend(), damaged);
  if (byte == guard.rend()) return std::nullopt;
  return fmt::format("byte {} before its start is 0x{:02x}", byte - guard.rbegin() + 1,
                     std::to_integer<unsigned>(*byte));
}

}  // namespace normgrad
