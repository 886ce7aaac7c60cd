// SPDX-License-Identifier: Apache-2.0
#include "sweep/deviations.h"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ops/operators.h"

namespace normgrad {
namespace {

Case Plain(const Operator& op, std::string product, Dims dims) {
  Case the_case;
  the_case.op = &op;
  the_case.product = std::move(product);
  the_case.dims = std::move(dims);
  the_case.dtypes.assign(DTypeColumns(op).size(), DType::kFloat32);
  return the_case;
}

/// The numbers of the rows that are about `the_case`, each once.
std::set<std::string_view> About(const Case& the_case) {
  std::set<std::string_view> numbers;
  for (const Deviation& row : KnownDeviations()) {
    if (IsAbout(row, the_case)) numbers.insert(row.number);
  }
  return numbers;
}

using testing::ElementsAre;
using testing::IsEmpty;

TEST(KnownDeviations, AreTwentyOfKnownOperatorsAndProducts) {
  std::set<std::string_view> numbers;
  for (const Deviation& row : KnownDeviations()) {
    numbers.insert(row.number);
    EXPECT_FALSE(row.text.empty()) << row.number;
    EXPECT_FALSE(row.when.empty()) << row.number;
    std::string_view products = row.products;
    while (row.products != "all" && !products.empty()) {
      const auto end = std::min(products.find('|'), products.size());
      EXPECT_NE(FindProduct(products.substr(0, end)), nullptr) << products;
      products.remove_prefix(std::min(end + 1, products.size()));
    }
  }
  EXPECT_EQ(numbers.size(), 20U);
}

TEST(IsAbout, LooksAtOperatorProductAndExtents) {
  EXPECT_THAT(About(Plain(kRmsNormGrad, "atlas-a2", {{"A", {4}}, {"R", {8}}})), IsEmpty());
  EXPECT_THAT(About(Plain(kRmsNormGrad, "atlas-a2", {{"A", {0}}, {"R", {8}}})), ElementsAre("D2"));
  EXPECT_THAT(About(Plain(kRmsNormGrad, "ascend-950", {{"A", {0}}, {"R", {8}}})),
              ElementsAre("D3", "D6"));
  EXPECT_THAT(About(Plain(kRmsNormGrad, "atlas-training", {{"A", {4}}, {"R", {8}}})),
              ElementsAre("D1"));
}

TEST(IsAbout, LooksAtLayoutsOfOutputsOnly) {
  Case the_case = Plain(kRmsNormGrad, "atlas-a2", {{"A", {4}}, {"R", {8}}});
  the_case.layout_of = {{"x", LayoutKind::kStrided}};
  EXPECT_THAT(About(the_case), IsEmpty());
  the_case.layout_of = {{"dgammaOut", LayoutKind::kStrided}};
  EXPECT_THAT(About(the_case), ElementsAre("D4"));
}

TEST(IsAbout, LooksAtTheRuleThatACallBreaks) {
  Case the_case =
      Plain(kGroupNormBackward, "atlas-training", {{"N", {2}}, {"C", {6}}, {"G", {3}}, {"S", {4}}});
  EXPECT_THAT(About(the_case), ElementsAre("D20"));
  the_case.changes["mean"].shape = Shape{1, 1, 1, 1, 1, 1, 1, 1, 6};
  EXPECT_THAT(About(the_case), ElementsAre("D11", "D20"));
  the_case.changes.clear();
  the_case.changes["gradOut"].shape = Shape{1, 1, 1, 1, 1, 1, 1, 1, 48};
  EXPECT_THAT(About(the_case), ElementsAre("D20"));
  the_case.changes.clear();
  the_case.changes["gradInput"].null = true;
  EXPECT_THAT(About(the_case), ElementsAre("D20", "D7"));
}

TEST(IsAbout, LooksAtDTypes) {
  Case the_case =
      Plain(kBatchNormElemtBackward, "atlas-a2", {{"N", {2}}, {"C", {6}}, {"S", {4}}, {"K", {1}}});
  EXPECT_THAT(About(the_case), IsEmpty());
  std::fill_n(the_case.dtypes.begin(), 7, DType::kFloat16);
  EXPECT_THAT(About(the_case), ElementsAre("D18"));
  the_case.dtypes[4] = DType::kNone;
  EXPECT_THAT(About(the_case), ElementsAre("D18"));
  the_case.dtypes[5] = DType::kBFloat16;
  EXPECT_THAT(About(the_case), IsEmpty());
}

TEST(IsAbout, TellsRelationsBetweenDTypesFromUnknownOnes) {
  Case the_case = Plain(kLayerNormBackward, "atlas-a2", {{"A", {4}}, {"R", {8}}});
  the_case.changes["rstd"].dtype = 1;  // float16
  EXPECT_THAT(About(the_case), ElementsAre("D14"));
  the_case.changes["rstd"].dtype = 2;  // int8
  EXPECT_THAT(About(the_case), IsEmpty());
}

TEST(IsAbout, CountsWideGroups) {
  EXPECT_THAT(About(Plain(kGroupNormBackward, "ascend-950",
                          {{"N", {1}}, {"C", {8000}}, {"G", {1}}, {"S", {}}})),
              ElementsAre("D6"));
  EXPECT_THAT(About(Plain(kGroupNormBackward, "ascend-950",
                          {{"N", {1}}, {"C", {8001}}, {"G", {1}}, {"S", {}}})),
              ElementsAre("D6", "D8"));
}

}  // namespace
}  // namespace normgrad
