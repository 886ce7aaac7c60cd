// SPDX-License-Identifier: Apache-2.0
#include "base/dtype.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>

#include "base/error.h"
#include "base/lanes.h"

namespace normgrad {
namespace {

// Width of the stored significand and range of the exponent of a binary format narrower than
// float64. Elements are bit patterns: sign, exponent, significand, from the top.
struct Format {
  int significand_bits;  // without the implicit one
  int min_exponent;      // of the smallest normal number
  int total_bits;
};

constexpr Format kBinary32{23, -126, 32}, kBinary16{10, -14, 16}, kBFloat{7, -126, 16};

Format FormatOf(DType dtype) {
  switch (dtype) {
    case DType::kFloat32: return kBinary32;
    case DType::kFloat16: return kBinary16;
    case DType::kBFloat16: return kBFloat;
    case DType::kNone:
    case DType::kInt32:
    case DType::kFloat64: break;
  }
  throw std::logic_error("no narrow binary format");
}

std::uint32_t InfinityBits(const Format& format) {
  const int exponent_bits = format.total_bits - 1 - format.significand_bits;
  return ((1u << exponent_bits) - 1) << format.significand_bits;
}

std::uint32_t SignBit(const Format& format) { return 1u << (format.total_bits - 1); }

/// The value of a bit pattern without its sign; the pattern of infinity counts as the number that
/// would follow the largest finite one, which is what midpoints next to infinity need.
double Magnitude(const Format& format, std::uint32_t bits) {
  const std::uint32_t fraction = bits & ((1u << format.significand_bits) - 1);
  const auto biased = static_cast<int>(bits >> format.significand_bits);
  const std::uint32_t significand =
      biased == 0 ? fraction : fraction | (1u << format.significand_bits);
  const int exponent = format.min_exponent + (biased == 0 ? 0 : biased - 1);
  // A power of two of a narrow format is a normal float64. std::ldexp() would be the slowest part
  // of a kernel that reads a statistic per row.
  constexpr int kBias = 1023, kFractionBits = 52;
  const std::int64_t power = std::int64_t{exponent} - format.significand_bits + kBias;
  return static_cast<double>(significand) *
         std::bit_cast<double>(static_cast<std::uint64_t>(power) << kFractionBits);
}

std::uint32_t Encode(const Format& format, double value) {
  const std::uint32_t sign = std::signbit(value) ? SignBit(format) : 0;
  if (std::isnan(value)) {
    return sign | InfinityBits(format) | (1u << (format.significand_bits - 1));
  }
  const double magnitude = std::fabs(value);
  if (magnitude == 0) return sign;
  if (std::isinf(magnitude)) return sign | InfinityBits(format);
  const int exponent = std::max(std::ilogb(magnitude), format.min_exponent);
  // Units of the last place; exact, because it only moves the exponent of a float64.
  const double scaled = std::ldexp(magnitude, format.significand_bits - exponent);
  if (exponent > 1 - format.min_exponent) return sign | InfinityBits(format);
  // In the default rounding mode nearbyint() is round-to-nearest-even. A significand that rounds
  // up to the next power of two carries into the exponent by plain addition.
  const auto significand = static_cast<std::uint32_t>(std::nearbyint(scaled));
  const auto biased = static_cast<std::uint32_t>(exponent - format.min_exponent);
  const std::uint32_t bits = (biased << format.significand_bits) + significand;
  return sign | std::min(bits, InfinityBits(format));
}

std::uint32_t LoadBits(const Format& format, const void* address) {
  if (format.total_bits == 32) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, address, sizeof bits);
    return bits;
  }
  std::uint16_t bits = 0;
  std::memcpy(&bits, address, sizeof bits);
  return bits;
}

// What follows is made for loops that the compiler turns into vectors: integers decide, as it does
// not reorder decisions about floating point, and no subnormal number is computed with.

// Every binary16 number is a normal float32, whose exponent is biased by 112 more; by twice that of
// infinity and NaN. A subnormal one is read as if it had an implicit one, which is taken off again.
float HalfToFloat(std::uint16_t half) {
  constexpr std::uint32_t kRebias = 112u << 23, kSmallestNormal = 113u << 23;
  const std::uint32_t magnitude = half & 0x7fffu;
  const std::uint32_t one = magnitude < 0x400u ? kSmallestNormal : 0;
  const std::uint32_t rebias = magnitude >= 0x7c00u ? 2 * kRebias : kRebias;
  const auto shifted = std::bit_cast<float>((magnitude << 13) + (one != 0 ? one : rebias));
  const auto value = std::bit_cast<std::uint32_t>(shifted - std::bit_cast<float>(one));
  return std::bit_cast<float>(value | (half & 0x8000u) << 16);
}

float BFloatToFloat(std::uint16_t bfloat) {
  return std::bit_cast<float>(std::uint32_t{bfloat} << 16);
}

// The bits of a power of two that is a normal float64.
constexpr std::int64_t PowerBits(int exponent) { return std::int64_t{1023 + exponent} << 52; }

// A number on its way to a narrow format: to the nearest, ties to even, gradual underflow.
template <int kFractionBits, int kMinExponent>
struct Narrowing {
  static constexpr std::int64_t kSign = std::numeric_limits<std::int64_t>::min();
  static constexpr std::int64_t kInfinity = PowerBits(1024);
  static constexpr std::int64_t kOverflow = PowerBits(2 - kMinExponent);

  explicit Narrowing(double value)
      : sign(std::bit_cast<std::int64_t>(value) & kSign),
        magnitude(std::bit_cast<std::int64_t>(value) & ~kSign),
        power(std::clamp(magnitude & kInfinity, PowerBits(kMinExponent), kOverflow)),
        shift(power + (std::int64_t{52 - kFractionBits} << 52)),
        shifted(std::bit_cast<double>(magnitude) + std::bit_cast<double>(shift)) {}

  std::int64_t sign, magnitude;  // bits
  std::int64_t power;            // bits of the one that the unit in the last place goes by
  std::int64_t shift;            // bits of the number whose own unit that is …
  double shifted;                // … so that the addition rounds
};

template <int kFractionBits, int kMinExponent>
double RoundTo(double value) {
  using Number = Narrowing<kFractionBits, kMinExponent>;
  const Number number(value);
  const auto rounded =
      std::bit_cast<std::int64_t>(number.shifted - std::bit_cast<double>(number.shift));
  const std::int64_t bounded = rounded >= Number::kOverflow ? Number::kInfinity : rounded;
  const bool nan = number.magnitude > Number::kInfinity;
  return std::bit_cast<double>((nan ? number.magnitude : bounded) | number.sign);
}

// The element that `value` becomes: units in the last place above the exponent, which they may
// carry into.
template <int kFractionBits, int kMinExponent>
std::uint16_t EncodeNarrow(double value) {
  using Number = Narrowing<kFractionBits, kMinExponent>;
  constexpr std::int64_t kInfinity =
      (Number::kOverflow - PowerBits(kMinExponent - 1)) >> (52 - kFractionBits);
  const Number number(value);
  const std::int64_t exponent = (number.power - PowerBits(kMinExponent)) >> (52 - kFractionBits);
  const std::int64_t units = std::bit_cast<std::int64_t>(number.shifted) - number.shift;
  const std::int64_t bounded = std::min(exponent + units, kInfinity);
  constexpr std::int64_t kNan = kInfinity | (std::int64_t{1} << (kFractionBits - 1));
  const std::int64_t element = number.magnitude > Number::kInfinity ? kNan : bounded;
  return static_cast<std::uint16_t>(element | ((number.sign >> 48) & 0x8000));
}

template <typename From, typename To, typename Convert>
void ConvertEach(const void* from, std::size_t count, void* to, Convert convert) {
  Vectorised([=] {
    const auto* in = static_cast<const std::byte*>(from);
    auto* out = static_cast<std::byte*>(to);
    for (std::size_t i = 0; i < count; ++i) {
      From element;
      std::memcpy(&element, in + i * sizeof element, sizeof element);
      const To converted = convert(element);
      std::memcpy(out + i * sizeof converted, &converted, sizeof converted);
    }
  });
}

}  // namespace

std::size_t SizeOf(DType dtype) {
  switch (dtype) {
    case DType::kNone: return 0;
    case DType::kFloat32:
    case DType::kInt32: return 4;
    case DType::kFloat16:
    case DType::kBFloat16: return 2;
    case DType::kFloat64: return 8;
  }
  throw std::logic_error("unknown dtype");
}

std::string_view Name(DType dtype) {
  switch (dtype) {
    case DType::kNone: return "none";
    case DType::kFloat32: return "float32";
    case DType::kFloat16: return "float16";
    case DType::kBFloat16: return "bfloat16";
    case DType::kInt32: return "int32";
    case DType::kFloat64: return "float64";
  }
  return "unknown";
}

DType ParseDType(std::string_view name) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat16, DType::kBFloat16, DType::kInt32}) {
    if (name == Name(dtype)) return dtype;
  }
  throw Error("unknown dtype '{}': expected float32, float16, bfloat16 or int32", name);
}

DType ParseDTypeOrNone(std::string_view name) {
  return name == Name(DType::kNone) ? DType::kNone : ParseDType(name);
}

double Load(DType dtype, const void* address) {
  switch (dtype) {
    case DType::kFloat64: {
      double value = 0;
      std::memcpy(&value, address, sizeof value);
      return value;
    }
    case DType::kFloat32: {
      float value = 0;
      std::memcpy(&value, address, sizeof value);
      return static_cast<double>(value);
    }
    case DType::kBFloat16: {
      std::uint16_t bits = 0;
      std::memcpy(&bits, address, sizeof bits);
      return static_cast<double>(std::bit_cast<float>(std::uint32_t{bits} << 16));
    }
    case DType::kInt32: {
      std::int32_t value = 0;
      std::memcpy(&value, address, sizeof value);
      return value;
    }
    case DType::kNone: throw std::logic_error("a null tensor has no elements");
    case DType::kFloat16: break;
  }
  const std::uint32_t bits = LoadBits(kBinary16, address);
  const double sign = (bits & SignBit(kBinary16)) != 0 ? -1 : 1;
  const std::uint32_t magnitude = bits & ~SignBit(kBinary16);
  if (magnitude > InfinityBits(kBinary16)) {
    return std::copysign(std::numeric_limits<double>::quiet_NaN(), sign);
  }
  if (magnitude == InfinityBits(kBinary16)) return sign * std::numeric_limits<double>::infinity();
  return sign * Magnitude(kBinary16, magnitude);
}

void LoadAll(DType dtype, const void* address, std::size_t count, double* out) {
  switch (dtype) {
    case DType::kNone: throw std::logic_error("a null tensor has no elements");
    case DType::kFloat64:
      if (count > 0) std::memcpy(out, address, count * sizeof(double));
      return;
    case DType::kFloat32:
      return ConvertEach<float, double>(address, count, out, [](float value) { return value; });
    case DType::kInt32:
      return ConvertEach<std::int32_t, double>(address, count, out,
                                               [](std::int32_t value) { return value; });
    case DType::kFloat16:
      return ConvertEach<std::uint16_t, double>(
          address, count, out, [](std::uint16_t bits) { return HalfToFloat(bits); });
    case DType::kBFloat16:
      return ConvertEach<std::uint16_t, double>(
          address, count, out, [](std::uint16_t bits) { return BFloatToFloat(bits); });
  }
}

void Store(DType dtype, double value, void* address) {
  switch (dtype) {
    case DType::kNone: throw std::logic_error("a null tensor has no elements");
    case DType::kFloat64: std::memcpy(address, &value, sizeof value); return;
    case DType::kFloat32: {
      const auto rounded = static_cast<float>(value);  // nearest-even, by the C++ environment
      std::memcpy(address, &rounded, sizeof rounded);
      return;
    }
    case DType::kInt32: {
      constexpr double kMax = std::numeric_limits<std::int32_t>::max();
      constexpr double kMin = std::numeric_limits<std::int32_t>::min();
      const double clamped = std::isnan(value) ? 0 : std::min(std::max(value, kMin), kMax);
      const auto rounded = static_cast<std::int32_t>(std::nearbyint(clamped));
      std::memcpy(address, &rounded, sizeof rounded);
      return;
    }
    case DType::kFloat16:
    case DType::kBFloat16: {
      const auto bits = static_cast<std::uint16_t>(Encode(FormatOf(dtype), value));
      std::memcpy(address, &bits, sizeof bits);
      return;
    }
  }
}

double Round(DType dtype, double value) {
  double storage = 0;
  Store(dtype, value, &storage);
  return Load(dtype, &storage);
}

void StoreAll(DType dtype, const double* values, std::size_t count, void* address) {
  switch (dtype) {
    case DType::kFloat32:
      return ConvertEach<double, float>(values, count, address,
                                        [](double value) { return static_cast<float>(value); });
    case DType::kFloat16:
      return ConvertEach<double, std::uint16_t>(
          values, count, address, [](double value) { return EncodeNarrow<10, -14>(value); });
    case DType::kBFloat16:
      return ConvertEach<double, std::uint16_t>(
          values, count, address, [](double value) { return EncodeNarrow<7, -126>(value); });
    case DType::kNone:
    case DType::kInt32:
    case DType::kFloat64: break;
  }
  auto* bytes = static_cast<std::byte*>(address);
  for (std::size_t i = 0; i < count; ++i) Store(dtype, values[i], bytes + i * SizeOf(dtype));
}

void RoundAll(DType dtype, const double* values, std::size_t count, double* out) {
  const auto round_each = [=](auto round) {
    ConvertEach<double, double>(values, count, out, round);
  };
  switch (dtype) {
    case DType::kFloat32: return round_each([](double value) { return RoundTo<23, -126>(value); });
    case DType::kFloat16: return round_each([](double value) { return RoundTo<10, -14>(value); });
    case DType::kBFloat16: return round_each([](double value) { return RoundTo<7, -126>(value); });
    case DType::kNone:
    case DType::kInt32:
    case DType::kFloat64: break;
  }
  throw std::logic_error("no narrow binary format");
}

Preimage RoundingPreimage(DType dtype, const void* address) {
  if (dtype == DType::kFloat64) {
    const double value = Load(dtype, address);
    return {value, value};
  }
  const Format format = FormatOf(dtype);
  const std::uint32_t bits = LoadBits(format, address);
  const std::uint32_t magnitude = bits & ~SignBit(format), infinity = InfinityBits(format);
  if (magnitude > infinity) {
    constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
    return {kNan, kNan};
  }
  const double here = Magnitude(format, magnitude);
  const double outer = magnitude == infinity ? std::numeric_limits<double>::infinity()
                                             : (here + Magnitude(format, magnitude + 1)) / 2;
  if (magnitude == 0) return {-outer, outer};
  const double inner = (Magnitude(format, magnitude - 1) + here) / 2;
  return (bits & SignBit(format)) != 0 ? Preimage{-outer, -inner} : Preimage{inner, outer};
}

}  // namespace normgrad
