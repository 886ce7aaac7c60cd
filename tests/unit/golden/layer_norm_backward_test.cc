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

TensorSet EmptySet(std::int64_t rows, std::int64_t columns) {
  return {kLayerNormBackward, {{"A", {rows}}, {"R", {columns}}}};
}

TensorSet RandomSet(std::int64_t rows, std::int64_t columns) {
  TensorSet set = EmptySet(rows, columns);
  set.FillRandom(1e-6);
  return set;
}

TEST(LayerNormBackwardOracle, ComputesTheExampleOfTheDocument) {
  TensorSet set = EmptySet(2, 2);
  set.Fill("gradOut", {2, 3, 4, 5});
  set.Fill("input", {2, 3, 4, 5});
  set.Fill("mean", {2, 3});
  set.Fill("rstd", {4, 5});
  set.Fill("weightOptional", {1, 1});
  EXPECT_THAT(Values(Collect(set, "gradInputOut")), ElementsAre(-2, -94, -877.5, -1747.5));
  EXPECT_THAT(Values(Collect(set, "gradWeightOut")), ElementsAre(20, 62));
  EXPECT_THAT(Values(Collect(set, "gradBiasOut")), ElementsAre(6, 8));
}

TEST(LayerNormBackwardOracle, StatisticsAreTheMeanAndOneOverTheStandardDeviation) {
  TensorSet set = EmptySet(3, 4);
  set.Fill("input", {1, 3, 1, 3, 5, 5, 5, 5, 0, 0, 0, 8});
  set.FillStatistics(0);
  EXPECT_EQ(set.Get("mean", 0), 2);
  EXPECT_EQ(set.Get("rstd", 0), 1);
  EXPECT_EQ(set.Get("mean", 1), 5);
  EXPECT_EQ(set.Get("rstd", 1), kInfinity);
  EXPECT_EQ(set.Get("mean", 2), 2);
  EXPECT_EQ(set.Get("rstd", 2), static_cast<float>(1 / std::sqrt(12.0)));
  set.FillStatistics(0.25);
  EXPECT_EQ(set.Get("rstd", 1), 2);
}

TEST(LayerNormBackwardOracle, TheDeviationSurvivesAMeanFarFromZero) {
  TensorSet set = EmptySet(1, 4);
  set.Fill("input", {0x1p23 + 1, 0x1p23 + 3, 0x1p23 + 1, 0x1p23 + 3});
  set.FillStatistics(0);
  EXPECT_EQ(set.Get("mean", 0), 0x1p23 + 2);
  EXPECT_EQ(set.Get("rstd", 0), 1);
}

// x - mean = -1, 2;  xhat = -2, 4;  p = 6, -1;  m1 = 2.5;  p * xhat = -12, -4;  m2 = -8
TensorSet SmallSet() {
  TensorSet set = EmptySet(1, 2);
  set.Fill("gradOut", {3, -1});
  set.Fill("input", {1, 4});
  set.Fill("weightOptional", {2, 1});
  set.Fill("mean", {2});
  set.Fill("rstd", {2});
  return set;
}

TEST(LayerNormBackwardOracle, KnowsTheConditionOfItsSums) {
  const auto dx = Collect(SmallSet(), "gradInputOut");
  EXPECT_THAT(Values(dx), ElementsAre(2 * (6 - 2.5 - 16), 2 * (-1 - 2.5 + 32)));
  EXPECT_THAT(Members(dx, &ReferenceElement::roundings), ElementsAre(12, 12));
  // |x| + |mean| = 3, 6, and 6, 12 of |x * r| + |mean * r|
  EXPECT_THAT(Members(dx, &ReferenceElement::local),
              ElementsAre(2 * (6 + 2.5 + 6 * 8), 2 * (1 + 2.5 + 12 * 8)));
  ASSERT_EQ(dx[0].sums.size(), 2);
  const Sum& products = dx[0].sums[0].sum;  // of p * x * r = 12, -8 and p * mean * r = 24, -4
  EXPECT_EQ(products.count, 2);
  EXPECT_EQ(products.roundings, 6);
  EXPECT_EQ(products.value, 4 + 20);
  EXPECT_EQ(products.magnitude, 20 + 28);
  EXPECT_DOUBLE_EQ(products.energy, 208 + 592 + 2 * std::sqrt(208.0 * 592));
  EXPECT_DOUBLE_EQ(dx[0].sums[0].weight, 2 * (1 + 0x1p-22 * 3));
  EXPECT_DOUBLE_EQ(dx[1].sums[0].weight, 2 * (2 + 0x1p-22 * 6));
  const Sum& terms = dx[0].sums[1].sum;
  EXPECT_EQ(terms.count, 2);
  EXPECT_EQ(terms.roundings, 1);
  EXPECT_EQ(terms.value, 5);
  EXPECT_EQ(terms.magnitude, 7);
  EXPECT_EQ(terms.energy, 37);
  EXPECT_EQ(dx[0].sums[1].weight, 1);
  EXPECT_EQ(dx[1].sums[1].weight, 1);
}

TEST(LayerNormBackwardOracle, KnowsTheConditionOfACentredKernel) {
  const TensorSet set = SmallSet();
  const auto all = Collect(set, 1, Profile::kCentred);
  const auto& dx = all[set.IndexOf("gradInputOut")];
  EXPECT_THAT(Members(dx, &ReferenceElement::roundings), ElementsAre(10, 10));
  EXPECT_THAT(Members(dx, &ReferenceElement::local),
              ElementsAre(2 * (6 + 2.5 + 2 * 8), 2 * (1 + 2.5 + 4 * 8)));
  const Sum& products = dx[0].sums[0].sum;
  EXPECT_EQ(products.roundings, 4);
  EXPECT_EQ(products.value, -16);
  EXPECT_EQ(products.magnitude, 16);
  EXPECT_EQ(products.energy, 144 + 16);
  EXPECT_EQ(dx[0].sums[0].weight, 2);
  const auto& dweight = all[set.IndexOf("gradWeightOut")];
  EXPECT_THAT(Values(dweight), ElementsAre(-6, -4));
  EXPECT_EQ(dweight[0].sums[0].sum.roundings, 3);
  EXPECT_EQ(dweight[0].sums[0].sum.magnitude, 6);
}

TEST(LayerNormBackwardOracle, KnowsTheConditionOfTheParameterGradients) {
  const auto dweight = Collect(SmallSet(), "gradWeightOut");
  EXPECT_THAT(Values(dweight), ElementsAre(-6, -4));
  EXPECT_THAT(Members(dweight, &ReferenceElement::roundings), ElementsAre(2, 2));
  EXPECT_EQ(dweight[0].sums[0].sum.roundings, 5);
  EXPECT_EQ(dweight[0].sums[0].sum.magnitude, 6 + 12);
  EXPECT_EQ(dweight[1].sums[0].sum.magnitude, 8 + 4);
  const auto dbias = Collect(SmallSet(), "gradBiasOut");
  EXPECT_THAT(Values(dbias), ElementsAre(3, -1));
  EXPECT_THAT(Members(dbias, &ReferenceElement::roundings), ElementsAre(1, 1));
  EXPECT_EQ(dbias[0].sums[0].sum.roundings, 0);
  EXPECT_EQ(dbias[0].sums[0].sum.magnitude, 3);
  EXPECT_EQ(dbias[0].sums[0].sum.energy, 9);
}

TEST(LayerNormBackwardOracle, OnlyOneOrTwoElementsPerRowMakeTermsRepeat) {
  for (const auto& [columns, repeats] :
       std::initializer_list<std::pair<int, bool>>{{1, true}, {2, true}, {3, false}}) {
    const TensorSet set = RandomSet(5, columns);
    EXPECT_EQ(Collect(set, "gradWeightOut")[0].sums[0].sum.lattice, repeats) << columns;
    EXPECT_EQ(Collect(set, "gradInputOut")[0].sums[0].sum.lattice, repeats) << columns;
    EXPECT_FALSE(Collect(set, "gradBiasOut")[0].sums[0].sum.lattice) << columns;
  }
}

TEST(LayerNormBackwardOracle, ANonFiniteInputTaintsWhatDependsOnItAndNothingElse) {
  for (const double poison : {kNan, kInfinity, -kInfinity}) {
    TensorSet set = RandomSet(3, 2);
    set.Set("gradOut", 3, poison);
    set.Set("input", 3, 0);
    EXPECT_THAT(NonFinite(Collect(set, "gradInputOut")), ElementsAre(2, 3));
    EXPECT_THAT(NonFinite(Collect(set, "gradWeightOut")), ElementsAre(1));
    EXPECT_THAT(NonFinite(Collect(set, "gradBiasOut")), ElementsAre(1));

    set = RandomSet(3, 2);
    set.Set("input", 3, poison);
    set.Set("gradOut", 3, 0);  // 0 * infinity must not vanish
    EXPECT_THAT(NonFinite(Collect(set, "gradInputOut")), ElementsAre(2, 3));
    EXPECT_THAT(NonFinite(Collect(set, "gradWeightOut")), ElementsAre(1));
    EXPECT_THAT(NonFinite(Collect(set, "gradBiasOut")), IsEmpty());

    for (const std::string_view name : {"mean", "rstd"}) {
      set = RandomSet(3, 2);
      set.Set(name, 2, poison);
      set.Set("gradOut", 4, 0);
      EXPECT_THAT(NonFinite(Collect(set, "gradInputOut")), ElementsAre(4, 5));
      EXPECT_THAT(NonFinite(Collect(set, "gradWeightOut")), ElementsAre(0, 1));
      EXPECT_THAT(NonFinite(Collect(set, "gradBiasOut")), IsEmpty());
    }

    set = RandomSet(3, 2);
    set.Set("weightOptional", 0, poison);
    set.Set("biasOptional", 0, poison);
    EXPECT_THAT(NonFinite(Collect(set, "gradInputOut")), ElementsAre(0, 1, 2, 3, 4, 5));
    EXPECT_THAT(NonFinite(Collect(set, "gradWeightOut")), IsEmpty());
    EXPECT_THAT(NonFinite(Collect(set, "gradBiasOut")), IsEmpty());
  }
}

TEST(LayerNormBackwardOracle, SaysWhereFloat32MayOverflowOnTheWay) {
  TensorSet set = RandomSet(3, 8);
  set.Set("gradOut", 0, 0x1p125);  // eight times this overflows
  set.Set("mean", 1, 0x1p125);
  const auto dx = Collect(set, "gradInputOut");
  EXPECT_TRUE(dx[7].may_overflow);
  EXPECT_TRUE(dx[8].may_overflow);
  EXPECT_FALSE(dx[16].may_overflow);
}

}  // namespace
}  // namespace normgrad
