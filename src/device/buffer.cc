// SPDX-License-Identifier: Apache-2.0
#include "device/buffer.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <stdexcept>
#include <thread>

#include <fmt/format.h>

#include "base/bytes.h"
#include "base/parallel.h"

namespace normgrad {
namespace {

// What is compared piece by piece stays in the cache nearest to memory that is a core's own; what
// is written from one piece again and again should be large enough for a device's fastest copy.
constexpr std::size_t kPieceBytes = std::size_t{1} << 18, kPoisonBytes = std::size_t{1} << 22;

// Of the host, beside the one that talks to the device: as many as a CPU device may use.
unsigned ThreadsFor(const Device& device) {
  return device.threads() > 0 ? device.threads() : std::thread::hardware_concurrency();
}

}  // namespace

std::byte PoisonByte(Poison poison) { return static_cast<std::byte>(poison); }

GuardedBuffer::GuardedBuffer(const Device& device, std::size_t payload_bytes)
    : device_(device),
      payload_bytes_(payload_bytes),
      memory_(device.Allocate(payload_bytes + 2 * kGuardBytes + kShiftBytes)) {}

void GuardedBuffer::Shift(std::size_t bytes) {
  if (bytes > kShiftBytes) throw std::logic_error("a payload is shifted out of its allocation");
  shift_bytes_ = bytes;
}

void GuardedBuffer::Write(std::span<const std::byte> payload, Poison guards) {
  WriteGuards(guards);
  if (!payload.empty()) device_.Upload(data(), payload);
}

void GuardedBuffer::WritePoison(Poison payload, Poison guards) {
  WriteGuards(guards);
  const Bytes piece(std::min(payload_bytes_, kPoisonBytes), PoisonByte(payload));
  for (std::size_t first = 0; first < payload_bytes_; first += piece.size()) {
    const std::size_t count = std::min(piece.size(), payload_bytes_ - first);
    device_.Upload(data() + first, std::span(piece).first(count));
  }
}

void GuardedBuffer::WriteGuards(Poison guards) {
  guards_ = guards;
  std::array<std::byte, kGuardBytes + kShiftBytes> guard{};
  guard.fill(PoisonByte(guards));
  device_.Upload(memory_.address(), std::span(guard).first(front_bytes()));
  device_.Upload(data() + payload_bytes_, std::span(guard).first(back_bytes()));
}

void GuardedBuffer::Read(std::span<std::byte> bytes, std::size_t first) const {
  if (!bytes.empty()) device_.Download(bytes, data() + first);
}

// Downloads piece by piece, while other threads compare: compare(piece, first) is where the piece
// from byte `first` on is other, its size if nowhere. A library need not serve several threads.
template <typename Compare>
std::optional<std::size_t> GuardedBuffer::FirstOtherOf(Compare compare) const {
  const std::size_t size = std::min(payload_bytes_, kPieceBytes);
  const std::size_t pieces = size > 0 ? (payload_bytes_ + size - 1) / size : 0;
  Bytes scratch(std::min(pieces, kPlaces) * size);
  const auto piece = [&](std::size_t i) {
    return std::span(scratch).subspan(i % kPlaces * size,
                                      std::min(size, payload_bytes_ - i * size));
  };
  std::atomic<std::size_t> first_other = payload_bytes_;
  const auto download = [&](std::size_t i) {
    if (first_other < payload_bytes_) return false;
    Read(piece(i), i * size);
    return true;
  };
  const auto find = [&](std::size_t i) {
    const std::size_t other = compare(std::span<const std::byte>(piece(i)), i * size);
    if (other == piece(i).size()) return;
    // Pieces are compared in any order; those before one that is other all are.
    std::size_t before = first_other;
    while (i * size + other < before &&
           !first_other.compare_exchange_weak(before, i * size + other)) {
    }
  };
  MakeAndUse(pieces, ThreadsFor(device_), download, find);
  if (first_other == payload_bytes_) return std::nullopt;
  return first_other;
}

std::optional<std::size_t> GuardedBuffer::FirstOther(std::span<const std::byte> expected) const {
  return FirstOtherOf([&](std::span<const std::byte> piece, std::size_t first) {
    const auto wanted = expected.subspan(first, piece.size());
    if (std::memcmp(piece.data(), wanted.data(), piece.size()) == 0) return piece.size();
    return static_cast<std::size_t>(std::ranges::mismatch(piece, wanted).in1 - piece.begin());
  });
}

std::optional<std::size_t> GuardedBuffer::FirstOther(Poison expected) const {
  const std::byte byte = PoisonByte(expected);
  return FirstOtherOf([=](std::span<const std::byte> piece, std::size_t) {
    // Equal to itself one byte further on: all bytes are the first.
    const bool uniform = std::memcmp(piece.data(), piece.data() + 1, piece.size() - 1) == 0;
    if (uniform && piece.front() == byte) return piece.size();
    const auto other = std::ranges::find_if(piece, [=](std::byte b) { return b != byte; });
    return static_cast<std::size_t>(other - piece.begin());
  });
}

std::optional<GuardDamage> GuardedBuffer::Damage() const {
  const auto describe = [](auto first, auto byte, auto end, std::ptrdiff_t origin,
                           std::string_view where, const auto& damaged) {
    std::string text = fmt::format("byte {} {} is 0x{:02x}", byte - first + origin, where,
                                   std::to_integer<unsigned>(*byte));
    const auto count = std::count_if(byte, end, damaged);
    return count == 1 ? text : fmt::format("{}, {} bytes in all", text, count);
  };
  const auto damaged = [this](std::byte value) { return value != PoisonByte(guards_); };
  std::array<std::byte, kGuardBytes + kShiftBytes> room{};
  std::span<std::byte> guard = std::span(room).first(back_bytes());
  device_.Download(guard, data() + payload_bytes_);
  if (const auto byte = std::ranges::find_if(guard, damaged); byte != guard.end()) {
    return GuardDamage{true,
                       describe(guard.begin(), byte, guard.end(), 0, "behind its end", damaged)};
  }
  guard = std::span(room).first(front_bytes());
  device_.Download(guard, memory_.address());
  const auto byte = std::find_if(guard.rbegin(), guard.rend(), damaged);
  if (byte == guard.rend()) return std::nullopt;
  return GuardDamage{false,
                     describe(guard.rbegin(), byte, guard.rend(), 1, "before its start", damaged)};
}

}  // namespace normgrad
