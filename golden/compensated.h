// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/lanes.h"

namespace normgrad {

/// The unevaluated sum high + low, |low| at most about an ulp of high: some 106 bits.
template <typename Number>
struct Compensated {
  Number high{}, low{};
};

using DoubleDouble = Compensated<double>;

/// a + b exactly (Knuth's TwoSum: six operations, no condition on the order of a and b), lane by
/// lane where they are Lanes.
template <typename Number>
inline Compensated<Number> TwoSum(Number a, Number b) {
  const Number sum = a + b;
  const Number b_part = sum - a;
  return {sum, (a - (sum - b_part)) + (b - b_part)};
}

inline DoubleDouble TwoSum(double a, double b) { return TwoSum<double>(a, b); }

/// a * b exactly if b has at most 26 significant bits, as every device dtype has, and |a| is below
/// 2^996 (Veltkamp's splitting and Dekker's product: no fused multiply-add, which is a library call
/// on baseline x86-64).
template <typename Number>
inline Compensated<Number> TwoProduct(Number a, Number b) {
  constexpr double kSplitter = 0x1p27 + 1;
  const Number scaled = kSplitter * a;
  const Number head = scaled - (scaled - a), tail = a - head;
  const Number product = a * b;
  return {product, (head * b - product) + tail * b};
}

inline DoubleDouble TwoProduct(double a, double b) { return TwoProduct<double>(a, b); }

/// a * b to about 2^-100, under the conditions of TwoProduct().
DoubleDouble Multiply(DoubleDouble a, double b);

/// a - b to about 2^-104 of the larger of the two.
DoubleDouble Subtract(DoubleDouble a, DoubleDouble b);

/// a / b to about 2^-100.
DoubleDouble Divide(DoubleDouble a, DoubleDouble b);

/// What is known of a finished sum of t_1 … t_n.
struct Totals {
  DoubleDouble value;    // sum of t
  double magnitude = 0;  // sum of |t|; not finite exactly if some term is not
  double energy = 0;     // sum of t^2
};

/// The totals of the terms factor * t; factor as b in TwoProduct().
Totals Scale(const Totals& totals, double factor);

/// Compensated sums under way, one per lane: error of each as DotSum's.
struct LaneSums {
  Lanes high{}, low{}, magnitude{}, energy{};

  void Add(Compensated<Lanes> term) {
    const Compensated<Lanes> sum = TwoSum(high, term.high);
    high = sum.high;
    low += sum.low + term.low;
    magnitude += AbsOf(term.high);
    energy += term.high * term.high;
  }
};

/// One compensated sum of terms or products, added in eight lanes chosen by index: its bits depend
/// on the terms only, not on the compiler's choice of vector length.
///
/// Error of the value: 2^-53 |sum| + (n + 3)^2 2^-106 * magnitude (Ogita, Rump and Oishi, "Accurate
/// sum and dot product", SISC 26(6), 2005). Magnitude and energy are plain float64 sums.
class DotSum {
 public:
  /// Adds a[i] * b[i] for every i < count; b as in TwoProduct(). Only the last of several calls may
  /// have a count that is no multiple of eight.
  void AddProducts(const double* a, const double* b, std::size_t count);

  /// Adds a[i] for every i < count, on the same condition.
  void AddTerms(const double* a, std::size_t count);

  Totals Get() const;

 private:
  LaneSums sums_;
};

/// Compensated sums over the rows of a matrix, one per column; errors as DotSum's.
class ColumnSums {
 public:
  explicit ColumnSums(std::size_t columns = 0);

  std::size_t Columns() const { return high_.size(); }

  /// Adds terms[r * Columns() + i] * factors[r], for every row r < rows in turn, to column i;
  /// factors as b in TwoProduct(), all of them 1 where there are none.
  void AddRows(const double* terms, const double* factors, std::size_t rows);

  /// Adds the sums of later rows.
  void Merge(const ColumnSums& later);

  /// The sum of one column; of nothing where there are no columns at all.
  Totals At(std::size_t column) const;

 private:
  std::vector<double> high_, low_, magnitude_, energy_;
};

/// a[i] * b[i] for every i < count, each rounded; `product` may be one of them.
void MultiplyAll(const double* a, const double* b, std::size_t count, double* product);

/// The largest finite |value|, 0 for none: elements that depend on another value are not finite
/// themselves and need no range.
double MaxMagnitude(std::span<const double> values);

}  // namespace normgrad
