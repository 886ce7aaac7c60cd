// SPDX-License-Identifier: Apache-2.0
#include "base/random.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "base/lanes.h"

namespace normgrad {
namespace {

// Vectors that the same is done to, operation by operation. A normal number is one long chain of
// operations that wait for one another; with several chains side by side a processor always has
// one to go on with.
template <typename Vector, std::size_t n>
struct Chains {
  std::array<Vector, n> of;
};

template <std::size_t n>
using Numbers = Chains<Lanes, n>;
template <std::size_t n>
using Words = Chains<LaneBits, n>;

// 0 for what is no chains.
template <typename T>
constexpr std::size_t kCountOf = 0;
template <typename Vector, std::size_t n>
constexpr std::size_t kCountOf<Chains<Vector, n>> = n;

// What stands for chain `i`: its vector, or the one number that all of them share.
template <typename Vector, std::size_t n>
const Vector& Of(const Chains<Vector, n>& chains, std::size_t i) {
  return chains.of[i];
}
template <typename Number>
Number Of(const Number& number, std::size_t) {
  return number;
}

template <typename Operation, typename... Operands>
auto Each(Operation operation, const Operands&... operands) {
  constexpr std::size_t kCount = std::max({kCountOf<Operands>...});
  Chains<decltype(operation(Of(operands, 0)...)), kCount> result;
  for (std::size_t i = 0; i < kCount; ++i) result.of[i] = operation(Of(operands, i)...);
  return result;
}

template <typename A, typename B>
concept SomeChains = (kCountOf<A> > 0 || kCountOf<B> > 0);

template <typename A, typename B>
requires SomeChains<A, B>
auto operator+(const A& a, const B& b) {
  return Each([](auto x, auto y) { return x + y; }, a, b);
}
template <typename A, typename B>
requires SomeChains<A, B>
auto operator-(const A& a, const B& b) {
  return Each([](auto x, auto y) { return x - y; }, a, b);
}
template <typename A, typename B>
requires SomeChains<A, B>
auto operator*(const A& a, const B& b) {
  return Each([](auto x, auto y) { return x * y; }, a, b);
}
template <typename A, typename B>
requires SomeChains<A, B>
auto operator/(const A& a, const B& b) {
  return Each([](auto x, auto y) { return x / y; }, a, b);
}
template <std::size_t n>
Words<n> operator^(const Words<n>& a, const Words<n>& b) {
  return Each([](LaneBits x, LaneBits y) { return x ^ y; }, a, b);
}
template <std::size_t n>
Words<n> operator&(const Words<n>& a, std::uint64_t b) {
  return Each([](LaneBits x, std::uint64_t y) { return x & y; }, a, b);
}
template <std::size_t n>
Words<n> operator>>(const Words<n>& a, int bits) {
  return Each([](LaneBits x, int y) { return x >> y; }, a, bits);
}
template <std::size_t n>
Words<n> operator<<(const Words<n>& a, int bits) {
  return Each([](LaneBits x, int y) { return x << y; }, a, bits);
}

template <std::size_t n>
Numbers<n> NumbersOf(const Words<n>& bits) {
  return Each([](LaneBits x) { return std::bit_cast<Lanes>(x); }, bits);
}
template <std::size_t n>
Words<n> BitsOf(const Numbers<n>& numbers) {
  return Each([](Lanes x) { return std::bit_cast<LaneBits>(x); }, numbers);
}
// Of words as signed numbers, which are what vectors convert fastest.
template <std::size_t n>
Numbers<n> Convert(const Words<n>& words) {
  return Each([](LaneBits x) { return __builtin_convertvector(std::bit_cast<LaneMask>(x), Lanes); },
              words);
}
template <std::size_t n>
Numbers<n> SquareRoot(const Numbers<n>& squares) {
  const auto root = [](Lanes x) {
    for (std::size_t k = 0; k < kLanes; ++k) x[k] = std::sqrt(x[k]);
    return x;
  };
  return Each(root, squares);
}

// Of one number or of many.
template <typename Word>
Word Mix(Word z) {
  constexpr std::uint64_t kFirst = 0xbf58476d1ce4e5b9, kSecond = 0x94d049bb133111eb;
  z = (z ^ (z >> 30)) * kFirst;
  z = (z ^ (z >> 27)) * kSecond;
  return z ^ (z >> 31);
}

constexpr std::uint64_t kGoldenGamma = 0x9e3779b97f4a7c15ULL;

double ToUnit(std::uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1p-53; }

template <std::size_t n>
Numbers<n> ToUnit(const Words<n>& bits) {
  return Convert(bits >> 11) * 0x1p-53;
}

// The value of the polynomial c0 + c1 x + c2 x^2 + …
template <std::size_t n, typename... Coefficients>
auto Polynomial(const Numbers<n>& x, double c0, Coefficients... rest) {
  if constexpr (sizeof...(rest) == 0) {
    return c0;
  } else {
    return c0 + x * Polynomial(x, rest...);
  }
}

constexpr double kLn2High = 0x1.62e42fefa38p-1;  // 42 bits: exact times an exponent
constexpr double kLn2Low = 0x1.ef35793c7673p-45;

// log of numbers in (0, 1], to an ulp: of t = 2^k (1 + f) with sqrt(1/2) < 1 + f < sqrt(2) it is
// k log 2 + 2 atanh(s), s = f / (2 + f), and 2 s = f - s f, where f is exact.
template <std::size_t n>
Numbers<n> LogOfUnit(const Numbers<n>& t) {
  constexpr std::uint64_t kFraction = (std::uint64_t{1} << 52) - 1;
  constexpr std::uint64_t kOne = std::uint64_t{1023} << 52, kRootHalf = 0x3fe6a09e667f3bcdULL;
  // The exponent of numbers whose significand is counted from sqrt(1/2).
  const Words<n> shifted = BitsOf(t) + (kOne - kRootHalf);
  const Numbers<n> f = NumbersOf((shifted & kFraction) + kRootHalf) - 1.0;
  const Numbers<n> k = Convert((shifted >> 52) - std::uint64_t{1023});
  const Numbers<n> s = f / (2.0 + f), z = s * s;
  // atanh(s) = s + s^3 / 3 + s^5 / 5 + …, |s| < 0.172
  const Numbers<n> tail = z * Polynomial(z, 2.0 / 3, 2.0 / 5, 2.0 / 7, 2.0 / 9, 2.0 / 11, 2.0 / 13,
                                         2.0 / 15, 2.0 / 17, 2.0 / 19, 2.0 / 21);
  // s f = f^2 / 2 - s f^2 / 2, whose first part is the larger by far.
  const Numbers<n> half_square = 0.5 * f * f;
  return k * kLn2High - ((half_square - (s * (half_square + tail) + k * kLn2Low)) - f);
}

constexpr double kHalfPiHigh = 0x1.921fb54442dp+0;  // 45 bits: exact times a number of quadrants
constexpr double kHalfPiLow = 0x1.8469898cc5170p-48;

template <std::size_t n>
struct CosSin {
  Numbers<n> cos, sin;
};

// Of angles in [0, 2 pi], to an ulp: the series about the nearest multiple of pi / 2.
template <std::size_t n>
CosSin<n> CosSinOfTurn(const Numbers<n>& angle) {
  constexpr double kRound = 0x1.8p52;  // leaves a whole number
  const Numbers<n> quadrants = (angle * (2 / std::numbers::pi) + kRound) - kRound;
  const Words<n> whole = BitsOf(quadrants + kRound);
  const Numbers<n> high = angle - quadrants * kHalfPiHigh, low = quadrants * kHalfPiLow;
  const Numbers<n> x = high - low, rest = (high - x) - low, z = x * x;
  const Numbers<n> sin_tail = Polynomial(z, -1.0 / 6, 1.0 / 120, -1.0 / 5040, 1.0 / 362880,
                                         -1.0 / 39916800, 1.0 / 6227020800, -1.0 / 1307674368000);
  const Numbers<n> sine = x + (rest + x * z * sin_tail);
  const Numbers<n> cos_tail = Polynomial(z, 1.0 / 24, -1.0 / 720, 1.0 / 40320, -1.0 / 3628800,
                                         1.0 / 479001600, -1.0 / 87178291200, 1.0 / 20922789888000);
  const Numbers<n> half = 0.5 * z, one = 1.0 - half;
  const Numbers<n> cosine = one + (((1.0 - one) - half) + (z * z * cos_tail - x * rest));
  const auto choose = [](LaneBits turns, Lanes odd, Lanes even) {
    return (turns & 1) != 0 ? odd : even;
  };
  // cos(x + pi / 2) = -sin x, sin(x + pi / 2) = cos x; half a turn changes the sign of both.
  const Words<n> cos_sign = ((whole + std::uint64_t{1}) & 2) << 62, sin_sign = (whole & 2) << 62;
  return {NumbersOf(BitsOf(Each(choose, whole, sine, cosine)) ^ cos_sign),
          NumbersOf(BitsOf(Each(choose, whole, cosine, sine)) ^ sin_sign)};
}

// Normal numbers are made in blocks: a vector of cosines, and one of the sines that belong to them.
constexpr std::size_t kBlock = 2 * kLanes;

// RandomStream::Bits() of the first vector in each of n blocks; `first` is a multiple of kBlock.
template <std::size_t n>
Words<n> BitsOfBlocks(std::uint64_t key, std::uint64_t first) {
  Words<n> state;
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint64_t start = key + (first + i * kBlock) * kGoldenGamma;
    state.of[i] = LaneBits{1, 2, 3, 4, 5, 6, 7, 8} * kGoldenGamma + start;
  }
  return Mix(Mix(state) + kGoldenGamma);
}

// Stores the n blocks of normal numbers from `first` on.
template <std::size_t n>
void StoreNormals(std::uint64_t key, std::uint64_t first, double* to) {
  const Words<n> bits = BitsOfBlocks<n>(key, first);
  const Numbers<n> radius = SquareRoot(-2.0 * LogOfUnit(1.0 - ToUnit(bits)));
  const auto [cos, sin] = CosSinOfTurn(2 * std::numbers::pi * ToUnit(Mix(bits + kGoldenGamma)));
  for (std::size_t i = 0; i < n; ++i) {
    StoreLanes(radius.of[i] * cos.of[i], to + i * kBlock);
    StoreLanes(radius.of[i] * sin.of[i], to + i * kBlock + kLanes);
  }
}

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
  double normal = 0;
  Normals(index, {&normal, 1});
  return normal;
}

void RandomStream::Normals(std::uint64_t first, std::span<double> out) const {
  Vectorised([key = key_, first, data = out.data(), count = out.size()] {
    constexpr std::size_t kChains = 4;
    std::size_t i = 0;
    while (i < count) {
      const std::size_t skipped = (first + i) % kBlock;
      if (skipped == 0 && count - i >= kChains * kBlock) {
        StoreNormals<kChains>(key, first + i, data + i);
        i += kChains * kBlock;
      } else {
        std::array<double, kBlock> block;
        StoreNormals<1>(key, first + i - skipped, block.data());
        const std::size_t taken = std::min(kBlock - skipped, count - i);
        std::memcpy(data + i, block.data() + skipped, taken * sizeof(double));
        i += taken;
      }
    }
  });
}

}  // namespace normgrad
