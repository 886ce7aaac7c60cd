// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ops/operators.h"
#include "tests/unit/golden/reference_elements.h"

namespace normgrad {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

Dims TwoDims(std::int64_t rows, std::int64_t columns) { return {{"A", {rows}}, {"R", {columns}}}; }

TensorSet RandomSet(std::int64_t rows, std::int64_t columns) {
  TensorSet set(kRmsNormGrad, TwoDims(rows, columns));
  set.FillRandom(1e-6);
  return set;
}

TEST(RmsNormGradOracle, DoesNotDependOnHowRowsAndColumnsAreCut) {
  // One matrix, once with long rows in tiles, once as a plain loop.
  const TensorSet set = RandomSet(3, 2500);
  const auto dx = Collect(set, "dxOut"), dgamma = Collect(set, "dgammaOut");
  for (std::size_t row = 0; row < 3; ++row) {
    const double r = set.Get("rstd", row);
    double m = 0;
    for (std::size_t i = 0; i < 2500; ++i) {
      const std::size_t at = row * 2500 + i;
      m += set.Get("dy", at) * set.Get("gamma", i) * set.Get("x", at) * r / 2500;
    }
    for (std::size_t i = 0; i < 2500; ++i) {
      const std::size_t at = row * 2500 + i;
      const double p = set.Get("dy", at) * set.Get("gamma", i), xhat = set.Get("x", at) * r;
      EXPECT_NEAR(dx[at].value, r * (p - xhat * m), 1e-13) << at;
    }
  }
}

TEST(RmsNormGradOracle, AnEmptyBatchHasAZeroDgammaExactly) {
  for (const ReferenceElement& element : Collect(RandomSet(0, 3), "dgammaOut")) {
    EXPECT_EQ(element.value, 0);
    EXPECT_EQ(element.local, 0);
    EXPECT_EQ(element.flush, 0);
    EXPECT_EQ(element.sums[0].sum.magnitude, 0);
  }
}

TEST(RmsNormGradOracle, StatisticsAreOneOverTheRootMeanSquare) {
  TensorSet set(kRmsNormGrad, TwoDims(3, 4));
  const std::vector<double> x{2, -2, 2, -2, 0, 0, 0, 0, 1, 1, 5, 1};
  set.Fill("x", [&](std::size_t i) { return x.at(i); });
  set.FillStatistics(0);
  EXPECT_EQ(set.Get("rstd", 0), 0.5);
  EXPECT_EQ(set.Get("rstd", 1), kInfinity);
  EXPECT_EQ(set.Get("rstd", 2), static_cast<float>(1 / std::sqrt(7.0)));
  set.FillStatistics(0.25);
  EXPECT_EQ(set.Get("rstd", 1), 2);
}

TEST(RmsNormGradOracle, KnowsTheConditionOfItsSums) {
  TensorSet set(kRmsNormGrad, TwoDims(1, 2));
  const std::vector<double> dy{3, -1}, x{1, 2}, gamma{2, 1};
  set.Fill("dy", [&](std::size_t i) { return dy.at(i); });
  set.Fill("x", [&](std::size_t i) { return x.at(i); });
  set.Fill("gamma", [&](std::size_t i) { return gamma.at(i); });
  set.Set("rstd", 0, -2);  // xhat = -2, -4; p = 6, -1; p * xhat = -12, 4; m = -4
  const auto dx = Collect(set, "dxOut"), dgamma = Collect(set, "dgammaOut");
  EXPECT_THAT(Values(dx), ElementsAre(-2 * (6 - 8), -2 * (-1 - 16)));
  EXPECT_THAT(Members(dx, &ReferenceElement::local), ElementsAre(2 * (6 + 8), 2 * (1 + 16)));
  ASSERT_EQ(dx[0].sums.size(), 1);
  const Sum& sum = dx[0].sums[0].sum;
  EXPECT_EQ(sum.count, 2);
  EXPECT_EQ(sum.roundings, 6);
  EXPECT_EQ(sum.value, 8);
  EXPECT_EQ(sum.magnitude, 16);
  EXPECT_EQ(sum.energy, 160);
  EXPECT_EQ(dx[0].sums[0].weight, 2 * (1 + 0x1p-22));
  EXPECT_EQ(dx[1].sums[0].weight, 4 * (1 + 0x1p-22));
  EXPECT_THAT(Values(dgamma), ElementsAre(-6, 4));
  EXPECT_THAT(Members(dgamma, &ReferenceElement::local), ElementsAre(6, 4));
}

TEST(RmsNormGradOracle, ACentredProfileCountsFewerRoundings) {
  const TensorSet set = RandomSet(2, 3);
  const std::size_t dx = set.IndexOf("dxOut"), dgamma = set.IndexOf("dgammaOut");
  const auto expanded = Collect(set, 1), centred = Collect(set, 1, Profile::kCentred);
  EXPECT_EQ(expanded[dx][5].roundings, 12);
  EXPECT_EQ(centred[dx][5].roundings, 10);
  EXPECT_EQ(expanded[dx][5].sums[0].sum.roundings, 6);
  EXPECT_EQ(centred[dx][5].sums[0].sum.roundings, 4);
  EXPECT_EQ(expanded[dgamma][2].roundings, 2);
  EXPECT_EQ(centred[dgamma][2].roundings, 2);
  EXPECT_EQ(expanded[dgamma][2].sums[0].sum.roundings, 5);
  EXPECT_EQ(centred[dgamma][2].sums[0].sum.roundings, 3);
}

TEST(RmsNormGradOracle, OnlyOneElementPerRowMakesTermsRepeat) {
  EXPECT_TRUE(Collect(RandomSet(3, 1), "dgammaOut")[0].sums[0].sum.lattice);
  EXPECT_FALSE(Collect(RandomSet(3, 2), "dgammaOut")[0].sums[0].sum.lattice);
}

// Which elements of dx and dgamma are not finite.
std::pair<std::vector<std::size_t>, std::vector<std::size_t>> NonFinite(const TensorSet& set) {
  return {NonFinite(Collect(set, "dxOut")), NonFinite(Collect(set, "dgammaOut"))};
}

TEST(RmsNormGradOracle, ANonFiniteInputTaintsItsRowAndItsColumnAndNothingElse) {
  for (const double poison : {kNan, kInfinity, -kInfinity}) {
    for (const std::string_view name : {"dy", "x"}) {
      TensorSet set = RandomSet(3, 2);
      set.Set("dy", 3, 0);
      set.Set("x", 3, 0);  // 0 * infinity must not vanish
      set.Set(name, 3, poison);
      const auto [dx, dgamma] = NonFinite(set);
      EXPECT_THAT(dx, ElementsAre(2, 3)) << name << " " << poison;
      EXPECT_THAT(dgamma, ElementsAre(1)) << name << " " << poison;
    }
    TensorSet set = RandomSet(3, 2);
    set.Set("rstd", 2, poison);
    set.Set("dy", 4, 0);
    EXPECT_THAT(NonFinite(set).first, ElementsAre(4, 5));
    EXPECT_THAT(NonFinite(set).second, ElementsAre(0, 1));
    set = RandomSet(3, 2);
    set.Set("gamma", 0, poison);
    set.Set("dy", 2, 0);
    EXPECT_THAT(NonFinite(set).first, ElementsAre(0, 1, 2, 3, 4, 5));
    EXPECT_THAT(NonFinite(set).second, IsEmpty());
  }
}

TEST(RmsNormGradOracle, AnInfinityAllowsNothingToTheColumnsWithoutIt) {
  for (const std::string_view name : {"dy", "x"}) {
    TensorSet set = RandomSet(3, 2);
    set.Set(name, 3, kInfinity);
    for (const ReferenceElement& element : Collect(set, "dgammaOut")) {
      EXPECT_FALSE(element.may_overflow);
      EXPECT_LT(element.flush, 1e3);
    }
  }
}

TEST(RmsNormGradOracle, TaintsEveryTileOfALongRow) {
  TensorSet set = RandomSet(2, 2100);
  set.Set("x", 2099, kNan);
  const auto [dx, dgamma] = NonFinite(set);
  EXPECT_EQ(dx.size(), 2100);
  EXPECT_EQ(dx.back(), 2099);
  EXPECT_THAT(dgamma, ElementsAre(2099));
}

TEST(RmsNormGradOracle, SaysWhereFloat32MayOverflowOnTheWay) {
  TensorSet set = RandomSet(2, 8);
  set.Set("dy", 0, 0x1p125);  // eight times this overflows
  const ReferenceElements dx = Collect(set, "dxOut");
  EXPECT_TRUE(dx[7].may_overflow);
  EXPECT_FALSE(dx[8].may_overflow);
}

}  // namespace
}  // namespace normgrad
