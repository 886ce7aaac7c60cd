// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace normgrad {

/// A sum of finite float64 numbers without any rounding, so that neither the order nor the grouping
/// of its terms shows: a fixed-point number wide enough for all of them. At most 2^30 terms.
class ExactSum {
 public:
  /// Adds one number; std::logic_error unless it is finite.
  void Add(double term);

  /// Adds the terms of `other`.
  void Add(const ExactSum& other);

  /// The sum as float64, to within an ulp; equal sums give equal bits.
  double Value() const;

 private:
  // From 2^-1074 up: 2098 bits of the numbers themselves, and room above them for carries.
  static constexpr std::size_t kLimbs = 68;
  static constexpr int kLimbBits = 32;

  std::array<std::int64_t, kLimbs> limbs_{};  // carries stay where they arise until Value()
};

}  // namespace normgrad
