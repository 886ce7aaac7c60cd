// SPDX-License-Identifier: Apache-2.0
#include "accuracy/preimage.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <stdexcept>

#include "base/lanes.h"

namespace normgrad {
namespace {

// A binary format whose elements are kept as Elements, eight of them: sign, exponent, kFraction
// significand bits.
template <typename ElementsType, int kFractionBits, int kMinExponent>
struct BinaryFormat {
  using Elements = ElementsType;
  static constexpr std::size_t kBytes = sizeof(Elements) / kLanes;
  static constexpr std::int64_t kSign = std::int64_t{1} << (8 * kBytes - 1);
  static constexpr std::int64_t kInfinity = kSign - (std::int64_t{1} << kFractionBits);

  // The point `twice` half steps above zero, where a step leads from one magnitude's bits to the
  // next: odd counts are the midpoints. float64 has the same layout with more significand bits, so
  // that a normal point's bits only shift; up to twice the smallest normal number steps are equal.
  static Lanes Point(LaneMask twice) {
    constexpr double kHalfStep = std::bit_cast<double>(
        static_cast<std::uint64_t>(1023 + kMinExponent - kFractionBits - 1) << 52);
    constexpr std::int64_t kRebias = std::int64_t{1023 + kMinExponent - 1} << 52;
    const Lanes subnormal = __builtin_convertvector(twice, Lanes) * kHalfStep;
    const auto normal = std::bit_cast<Lanes>((twice << (51 - kFractionBits)) + kRebias);
    return twice < (std::int64_t{1} << (kFractionBits + 2)) ? subnormal : normal;
  }
};

using Binary32 = BinaryFormat<WordLanes, 23, -126>;
using Binary16 = BinaryFormat<HalfLanes, 10, -14>;
using BFloat = BinaryFormat<HalfLanes, 7, -126>;

// How far the preimage of an element reaches, in half steps from it: towards zero and away from it.
struct Reach {
  std::int64_t inward, outward;
};

Reach ReachOf(Rounding rounding) {
  switch (rounding) {
    case Rounding::kNearestEven: return {1, 1};
    case Rounding::kFaithful: return {2, 2};
    case Rounding::kTowardZero: return {0, 2};
  }
  throw std::logic_error("no such rounding");
}

template <typename Format>
void Fill(const BoundRule& rule, const void* address, std::size_t count, double* low,
          double* high) {
  const auto* bytes = static_cast<const std::byte*>(address);
  const Reach reach = ReachOf(rule.rounding);
  // From here on outwards nothing but the largest number is left, or infinity.
  const bool never_infinite = rule.saturates || rule.rounding == Rounding::kTowardZero;
  const std::int64_t last = Format::kInfinity - (never_infinite ? 1 : 0);
  Vectorised([=] {
    const Lanes infinity = Broadcast(std::numeric_limits<double>::infinity());
    const Lanes nan = Broadcast(std::numeric_limits<double>::quiet_NaN());
    ForEachVector(count, [=](std::size_t i, std::size_t lanes) {
      const auto elements = LoadAs<typename Format::Elements>(bytes + i * Format::kBytes, lanes);
      const auto bits = __builtin_convertvector(elements, LaneMask);
      const LaneMask magnitude = bits & (Format::kSign - 1);
      // Zero reaches as far to either side.
      const LaneMask inward =
          magnitude == 0 ? LaneMask{} + reach.outward : LaneMask{} + reach.inward;
      Lanes inner = Format::Point(2 * magnitude - inward);
      Lanes outer = Format::Point(2 * magnitude + reach.outward);
      outer = magnitude >= last ? infinity : outer;
      inner = magnitude > last ? nan : inner;
      outer = magnitude > last ? nan : outer;
      const LaneMask negative = bits & Format::kSign;
      StoreLanes(negative != 0 ? -outer : inner, lanes, low + i);
      StoreLanes(negative != 0 ? -inner : outer, lanes, high + i);
    });
  });
}

}  // namespace

void RoundingPreimages(DType dtype, const BoundRule& rule, const void* address, std::size_t count,
                       double* low, double* high) {
  switch (dtype) {
    case DType::kFloat32: return Fill<Binary32>(rule, address, count, low, high);
    case DType::kFloat16: return Fill<Binary16>(rule, address, count, low, high);
    case DType::kBFloat16: return Fill<BFloat>(rule, address, count, low, high);
    case DType::kFloat64:
      LoadAll(dtype, address, count, low);
      return LoadAll(dtype, address, count, high);
    case DType::kNone:
    case DType::kInt32: break;
  }
  throw std::logic_error("integers have no rounding preimage");
}

bool IsOwnEnd(DType dtype, Rounding rounding, const void* address, double end) {
  const double element = Load(dtype, address);
  if (element == end) return true;
  if (rounding != Rounding::kNearestEven) return false;
  // Store() decides ties as IEEE 754 does.
  return Round(dtype, end) == element;
}

}  // namespace normgrad
