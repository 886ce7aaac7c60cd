// SPDX-License-Identifier: Apache-2.0
#include "base/random.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "base/lanes.h"

namespace normgrad {
namespace {

// Of one number or of eight.
template <typename Word>
Word Mix(Word z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

constexpr std::uint64_t kGoldenGamma = 0x9e3779b97f4a7c15ULL;

double ToUnit(std::uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1p-53; }

// Signed numbers are what vectors convert fastest.
Lanes ToUnit(LaneBits bits) {
  return __builtin_convertvector(std::bit_cast<LaneMask>(bits >> 11), Lanes) * 0x1p-53;
}

// The value of the polynomial c0 + c1 x + c2 x^2 + …
template <typename... Coefficients>
Lanes Polynomial(Lanes x, double c0, Coefficients... rest) {
  if constexpr (sizeof...(rest) == 0) {
    return Broadcast(c0);
  } else {
    return c0 + x * Polynomial(x, rest...);
  }
}

constexpr double kLn2High = 0x1.62e42fefa38p-1;  // 42 bits: exact times an exponent
constexpr double kLn2Low = 0x1.ef35793c7673p-45;

// log of numbers in (0, 1], to an ulp: of t = 2^k (1 + f) with sqrt(1/2) < 1 + f < sqrt(2) it is
// k log 2 + 2 atanh(s), s = f / (2 + f), and 2 s = f - s f, where f is exact.
Lanes LogOfUnit(Lanes t) {
  const auto bits = std::bit_cast<LaneBits>(t);
  constexpr std::uint64_t kFraction = (std::uint64_t{1} << 52) - 1;
  constexpr std::uint64_t kOne = std::uint64_t{1023} << 52, kRootHalf = 0x3fe6a09e667f3bcdULL;
  // The exponent of numbers whose significand is counted from sqrt(1/2).
  const LaneBits shifted = bits + (kOne - kRootHalf);
  const LaneMask exponent = std::bit_cast<LaneMask>(shifted >> 52) - 1023;
  const auto f = std::bit_cast<Lanes>((shifted & kFraction) + kRootHalf) - 1;
  const Lanes k = __builtin_convertvector(exponent, Lanes);
  const Lanes s = f / (2 + f), z = s * s;
  // atanh(s) = s + s^3 / 3 + s^5 / 5 + …, |s| < 0.172
  const Lanes tail = z * Polynomial(z, 2.0 / 3, 2.0 / 5, 2.0 / 7, 2.0 / 9, 2.0 / 11, 2.0 / 13,
                                    2.0 / 15, 2.0 / 17, 2.0 / 19, 2.0 / 21);
  // s f = f^2 / 2 - s f^2 / 2, whose first part is the larger by far.
  const Lanes half_square = 0.5 * f * f;
  return k * kLn2High - ((half_square - (s * (half_square + tail) + k * kLn2Low)) - f);
}

constexpr double kHalfPiHigh = 0x1.921fb54442dp+0;  // 45 bits: exact times a number of quadrants
constexpr double kHalfPiLow = 0x1.8469898cc5170p-48;

// cos of angles in [0, 2 pi], to an ulp: the series of cos or sin about the nearest multiple of
// pi / 2.
Lanes CosOfTurn(Lanes angle) {
  constexpr double kRound = 0x1.8p52;  // leaves a whole number
  const Lanes quadrants = (angle * (2 / std::numbers::pi) + kRound) - kRound;
  const auto whole = std::bit_cast<LaneBits>(quadrants + kRound);
  const Lanes high = angle - quadrants * kHalfPiHigh, low = quadrants * kHalfPiLow;
  const Lanes x = high - low, rest = (high - x) - low, z = x * x;
  const Lanes sin_tail = Polynomial(z, -1.0 / 6, 1.0 / 120, -1.0 / 5040, 1.0 / 362880,
                                    -1.0 / 39916800, 1.0 / 6227020800, -1.0 / 1307674368000);
  const Lanes sine = x + (rest + x * z * sin_tail);
  const Lanes cos_tail = Polynomial(z, 1.0 / 24, -1.0 / 720, 1.0 / 40320, -1.0 / 3628800,
                                    1.0 / 479001600, -1.0 / 87178291200, 1.0 / 20922789888000);
  const Lanes half = 0.5 * z, one = 1 - half;
  const Lanes cosine = one + (((1 - one) - half) + (z * z * cos_tail - x * rest));
  const Lanes value = (whole & 1) != 0 ? sine : cosine;
  // cos(x + pi / 2) = -sin x, cos(x + pi) = -cos x
  const LaneBits negative = ((whole + 1) & 2) << 62;
  return std::bit_cast<Lanes>(std::bit_cast<LaneBits>(value) ^ negative);
}

LaneBits BitsFrom(std::uint64_t key, std::uint64_t first) {
  const LaneBits index = LaneBits{1, 2, 3, 4, 5, 6, 7, 8} + first;
  return Mix(Mix(key + index * kGoldenGamma) + kGoldenGamma);
}

Lanes SquareRoot(Lanes square) {
  for (std::size_t k = 0; k < kLanes; ++k) square[k] = std::sqrt(square[k]);
  return square;
}

// Vectors of normal numbers made side by side. Each is one long chain of operations that wait for
// one another: in short loops over several chains a processor has always some to go on with.
constexpr std::size_t kChains = 16;

// The first `vectors` of `normals`: Box-Muller.
void SetNormals(std::uint64_t key, std::uint64_t first, std::size_t vectors,
                std::array<Lanes, kChains>* normals) {
  std::array<LaneBits, kChains> bits;  // NOLINT(cppcoreguidelines-pro-type-member-init)
  for (std::size_t i = 0; i < vectors; ++i) bits[i] = BitsFrom(key, first + i * kLanes);
  for (std::size_t i = 0; i < vectors; ++i) (*normals)[i] = LogOfUnit(1 - ToUnit(bits[i]));
  for (std::size_t i = 0; i < vectors; ++i) {
    const Lanes turn = 2 * std::numbers::pi * ToUnit(Mix(bits[i] + kGoldenGamma));
    (*normals)[i] = SquareRoot(-2 * (*normals)[i]) * CosOfTurn(turn);
  }
}

}  // namespace

std::uint64_t HashText(std::string_view text, std::uint64_t hash) {
  for (const char c : text) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  }
  return hash;
}

std::uint64_t HashBytes(std::span<const std::byte> bytes, std::uint64_t hash) {
  struct alignas(LaneBits) {
    std::array<std::uint64_t, kLanes> words;
  } lanes{};
  const std::size_t whole = bytes.size() / sizeof lanes * sizeof lanes;
  Vectorised([=, data = bytes.data(), out = &lanes] {
    // Each step is one to one, and moves what high bits hold down to where the next multiplies it.
    LaneBits state = LaneBits{1, 2, 3, 4, 5, 6, 7, 8} * kGoldenGamma;
    for (std::size_t i = 0; i < whole; i += sizeof state) {
      state = (state ^ LoadAs<LaneBits>(data + i)) * 0x100000001b3ULL;
      state ^= state >> 32;
    }
    std::memcpy(out, &state, sizeof state);
  });
  // The number keeps bytes from wandering between neighbours unseen.
  hash = Mix(hash + bytes.size());
  for (const std::uint64_t word : lanes.words) hash = Mix(hash ^ word) + kGoldenGamma;
  const auto rest = bytes.subspan(whole);
  return HashText({reinterpret_cast<const char*>(rest.data()), rest.size()}, hash);
}

std::uint64_t RandomStream::Bits(std::uint64_t index) const {
  return Mix(Mix(key_ + (index + 1) * kGoldenGamma) + kGoldenGamma);
}

double RandomStream::Uniform(std::uint64_t index) const { return ToUnit(Bits(index)); }

double RandomStream::Normal(std::uint64_t index) const {
  double normal = 0;
  Normals(index, {&normal, 1});
  return normal;
}

void RandomStream::Normals(std::uint64_t first, std::span<double> out) const {
  Vectorised([key = key_, first, data = out.data(), count = out.size()] {
    std::array<Lanes, kChains> normals;  // NOLINT(cppcoreguidelines-pro-type-member-init)
    for (std::size_t i = 0; i < count; i += sizeof normals / sizeof(double)) {
      const std::size_t numbers = std::min(sizeof normals / sizeof(double), count - i);
      SetNormals(key, first + i, (numbers + kLanes - 1) / kLanes, &normals);
      std::memcpy(data + i, normals.data(), numbers * sizeof(double));
    }
  });
}

}  // namespace normgrad
