// SPDX-License-Identifier: Apache-2.0
#include "base/dtype.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>

#include "base/error.h"

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
  return std::ldexp(static_cast<double>(significand), exponent - format.significand_bits);
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

// Branch-free, so that a loop over it vectorises: every binary16 number is a normal float32, whose
// exponent is biased by 112 more. Infinity and NaN need that shift twice.
float HalfToFloat(std::uint16_t bits) {
  constexpr std::uint32_t kRebias = 112u << 23;
  const std::uint32_t magnitude = bits & 0x7fffu;
  const std::uint32_t special = magnitude >= 0x7c00u ? kRebias : 0;
  const auto normal = (magnitude << 13) + kRebias + special;
  const auto subnormal = std::bit_cast<std::uint32_t>(
      static_cast<float>(static_cast<std::int32_t>(magnitude)) * 0x1p-24f);
  const std::uint32_t sign = (bits & 0x8000u) << 16;
  return std::bit_cast<float>(sign | (magnitude < 0x400u ? subnormal : normal));
}

template <typename Element, typename Convert>
void LoadEach(const void* address, std::size_t count, double* out, Convert convert) {
  const auto* bytes = static_cast<const std::byte*>(address);
  for (std::size_t i = 0; i < count; ++i) {
    Element element{};
    std::memcpy(&element, bytes + i * sizeof element, sizeof element);
    out[i] = static_cast<double>(convert(element));
  }
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
      return LoadEach<double>(address, count, out, [](double value) { return value; });
    case DType::kFloat32:
      return LoadEach<float>(address, count, out, [](float value) { return value; });
    case DType::kInt32:
      return LoadEach<std::int32_t>(address, count, out, [](std::int32_t value) { return value; });
    case DType::kFloat16: return LoadEach<std::uint16_t>(address, count, out, HalfToFloat);
    case DType::kBFloat16:
      return LoadEach<std::uint16_t>(address, count, out, [](std::uint16_t bits) {
        return std::bit_cast<float>(std::uint32_t{bits} << 16);
      });
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
