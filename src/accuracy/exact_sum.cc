// SPDX-License-Identifier: Apache-2.0
#include "accuracy/exact_sum.h"

#include <bit>
#include <cmath>
#include <stdexcept>

namespace normgrad {
namespace {

constexpr int kFractionBits = 52;
constexpr std::uint64_t kFraction = (std::uint64_t{1} << kFractionBits) - 1;
constexpr std::uint64_t kExponent = 0x7ff;
constexpr std::uint64_t kLimb = 0xffffffff;

}  // namespace

void ExactSum::Add(double term) {
  const auto bits = std::bit_cast<std::uint64_t>(term);
  const std::uint64_t exponent = (bits >> kFractionBits) & kExponent;
  if (exponent == kExponent) throw std::logic_error("an exact sum of a number that is not finite");
  const std::uint64_t significand =
      (bits & kFraction) | (exponent == 0 ? 0 : std::uint64_t{1} << kFractionBits);
  const std::uint64_t position = exponent == 0 ? 0 : exponent - 1;  // of its last bit
  const auto limb = static_cast<std::size_t>(position / kLimbBits);
  const int shift = static_cast<int>(position % kLimbBits);
  const std::uint64_t low = (significand & kLimb) << shift;
  const std::uint64_t high = ((significand >> kLimbBits) << shift) + (low >> kLimbBits);
  const std::int64_t sign = std::signbit(term) ? -1 : 1;
  limbs_[limb] += sign * static_cast<std::int64_t>(low & kLimb);
  limbs_[limb + 1] += sign * static_cast<std::int64_t>(high & kLimb);
  limbs_[limb + 2] += sign * static_cast<std::int64_t>(high >> kLimbBits);
}

void ExactSum::Add(const ExactSum& other) {
  for (std::size_t i = 0; i < kLimbs; ++i) limbs_[i] += other.limbs_[i];
}

double ExactSum::Value() const {
  // Of two's complement limbs the highest tells the sign.
  const auto carried = [](const std::array<std::int64_t, kLimbs>& limbs, std::int64_t sign) {
    std::array<std::int64_t, kLimbs> out{};
    std::int64_t carry = 0;
    for (std::size_t i = 0; i < kLimbs; ++i) {
      const std::int64_t limb = sign * limbs[i] + carry;
      carry = limb >> kLimbBits;
      out[i] = limb - (carry << kLimbBits);
    }
    out[kLimbs - 1] += carry << kLimbBits;
    return out;
  };
  std::array<std::int64_t, kLimbs> limbs = carried(limbs_, 1);
  const std::int64_t sign = limbs[kLimbs - 1] < 0 ? -1 : 1;
  if (sign < 0) limbs = carried(limbs_, -1);
  std::size_t top = kLimbs;
  while (top > 0 && limbs[top - 1] == 0) --top;
  double sum = 0;
  // Below the three highest limbs there is less than an ulp.
  for (std::size_t i = top; i > 0 && i + 3 > top; --i) {
    const int exponent = static_cast<int>(i - 1) * kLimbBits - 1074;
    sum += std::ldexp(static_cast<double>(limbs[i - 1]), exponent);
  }
  return static_cast<double>(sign) * sum;
}

}  // namespace normgrad
