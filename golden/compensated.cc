// SPDX-License-Identifier: Apache-2.0
#include "golden/compensated.h"

#include <algorithm>
#include <cmath>

namespace normgrad {
namespace {

// Adds term(i, lanes) to `sums` for i = 0, kLanes, … below count: of the `lanes` elements from i
// on, and zeros behind them.
template <typename Term>
void AddAll(std::size_t count, Term term, LaneSums* sums) {
  Vectorised([=] {
    LaneSums local = *sums;  // the compiler must assume that the terms may lie in `sums`
    ForEachVector(count,
                  [=, &local](std::size_t i, std::size_t lanes) { local.Add(term(i, lanes)); });
    *sums = local;
  });
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

void DotSum::AddProducts(const double* a, const double* b, std::size_t count) {
  const auto term = [=](std::size_t i, std::size_t lanes) {
    return TwoProduct(LoadLanes(a + i, lanes), LoadLanes(b + i, lanes));
  };
  AddAll(count, term, &sums_);
}

void DotSum::AddTerms(const double* a, std::size_t count) {
  const auto term = [=](std::size_t i, std::size_t lanes) {
    return Compensated<Lanes>{LoadLanes(a + i, lanes), Lanes{}};
  };
  AddAll(count, term, &sums_);
}

Totals DotSum::Get() const {
  DoubleDouble total;
  for (std::size_t k = 0; k < kLanes; ++k) {
    const DoubleDouble sum = TwoSum(total.high, sums_.high[k]);
    total = {sum.high, total.low + (sum.low + sums_.low[k])};
  }
  return {TwoSum(total.high, total.low), SumOf(sums_.magnitude), SumOf(sums_.energy)};
}

ColumnSums::ColumnSums(std::size_t columns)
    : high_(columns), low_(columns), magnitude_(columns), energy_(columns) {}

void ColumnSums::AddRows(const double* terms, const double* factors, std::size_t rows) {
  Vectorised([=, count = Columns(), high = high_.data(), low = low_.data(),
              magnitude = magnitude_.data(), energy = energy_.data()] {
    // The sums of eight columns stay in registers while the rows go by.
    ForEachVector(count, [=](std::size_t i, std::size_t lanes) {
      LaneSums sums{LoadLanes(high + i, lanes), LoadLanes(low + i, lanes),
                    LoadLanes(magnitude + i, lanes), LoadLanes(energy + i, lanes)};
      for (std::size_t row = 0; row < rows; ++row) {
        const Lanes term = LoadLanes(terms + row * count + i, lanes);
        sums.Add(factors != nullptr ? TwoProduct(term, Broadcast(factors[row]))
                                    : Compensated<Lanes>{term, Lanes{}});
      }
      StoreLanes(sums.high, lanes, high + i);
      StoreLanes(sums.low, lanes, low + i);
      StoreLanes(sums.magnitude, lanes, magnitude + i);
      StoreLanes(sums.energy, lanes, energy + i);
    });
  });
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

void MultiplyAll(const double* a, const double* b, std::size_t count, double* product) {
  Vectorised([=] {
    ForEachVector(count, [=](std::size_t i, std::size_t lanes) {
      StoreLanes(LoadLanes(a + i, lanes) * LoadLanes(b + i, lanes), lanes, product + i);
    });
  });
}

double MaxMagnitude(std::span<const double> values) {
  const double largest = Vectorised([=] {
    // Two maxima, so that none waits for the one before it. NaN is never one.
    Lanes even{}, odd{};
    const double* const data = values.data();
    const std::size_t pairs = values.size() / (2 * kLanes) * (2 * kLanes);
    for (std::size_t i = 0; i < pairs; i += 2 * kLanes) {
      even = MaxOf(even, AbsOf(LoadLanes(data + i)));
      odd = MaxOf(odd, AbsOf(LoadLanes(data + i + kLanes)));
    }
    ForEachVector(values.size() - pairs, [=, &even](std::size_t i, std::size_t lanes) {
      even = MaxOf(even, AbsOf(LoadLanes(data + pairs + i, lanes)));
    });
    const Lanes maxima = MaxOf(even, odd);
    double result = 0;
    for (std::size_t k = 0; k < kLanes; ++k) result = std::max(result, maxima[k]);
    return result;
  });
  if (std::isfinite(largest)) return largest;
  double finite = 0;
  for (const double value : values) {
    if (std::isfinite(value)) finite = std::max(finite, std::fabs(value));
  }
  return finite;
}

}  // namespace normgrad
