// SPDX-License-Identifier: Apache-2.0
#include "accuracy/exact_sum.h"

#include <initializer_list>
#include <limits>
#include <stdexcept>

#include <gtest/gtest.h>

namespace normgrad {
namespace {

ExactSum SumOf(std::initializer_list<double> terms) {
  ExactSum sum;
  for (const double term : terms) sum.Add(term);
  return sum;
}

TEST(ExactSum, OfNothingIsZero) { EXPECT_EQ(ExactSum().Value(), 0); }

TEST(ExactSum, LosesNothingBetweenLargeTermsThatCancel) {
  EXPECT_EQ(SumOf({1e300, 1, -1e300}).Value(), 1);
  EXPECT_EQ(SumOf({0x1p1023, 0x1p-1074, -0x1p1023}).Value(), 0x1p-1074);
  EXPECT_EQ(SumOf({-1e300, -0.1, 1e300}).Value(), -0.1);
}

TEST(ExactSum, OfOneTermIsThatTerm) {
  for (const double term : {0.1, -0.1, 1.0, 0x1.fffffffffffffp1023, -0x1.fffffffffffffp-1022,
                            0x1p-1074, -0x1p-1074, 3.0e-310, 123456789.0}) {
    EXPECT_EQ(SumOf({term}).Value(), term);
  }
}

TEST(ExactSum, DoesNotDependOnOrderOrGrouping) {
  const double once = SumOf({0.1, 1e20, -3, 0.7, -1e20, 5e-300}).Value();
  ExactSum grouped = SumOf({5e-300, -1e20, 0.7});
  grouped.Add(SumOf({-3, 0.1, 1e20}));
  EXPECT_EQ(grouped.Value(), once);
  EXPECT_NEAR(once, -2.2, 1e-15);
}

TEST(ExactSum, TakesFiniteTermsOnly) {
  ExactSum sum;
  EXPECT_THROW(sum.Add(std::numeric_limits<double>::infinity()), std::logic_error);
  EXPECT_THROW(sum.Add(std::numeric_limits<double>::quiet_NaN()), std::logic_error);
}

}  // namespace
}  // namespace normgrad
