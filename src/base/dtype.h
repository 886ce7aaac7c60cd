// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace normgrad {

/// Element types of the norm-gradient operators' tensors. Values equal CANN's aclDataType.
/// kFloat64 is never a device's: the oracle's own tests use it. kNone is the dtype of a tensor that
/// is null.
enum class DType : std::int32_t {
  kNone = -1,
  kFloat32 = 0,
  kFloat16 = 1,
  kInt32 = 3,
  kFloat64 = 11,
  kBFloat16 = 27,
};

/// Bytes per element; 0 of kNone.
std::size_t SizeOf(DType dtype);

/// "float32", "float16", "bfloat16", "int32", "float64" or "none": the spelling of YAML, CSV and
/// reports.
std::string_view Name(DType dtype);

/// Inverse of Name(). Throws Error naming the accepted spellings.
DType ParseDType(std::string_view name);

/// As ParseDType(), and "none" is kNone.
DType ParseDTypeOrNone(std::string_view name);

/// The element at `address` (no alignment needed), exactly.
double Load(DType dtype, const void* address);

/// `count` consecutive elements from `address` on, exactly as Load() reads each of them: a fraction
/// of a nanosecond per element.
void LoadAll(DType dtype, const void* address, std::size_t count, double* out);

/// Rounds `value` once to `dtype` (nearest, ties to even, gradual underflow, overflow to infinity;
/// integers saturate, NaN becomes 0) and stores it at `address` (no alignment needed).
/// A NaN becomes a quiet NaN with the sign of `value`.
void Store(DType dtype, double value, void* address);

/// `count` consecutive elements from `address` on, exactly as Store() makes each of them.
void StoreAll(DType dtype, const double* values, std::size_t count, void* address);

/// `value` rounded once to `dtype`, as Store() does.
double Round(DType dtype, double value);

/// `count` values rounded once to `dtype`, as Round() does each. Float types only.
void RoundAll(DType dtype, const double* values, std::size_t count, double* out);

/// The real numbers that round to one finite or infinite element: every v with
/// low <= v <= high. Both ends are exact in float64, and belong to the interval only if
/// the element's significand is even (ties to even); callers that allow a derived error need not
/// care. low == high == NaN for a NaN element.
struct Preimage {
  double low = 0;
  double high = 0;
};

/// Preimage of the element at `address` under round-to-nearest-even. Float types only.
/// +0 and -0 share one preimage.
Preimage RoundingPreimage(DType dtype, const void* address);

}  // namespace normgrad
