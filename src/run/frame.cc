// SPDX-License-Identifier: Apache-2.0
#include "run/frame.h"

#include <array>
#include <cstring>

#include <fmt/format.h>

#include "base/random.h"

namespace normgrad {
namespace {

/// Nothing that a library prints begins so, and its bytes differ from each other.
constexpr std::uint32_t kMark = 0xD7A4'1EB2;

/// Both ends are the same executable on the same machine: numbers travel as they lie in memory.
struct Head {
  std::uint32_t mark = kMark;
  std::uint32_t message = 0;
  std::uint64_t request = 0;
  std::uint64_t length = 0;
  std::uint64_t checksum = 0;
};
static_assert(sizeof(Head) == 32);

std::uint64_t ChecksumOf(Head head, std::string_view payload) {
  head.checksum = 0;
  return HashText(payload, HashText({reinterpret_cast<const char*>(&head), sizeof head}));
}

}  // namespace

std::string EncodeFrame(const Frame& frame) {
  Head head;
  head.message = static_cast<std::uint32_t>(frame.message);
  head.request = frame.request;
  head.length = frame.payload.size();
  head.checksum = ChecksumOf(head, frame.payload);
  std::string bytes(reinterpret_cast<const char*>(&head), sizeof head);
  return bytes += frame.payload;
}

void FrameReader::Feed(std::string_view bytes) {
  if (nonsense_.empty()) bytes_ += bytes;
}

std::optional<Frame> FrameReader::Next() {
  if (!nonsense_.empty() || bytes_.empty()) return std::nullopt;
  const auto give_up = [this](std::string what) {
    nonsense_ = std::move(what);
    bytes_.clear();
    return std::nullopt;
  };
  Head head;
  const std::size_t here = std::min(bytes_.size(), sizeof head);
  std::memcpy(&head, bytes_.data(), here);
  // The mark is looked at as soon as there is one byte of it, so that noise is not waited for.
  const std::size_t marked = std::min(here, sizeof head.mark);
  const std::uint32_t mark = kMark;
  if (std::memcmp(bytes_.data(), &mark, marked) != 0) return give_up("bytes that are no message");
  if (here < sizeof head) return std::nullopt;
  if (head.message > static_cast<std::uint32_t>(Message::kEnd)) {
    return give_up(fmt::format("a message of unknown kind {}", head.message));
  }
  if (head.length > kMostBytes) {
    return give_up(fmt::format("a message of {} bytes", head.length));
  }
  if (bytes_.size() - sizeof head < head.length) return std::nullopt;
  Frame frame{static_cast<Message>(head.message), head.request,
              bytes_.substr(sizeof head, head.length)};
  if (ChecksumOf(head, frame.payload) != head.checksum) {
    return give_up("a message whose checksum is wrong");
  }
  bytes_.erase(0, sizeof head + head.length);
  return frame;
}

}  // namespace normgrad
