// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include "golden/oracle.h"

namespace normgrad {

/// The unevaluated sum high + low, |low| at most about an ulp of high: some 106 bits.
struct DoubleDouble {
  double high = 0;
  double low = 0;
};

/// a + b exactly (Knuth's TwoSum: six operations, no condition on the order of a and b).
inline DoubleDouble TwoSum(double a, double b) {
  const double sum = a + b;
  const double b_part = sum - a;
  return {sum, (a - (sum - b_part)) + (b - b_part)};
}

/// a * b exactly if b has at most 26 significant bits, as every device dtype has, and |a| is below
/// 2^996 (Veltkamp's splitting and Dekker's product: no fused multiply-add, which is a library call
/// on baseline x86-64).
inline DoubleDouble TwoProduct(double a, double b) {
  constexpr double kSplitter = 0x1p27 + 1;
  const double scaled = kSplitter * a;
  const double head = scaled - (scaled - a), tail = a - head;
  const double product = a * b;
  return {product, (head * b - product) + tail * b};
}

/// a * b to about 2^-100, under the conditions of TwoProduct().
DoubleDouble Multiply(DoubleDouble a, double b);

/// a / b to about 2^-100, for b with at most 26 significant bits.
DoubleDouble Divide(DoubleDouble a, double b);

/// One compensated sum of products, added in eight lanes chosen by index: its bits depend on the
/// terms only, not on the compiler's choice of vector length.
///
/// Error of Value(): 2^-53 |sum| + (n + 3)^2 2^-106 * Magnitude() (Ogita, Rump and Oishi, "Accurate
/// sum and dot product", SISC 26(6), 2005). Magnitude and energy are plain float64 sums.
class DotSum {
 public:
  /// Adds a[i] * b[i] for every i < count; b as in TwoProduct(). Only the last of several calls may
  /// have a count that is no multiple of eight.
  void AddProducts(const double* a, const double* b, std::size_t count);

  DoubleDouble Value() const;  // sum of t
  double Magnitude() const;    // sum of |t|; not finite exactly if some term is not
  double Energy() const;       // sum of t^2

 private:
  using Lanes = std::array<double, 8>;
  Lanes high_{}, low_{}, magnitude_{}, energy_{};
};

/// Compensated sums over the rows of a matrix, one per column; errors as DotSum's.
class ColumnSums {
 public:
  explicit ColumnSums(std::size_t columns = 0);

  std::size_t Columns() const { return high_.size(); }

  /// Adds terms[i] * factor to column i; factor as b in TwoProduct().
  void AddRow(const double* terms, double factor);

  /// Adds the sums of later rows.
  void Merge(const ColumnSums& later);

  /// The sum of column i: `count` terms that a device rounds `roundings` times each. A column with
  /// a non-finite term has the value NaN.
  Sum At(std::size_t column, double count, double roundings) const;

 private:
  std::vector<double> high_, low_, magnitude_, energy_;
};

/// The largest finite |value|, 0 for none: elements that depend on another value are not finite
/// themselves and need no range.
double MaxMagnitude(std::span<const double> values);

}  // namespace normgrad
