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
  // The system reads a file for an answer, which takes longer than to compare a small tensor.
  static const unsigned kCores = std::thread::hardware_concurrency();
  return device.threads() > 0 ? device.threads() : kCores;
}

/// The first byte of `piece` that is not as in `wanted`, its size if there is none. Somebody may
/// still write to it: a difference that was seen stays one.
std::size_t FirstMismatch(std::span<const std::byte> piece, std::span<const std::byte> wanted) {
  if (std::memcmp(piece.data(), wanted.data(), piece.size()) == 0) return piece.size();
  const auto at = std::ranges::mismatch(piece, wanted).in1 - piece.begin();
  return std::min(static_cast<std::size_t>(at), piece.size() - 1);
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

// Calls use(piece, first), which must not throw, for the pieces of the payload of `size` bytes
// each, `first` being where they begin; but for those for which enough(first): in place where that
// can be, on several threads.
void GuardedBuffer::ReadPieces(
    std::size_t size, const std::function<bool(std::size_t)>& enough,
    const std::function<void(std::span<const std::byte>, std::size_t)>& use) const {
  const std::size_t pieces = size > 0 ? (payload_bytes_ + size - 1) / size : 0;
  const unsigned threads = ThreadsFor(device_);
  const auto bytes = [&](std::size_t i) { return std::min(size, payload_bytes_ - i * size); };
  if (const std::byte* const view = pieces > 0 ? device_.HostView(data()) : nullptr) {
    ParallelFor(pieces, threads, [&](std::size_t i) {
      if (!enough(i * size)) use({view + i * size, bytes(i)}, i * size);
    });
    return;
  }
  // A library need not serve several threads: one downloads while the others work.
  Bytes scratch(std::min(pieces, kPlaces) * size);
  const auto piece = [&](std::size_t i) {
    return std::span(scratch).subspan(i % kPlaces * size, bytes(i));
  };
  const auto download = [&](std::size_t i) {
    if (enough(i * size)) return false;
    Read(piece(i), i * size);
    return true;
  };
  MakeAndUse(pieces, threads, download, [&](std::size_t i) { use(piece(i), i * size); });
}

// compare(piece, first) is where the piece from byte `first` on is other, its size if nowhere.
template <typename Compare>
std::optional<std::size_t> GuardedBuffer::FirstOtherOf(Compare compare) const {
  std::atomic<std::size_t> first_other = payload_bytes_;
  const auto find = [&](std::span<const std::byte> piece, std::size_t first) {
    const std::size_t other = compare(piece, first);
    if (other == piece.size()) return;
    // Pieces are compared in any order.
    std::size_t before = first_other;
    while (first + other < before && !first_other.compare_exchange_weak(before, first + other)) {
    }
  };
  const auto enough = [&](std::size_t first) { return first_other < first; };
  ReadPieces(std::min(payload_bytes_, kPieceBytes), enough, find);
  if (first_other == payload_bytes_) return std::nullopt;
  return first_other;
}

std::optional<std::size_t> GuardedBuffer::FirstOther(std::span<const std::byte> expected) const {
  return FirstOtherOf([&](std::span<const std::byte> piece, std::size_t first) {
    return FirstMismatch(piece, expected.subspan(first, piece.size()));
  });
}

std::optional<std::size_t> GuardedBuffer::FirstOther(std::span<const std::byte> expected,
                                                     Fingerprint* fingerprint) const {
  const bool filled = fingerprint->Bytes() == expected.size();
  Fingerprint made(filled ? 0 : expected.size());
  const auto other = FirstOtherOf([&](std::span<const std::byte> piece, std::size_t first) {
    const auto wanted = expected.subspan(first, piece.size());
    if (filled && fingerprint->Matches(piece, first)) return piece.size();
    if (!filled) made.Note(wanted, first);
    return FirstMismatch(piece, wanted);
  });
  // Only of all pieces: behind one that is other, none need have been looked at.
  if (!filled && !other) *fingerprint = std::move(made);
  return other;
}

std::optional<std::size_t> GuardedBuffer::FirstOther(Poison expected) const {
  const std::byte byte = PoisonByte(expected);
  return FirstOtherOf([=](std::span<const std::byte> piece, std::size_t) {
    // Equal to itself one byte further on: all bytes are the first.
    const bool uniform = std::memcmp(piece.data(), piece.data() + 1, piece.size() - 1) == 0;
    if (uniform && piece.front() == byte) return piece.size();
    const auto other = std::ranges::find_if(piece, [=](std::byte b) { return b != byte; });
    return std::min(static_cast<std::size_t>(other - piece.begin()), piece.size() - 1);
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
