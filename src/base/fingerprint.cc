// SPDX-License-Identifier: Apache-2.0
#include "base/fingerprint.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/lanes.h"
#include "base/random.h"

namespace normgrad {
namespace {

constexpr std::size_t kWords = Fingerprint::kBlockBytes / sizeof(std::uint32_t);

struct Keys {
  std::array<std::uint32_t, kWords> a, b;
};

const Keys& TheKeys() {
  static const Keys kKeys = [] {
    const RandomStream random(HashText("fingerprint"));
    Keys keys{};
    for (std::size_t i = 0; i < kWords; ++i) {
      const std::uint64_t bits = random.Bits(i);
      keys.a[i] = static_cast<std::uint32_t>(bits);
      keys.b[i] = static_cast<std::uint32_t>(bits >> 32);
    }
    return keys;
  }();
  return kKeys;
}

}  // namespace

Fingerprint::Fingerprint(std::size_t bytes)
    : bytes_(bytes), blocks_((bytes + kBlockBytes - 1) / kBlockBytes) {}

Fingerprint::Sums Fingerprint::SumsOf(std::span<const std::byte> block) {
  std::array<std::byte, kBlockBytes> padded;  // NOLINT(cppcoreguidelines-pro-type-member-init)
  if (block.size() < kBlockBytes) {
    std::ranges::fill(std::ranges::copy(block, padded.begin()).out, padded.end(), std::byte{});
    block = padded;
  }
  Sums sums;
  Vectorised([words = block.data(), keys = &TheKeys(), out = &sums] {
    std::uint64_t a = 0, b = 0;
    for (std::size_t i = 0; i < kWords; ++i) {
      std::uint32_t word = 0;
      std::memcpy(&word, words + i * sizeof word, sizeof word);
      a += std::uint64_t{keys->a[i]} * word;
      b += std::uint64_t{keys->b[i]} * word;
    }
    *out = {a, b};
  });
  return sums;
}

void Fingerprint::Note(std::span<const std::byte> contents, std::size_t first) {
  for (std::size_t at = 0; at < contents.size(); at += kBlockBytes) {
    const std::size_t bytes = std::min(kBlockBytes, contents.size() - at);
    blocks_[(first + at) / kBlockBytes] = SumsOf(contents.subspan(at, bytes));
  }
}

bool Fingerprint::Matches(std::span<const std::byte> contents, std::size_t first) const {
  for (std::size_t at = 0; at < contents.size(); at += kBlockBytes) {
    const std::size_t bytes = std::min(kBlockBytes, contents.size() - at);
    if (blocks_[(first + at) / kBlockBytes] != SumsOf(contents.subspan(at, bytes))) return false;
  }
  return true;
}

std::uint64_t Fingerprint::Hash(std::uint64_t hash) const {
  const auto add = [&](const void* number, std::size_t bytes) {
    hash = HashText({static_cast<const char*>(number), bytes}, hash);
  };
  add(&bytes_, sizeof bytes_);
  for (const Sums& sums : blocks_) add(&sums, sizeof sums);
  return hash;
}

}  // namespace normgrad
