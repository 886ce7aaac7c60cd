// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>

#include "golden/oracle.h"

namespace normgrad {

/// Which error of a float32 sum the bound allows.
enum class SumMode {
  kSharp,      // overwhelmingly probable for exchangeable terms: data our generator made
  kCertified,  // a theorem for any data and any summation order
  kExact,      // none, where every partial sum is a float32 number; else as kCertified
};

/// How a device rounds a result to the dtype of its output.
enum class Rounding {
  kNearestEven,  // once, to the nearest, ties to even
  kFaithful,     // to either neighbour
  kTowardZero,
};

/// Unit roundoff of float32, the precision devices accumulate in: one operation errs by at most
/// this times its result.
inline constexpr double kFloat32Roundoff = 0x1p-24;

/// What the verdict needs to know about a case besides its numbers.
struct BoundRule {
  SumMode mode = SumMode::kSharp;
  bool sixteen_bit_inputs = false;     // long same-sign sums of few distinct products: see Allow()
  double smallest_normal = 0x1p-126;   // what the device may flush to zero; 0x1p-149 if it may not
  double roundoff = kFloat32Roundoff;  // of the arithmetic
  double quantum = 0;                  // kExact: a power of two that every term is a multiple of
  bool exact_elements = false;         // kExact: so are the operations around the sums
  Rounding rounding = Rounding::kNearestEven;
  bool saturates = false;  // results too large for their dtype become its largest number
};

/// Allowed error of one float32 sum, any order: numbers and derivation in bound.cc.
double Allow(const Sum& sum, const BoundRule& rule);

/// What the allowance of one element consists of.
struct AllowanceTerms {
  double local = 0;  // roundings outside its sums
  double sums = 0;   // errors of its sums
  double flush = 0;  // subnormal numbers flushed to zero

  double Total() const { return local + sums + flush; }
};

/// The allowance of element `i` of `block`, term by term.
AllowanceTerms AllowanceOf(const ReferenceBlock& block, const BoundRule& rule, std::size_t i);

/// The allowances of the elements first, first + 1, … of `block`, one per element of `out`; up to
/// rounding AllowanceOf().Total(), but each shared sum is evaluated only once.
void Allowances(const ReferenceBlock& block, const BoundRule& rule, std::size_t first,
                std::span<double> out);

}  // namespace normgrad
