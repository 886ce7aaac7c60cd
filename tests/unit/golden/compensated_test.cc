// SPDX-License-Identifier: Apache-2.0
#include "golden/compensated.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace normgrad {
namespace {

TEST(TwoSum, KeepsWhatTheSumRoundsAway) {
  const DoubleDouble sum = TwoSum(1, 0x1p-80);
  EXPECT_EQ(sum.high, 1);
  EXPECT_EQ(sum.low, 0x1p-80);
}

TEST(TwoProduct, KeepsWhatTheProductRoundsAway) {
  const double a = 1 + 0x1p-52, b = 1 + 0x1p-23;
  const DoubleDouble product = TwoProduct(a, b);  // 1 + 2^-23 + 2^-52 + 2^-75
  EXPECT_EQ(product.high, 1 + 0x1p-23 + 0x1p-52);
  EXPECT_EQ(product.low, 0x1p-75);
}

TEST(Divide, IsTheInverseOfMultiply) {
  const DoubleDouble third = Divide({1, 0}, {3, 0});
  EXPECT_EQ(third.high, 1.0 / 3);
  EXPECT_NEAR(third.low * 0x1p54, 1.0 / 3, 1e-9);  // 1/3 = 0.010101… in binary
  const DoubleDouble one = Multiply(third, 3);
  EXPECT_EQ(one.high, 1);
  EXPECT_LT(std::fabs(one.low), 0x1p-100);
}

TEST(Divide, TakesADivisorOfAnyLength) {
  const DoubleDouble divisor{1 + 0x1p-52, 0x1p-60};
  const DoubleDouble quotient = Divide({1, 0}, divisor);
  // quotient * divisor - 1, every product exact or far below what is looked for
  const DoubleDouble head = TwoProduct(quotient.high, 1);
  const double rest = (head.high - 1) + quotient.high * 0x1p-52 + quotient.high * 0x1p-60;
  EXPECT_LT(std::fabs(rest + quotient.low), 0x1p-100);
}

TEST(Subtract, KeepsWhatTheDifferenceRoundsAway) {
  const DoubleDouble difference = Subtract({1, 0x1p-60}, {1, -0x1p-70});
  EXPECT_EQ(difference.high, 0x1p-60 + 0x1p-70);
  EXPECT_EQ(Subtract({1, 0}, {0x1p-90, 0}).low, -0x1p-90);
}

TEST(Scale, IsTheSumOfScaledTerms) {
  const Totals totals = Scale({{3, 0x1p-60}, 5, 7}, -2);
  EXPECT_EQ(totals.value.high, -6);
  EXPECT_EQ(totals.value.low, -0x1p-59);
  EXPECT_EQ(totals.magnitude, 10);
  EXPECT_EQ(totals.energy, 28);
}

TEST(DotSum, AddsTermsAsProductsWithOne) {
  std::vector<double> a(21), ones(21, 1);
  for (std::size_t i = 0; i < 21; ++i) a[i] = 0.1 * static_cast<double>(i) - 0.7;
  DotSum terms, products;
  terms.AddTerms(a.data(), 21);
  products.AddProducts(a.data(), ones.data(), 21);
  EXPECT_EQ(terms.Get().value.high, products.Get().value.high);
  EXPECT_EQ(terms.Get().value.low, products.Get().value.low);
  EXPECT_EQ(terms.Get().energy, products.Get().energy);
}

TEST(DotSum, SurvivesCancellationOfAllButTheLastBit) {
  // Neighbours in one lane, eight apart, and across lanes.
  std::vector<double> a(20, 0), b(20, 1);
  a[0] = 0x1p100, a[8] = 1, a[16] = -0x1p100, a[3] = 0x1p90, a[19] = -0x1p90;
  DotSum sum;
  sum.AddProducts(a.data(), b.data(), a.size());
  EXPECT_EQ(sum.Get().value.high, 1);
  EXPECT_EQ(sum.Get().magnitude, 2 * 0x1p100 + 2 * 0x1p90);
}

TEST(DotSum, AddsPiecesAsOne) {
  std::vector<double> a, b;
  for (int i = 0; i < 37; ++i) a.push_back(0.1 * i - 1.7), b.push_back(static_cast<float>(1.3 * i));
  DotSum whole, pieces;
  whole.AddProducts(a.data(), b.data(), 37);
  pieces.AddProducts(a.data(), b.data(), 16);
  pieces.AddProducts(a.data() + 16, b.data() + 16, 21);
  EXPECT_EQ(whole.Get().value.high, pieces.Get().value.high);
  EXPECT_EQ(whole.Get().value.low, pieces.Get().value.low);
  EXPECT_EQ(whole.Get().energy, pieces.Get().energy);
}

TEST(DotSum, KnowsItsMagnitudeAndEnergy) {
  const std::vector<double> a{1, -2, 3}, b{2, 2, 1};
  DotSum sum;
  sum.AddProducts(a.data(), b.data(), 3);
  EXPECT_EQ(sum.Get().value.high, 1);
  EXPECT_EQ(sum.Get().magnitude, 9);
  EXPECT_EQ(sum.Get().energy, 29);
}

TEST(ColumnSums, MergeKeepsWhatCancels) {
  ColumnSums first(2), second(2);
  const std::vector<double> large{0x1p100, 3}, small{1, 4}, minus{-0x1p100, -5};
  const double one = 1;
  first.AddRows(large.data(), &one, 1);
  first.AddRows(small.data(), &one, 1);
  second.AddRows(minus.data(), &one, 1);
  first.Merge(second);
  EXPECT_EQ(first.At(0).value.high, 1);
  const Totals sum = first.At(1);
  EXPECT_EQ(sum.value.high, 2);
  EXPECT_EQ(sum.magnitude, 12);
  EXPECT_EQ(sum.energy, 50);
}

TEST(ColumnSums, AddsRowsInTurnWhateverTheirNumber) {
  const std::size_t columns = 11, rows = 5;
  std::vector<double> terms(columns * rows);
  for (std::size_t i = 0; i < terms.size(); ++i) terms[i] = 0.1 * static_cast<double>(i) - 2.3;
  const std::vector<double> factors{1.5, -2, 0.25, 3, -0.75};
  ColumnSums at_once(columns), one_by_one(columns);
  at_once.AddRows(terms.data(), factors.data(), rows);
  for (std::size_t row = 0; row < rows; ++row) {
    one_by_one.AddRows(terms.data() + row * columns, &factors[row], 1);
  }
  for (std::size_t i = 0; i < columns; ++i) {
    EXPECT_EQ(at_once.At(i).value.high, one_by_one.At(i).value.high) << i;
    EXPECT_EQ(at_once.At(i).value.low, one_by_one.At(i).value.low) << i;
    EXPECT_EQ(at_once.At(i).magnitude, one_by_one.At(i).magnitude) << i;
    EXPECT_EQ(at_once.At(i).energy, one_by_one.At(i).energy) << i;
  }
}

TEST(ColumnSums, ANonFiniteTermShowsInTheMagnitudeOfItsColumn) {
  ColumnSums sums(3);
  const std::vector<double> row{std::numeric_limits<double>::infinity(), 1,
                                std::numeric_limits<double>::quiet_NaN()};
  const double zero = 0;
  sums.AddRows(row.data(), &zero, 1);
  EXPECT_FALSE(std::isfinite(sums.At(0).magnitude));
  EXPECT_EQ(sums.At(1).magnitude, 0);
  EXPECT_FALSE(std::isfinite(sums.At(2).magnitude));
}

TEST(MaxMagnitude, FindsTheLargestAtAnyPlace) {
  for (std::size_t place = 0; place < 19; ++place) {
    std::vector<double> values(19, 1);
    values[place] = -3;
    EXPECT_EQ(MaxMagnitude(values), 3) << place;
  }
  EXPECT_EQ(MaxMagnitude({}), 0);
}

TEST(MaxMagnitude, CountsFiniteValuesOnly) {
  std::vector<double> values(19, 1);
  values[2] = values[17] = std::numeric_limits<double>::infinity();
  values[3] = values[18] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(MaxMagnitude(values), 1);
}

}  // namespace
}  // namespace normgrad
