// SPDX-License-Identifier: Apache-2.0
#include "golden/compensated.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace normgrad {
namespace {

constexpr std::size_t kLanes = 8;

// Adds a * b to one lane or column. Everything is by reference to locals or distinct arrays, which
// lets loops over it vectorise.
inline void AddTerm(double a, double b, double& high, double& low, double& magnitude,
                    double& energy) {
  const DoubleDouble term = TwoProduct(a, b);
  const DoubleDouble sum = TwoSum(high, term.high);
  high = sum.high;
  low += sum.low + term.low;
  magnitude += std::fabs(term.high);
  energy += term.high * term.high;
}

double SumOf(std::span<const double> values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum;
}

}  // namespace

DoubleDouble Multiply(DoubleDouble a, double b) {
  const DoubleDouble product = TwoProduct(a.high, b);
  return TwoSum(product.high, product.low + a.low * b);
}

DoubleDouble Divide(DoubleDouble a, double b) {
  const double quotient = a.high / b;
  const DoubleDouble product = TwoProduct(quotient, b);
  return TwoSum(quotient, ((a.high - product.high) - product.low + a.low) / b);
}

void DotSum::AddProducts(const double* a, const double* b, std::size_t count) {
  // Copies, because the compiler must assume that a and b may point into this object.
  Lanes high = high_, low = low_, magnitude = magnitude_, energy = energy_;
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (std::size_t k = 0; k < kLanes; ++k) {
      AddTerm(a[i + k], b[i + k], high[k], low[k], magnitude[k], energy[k]);
    }
  }
  for (std::size_t k = 0; i + k < count; ++k) {
    AddTerm(a[i + k], b[i + k], high[k], low[k], magnitude[k], energy[k]);
  }
  high_ = high, low_ = low, magnitude_ = magnitude, energy_ = energy;
}

DoubleDouble DotSum::Value() const {
  DoubleDouble total;
  for (std::size_t k = 0; k < kLanes; ++k) {
    const DoubleDouble sum = TwoSum(total.high, high_[k]);
    total = {sum.high, total.low + (sum.low + low_[k])};
  }
  return TwoSum(total.high, total.low);
}

double DotSum::Magnitude() const { return SumOf(magnitude_); }

double DotSum::Energy() const { return SumOf(energy_); }

ColumnSums::ColumnSums(std::size_t columns)
    : high_(columns), low_(columns), magnitude_(columns), energy_(columns) {}

void ColumnSums::AddRow(const double* terms, double factor) {
  double* const high = high_.data();
  double* const low = low_.data();
  double* const magnitude = magnitude_.data();
  double* const energy = energy_.data();
  const std::size_t count = Columns();
  for (std::size_t i = 0; i < count; ++i) {
    AddTerm(terms[i], factor, high[i], low[i], magnitude[i], energy[i]);
  }
}

void ColumnSums::Merge(const ColumnSums& later) {
  for (std::size_t i = 0; i < Columns(); ++i) {
    const DoubleDouble sum = TwoSum(high_[i], later.high_[i]);
    high_[i] = sum.high;
    low_[i] += sum.low + later.low_[i];
    magnitude_[i] += later.magnitude_[i];
    energy_[i] += later.energy_[i];
  }
}

Sum ColumnSums::At(std::size_t column, double count, double roundings) const {
  Sum sum{count, roundings, high_[column] + low_[column], magnitude_[column], energy_[column]};
  if (!std::isfinite(sum.magnitude)) sum.value = std::numeric_limits<double>::quiet_NaN();
  return sum;
}

double MaxMagnitude(std::span<const double> values) {
  constexpr double kLargest = std::numeric_limits<double>::max();
  // In lanes, because a single running maximum waits for itself and does not vectorise.
  std::array<double, kLanes> largest{};
  std::size_t i = 0;
  for (; i + kLanes <= values.size(); i += kLanes) {
    for (std::size_t k = 0; k < kLanes; ++k) {
      const double magnitude = std::fabs(values[i + k]);
      const double finite = magnitude <= kLargest ? magnitude : 0;
      largest[k] = finite > largest[k] ? finite : largest[k];
    }
  }
  double result = *std::ranges::max_element(largest);
  for (; i < values.size(); ++i) {
    const double magnitude = std::fabs(values[i]);
    if (magnitude <= kLargest) result = std::max(result, magnitude);
  }
  return result;
}

}  // namespace normgrad
