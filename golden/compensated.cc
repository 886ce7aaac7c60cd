// SPDX-License-Identifier: Apache-2.0
#include "golden/compensated.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace normgrad {
namespace {

constexpr std::size_t kLanes = 8;

// Adds a term to one lane or column. Everything is by reference to locals or distinct arrays, which
// lets loops over it vectorise.
inline void AddTerm(DoubleDouble term, double& high, double& low, double& magnitude,
                    double& energy) {
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

DoubleDouble Subtract(DoubleDouble a, DoubleDouble b) {
  const DoubleDouble difference = TwoSum(a.high, -b.high);
  return TwoSum(difference.high, difference.low + (a.low - b.low));
}

DoubleDouble Divide(DoubleDouble a, DoubleDouble b) {
  const double quotient = a.high / b.high;
  // b.high in two halves that TwoProduct() can take.
  constexpr double kSplitter = 0x1p27 + 1;
  const double scaled = kSplitter * b.high;
  const double head = scaled - (scaled - b.high), tail = b.high - head;
  const DoubleDouble large = TwoProduct(quotient, head), small = TwoProduct(quotient, tail);
  const DoubleDouble rest = Subtract(Subtract(a, large), small);
  return TwoSum(quotient, (rest.high + (rest.low - quotient * b.low)) / b.high);
}

Totals Scale(const Totals& totals, double factor) {
  return {Multiply(totals.value, factor), totals.magnitude * std::fabs(factor),
          totals.energy * factor * factor};
}

template <typename Term>
void DotSum::Add(std::size_t count, Term term) {
  // Copies, because the compiler must assume that the terms may lie in this object.
  Lanes high = high_, low = low_, magnitude = magnitude_, energy = energy_;
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (std::size_t k = 0; k < kLanes; ++k) {
      AddTerm(term(i + k), high[k], low[k], magnitude[k], energy[k]);
    }
  }
  for (std::size_t k = 0; i + k < count; ++k) {
    AddTerm(term(i + k), high[k], low[k], magnitude[k], energy[k]);
  }
  high_ = high, low_ = low, magnitude_ = magnitude, energy_ = energy;
}

void DotSum::AddProducts(const double* a, const double* b, std::size_t count) {
  Add(count, [=](std::size_t i) { return TwoProduct(a[i], b[i]); });
}

void DotSum::AddTerms(const double* a, std::size_t count) {
  Add(count, [=](std::size_t i) { return DoubleDouble{a[i], 0}; });
}

Totals DotSum::Get() const {
  DoubleDouble total;
  for (std::size_t k = 0; k < kLanes; ++k) {
    const DoubleDouble sum = TwoSum(total.high, high_[k]);
    total = {sum.high, total.low + (sum.low + low_[k])};
  }
  return {TwoSum(total.high, total.low), SumOf(magnitude_), SumOf(energy_)};
}

ColumnSums::ColumnSums(std::size_t columns)
    : high_(columns), low_(columns), magnitude_(columns), energy_(columns) {}

void ColumnSums::AddRow(const double* terms, double factor) {
  double* const high = high_.data();
  double* const low = low_.data();
  double* const magnitude = magnitude_.data();
  double* const energy = energy_.data();
  const std::size_t count = Columns();
  for (std::size_t i = 0; i < count; ++i) {
    AddTerm(TwoProduct(terms[i], factor), high[i], low[i], magnitude[i], energy[i]);
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

Totals ColumnSums::At(std::size_t column) const {
  if (Columns() == 0) return {};
  return {TwoSum(high_[column], low_[column]), magnitude_[column], energy_[column]};
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
