// SPDX-License-Identifier: Apache-2.0
#include "accuracy/preimage.h"

#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <stdexcept>

namespace normgrad {
namespace {

// A binary format whose elements are kept as Bits: sign, exponent, kFraction significand bits.
template <typename BitsType, int kFractionBits, int kMinExponent>
struct BinaryFormat {
  using Bits = BitsType;
  static constexpr int kWidth = static_cast<int>(sizeof(Bits) * 8);
  static constexpr std::int64_t kSign = std::int64_t{1} << (kWidth - 1);
  static constexpr std::int64_t kInfinity = kSign - (std::int64_t{1} << kFractionBits);

  // The point `twice` half steps above zero, where a step leads from one magnitude's bits to the
  // next: odd counts are the midpoints. float64 has the same layout with more significand bits, so
  // that a normal point's bits only shift; up to twice the smallest normal number steps are equal.
  static double Point(std::int64_t twice) {
    constexpr double kHalfStep = std::bit_cast<double>(
        static_cast<std::uint64_t>(1023 + kMinExponent - kFractionBits - 1) << 52);
    if (twice < (std::int64_t{1} << (kFractionBits + 2))) {
      return static_cast<double>(twice) * kHalfStep;
    }
    constexpr std::int64_t kRebias = std::int64_t{1023 + kMinExponent - 1} << 52;
    return std::bit_cast<double>((twice << (51 - kFractionBits)) + kRebias);
  }
};

using Binary32 = BinaryFormat<std::uint32_t, 23, -126>;
using Binary16 = BinaryFormat<std::uint16_t, 10, -14>;
using BFloat = BinaryFormat<std::uint16_t, 7, -126>;

template <typename Format>
void Fill(const void* address, std::size_t count, double* low, double* high) {
  const auto* bytes = static_cast<const std::byte*>(address);
  for (std::size_t i = 0; i < count; ++i) {
    typename Format::Bits bits{};
    std::memcpy(&bits, bytes + i * sizeof bits, sizeof bits);
    const std::int64_t magnitude = bits & (Format::kSign - 1);
    double inner = Format::Point(2 * magnitude - 1), outer = Format::Point(2 * magnitude + 1);
    if (magnitude >= Format::kInfinity) {
      outer = std::numeric_limits<double>::infinity();
      if (magnitude > Format::kInfinity) inner = outer = std::numeric_limits<double>::quiet_NaN();
    }
    const bool negative = (bits & Format::kSign) != 0;
    low[i] = negative ? -outer : inner;
    high[i] = negative ? -inner : outer;
  }
}

}  // namespace

void RoundingPreimages(DType dtype, const void* address, std::size_t count, double* low,
                       double* high) {
  switch (dtype) {
    case DType::kFloat32: return Fill<Binary32>(address, count, low, high);
    case DType::kFloat16: return Fill<Binary16>(address, count, low, high);
    case DType::kBFloat16: return Fill<BFloat>(address, count, low, high);
    case DType::kFloat64:
      LoadAll(dtype, address, count, low);
      return LoadAll(dtype, address, count, high);
    case DType::kNone:
    case DType::kInt32: break;
  }
  throw std::logic_error("integers have no rounding preimage");
}

}  // namespace normgrad
