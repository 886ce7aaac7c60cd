// SPDX-License-Identifier: Apache-2.0
#include "device/buffer.h"

#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>

namespace normgrad {

std::byte PoisonByte(Poison poison) { return static_cast<std::byte>(poison); }

GuardedBuffer::GuardedBuffer(const Device& device, std::size_t payload_bytes)
    : device_(device),
      payload_bytes_(payload_bytes),
      memory_(device.Allocate(payload_bytes + 2 * kGuardBytes + kShiftBytes)) {}

void GuardedBuffer::Shift(std::size_t bytes) {
  if (bytes > kShiftBytes) throw std::logic_error("a payload is shifted out of its allocation");
  shift_bytes_ = bytes;
}

void GuardedBuffer::Write(std::span<const std::byte> payload, Poison poison) {
  poison_ = poison;
  const std::vector<std::byte> guard(std::max(front_bytes(), back_bytes()), PoisonByte(poison));
  device_.Upload(memory_.address(), std::span(guard).first(front_bytes()));
  if (!payload.empty()) device_.Upload(data(), payload);
  device_.Upload(data() + payload_bytes_, std::span(guard).first(back_bytes()));
}

void GuardedBuffer::WritePoison(Poison poison) {
  poison_ = poison;
  const std::vector<std::byte> all(front_bytes() + payload_bytes_ + back_bytes(),
                                   PoisonByte(poison));
  device_.Upload(memory_.address(), all);
}

void GuardedBuffer::Read(std::span<std::byte> payload) const {
  if (!payload.empty()) device_.Download(payload, data());
}

std::optional<GuardDamage> GuardedBuffer::Damage() const {
  const auto describe = [](auto first, auto byte, auto end, std::ptrdiff_t origin,
                           std::string_view where, const auto& damaged) {
    std::string text = fmt::format("byte {} {} is 0x{:02x}", byte - first + origin, where,
                                   std::to_integer<unsigned>(*byte));
    const auto count = std::count_if(byte, end, damaged);
    return count == 1 ? text : fmt::format("{}, {} bytes in all", text, count);
  };
  const auto damaged = [this](std::byte value) { return value != PoisonByte(poison_); };
  std::vector<std::byte> guard(back_bytes());
  device_.Download(guard, data() + payload_bytes_);
  if (const auto byte = std::ranges::find_if(guard, damaged); byte != guard.end()) {
    return GuardDamage{true,
                       describe(guard.begin(), byte, guard.end(), 0, "behind its end", damaged)};
  }
  guard.resize(front_bytes());
  device_.Download(guard, memory_.address());
  const auto byte = std::find_if(guard.rbegin(), guard.rend(), damaged);
  if (byte == guard.rend()) return std::nullopt;
  return GuardDamage{false,
                     describe(guard.rbegin(), byte, guard.rend(), 1, "before its start", damaged)};
}

}  // namespace normgrad
