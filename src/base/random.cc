// SPDX-License-Identifier: Apache-2.0
#include "base/random.h"

#include <cmath>
#include <numbers>

namespace normgrad {
namespace {

std::uint64_t Mix(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

constexpr std::uint64_t kGoldenGamma = 0x9e3779b97f4a7c15ULL;

double ToUnit(std::uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1p-53; }

}  // namespace

std::uint64_t HashText(std::string_view text, std::uint64_t hash) {
  for (const char c : text) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  }
  return hash;
}

std::uint64_t RandomStream::Bits(std::uint64_t index) const {
  return Mix(Mix(key_ + (index + 1) * kGoldenGamma) + kGoldenGamma);
}

double RandomStream::Uniform(std::uint64_t index) const { return ToUnit(Bits(index)); }

double RandomStream::Normal(std::uint64_t index) const {
  const std::uint64_t bits = Bits(index);
  const double radius = std::sqrt(-2 * std::log(1 - ToUnit(bits)));
  return radius * std::cos(2 * std::numbers::pi * ToUnit(Mix(bits + kGoldenGamma)));
}

}  // namespace normgrad
