// SPDX-License-Identifier: Apache-2.0
#include "ops/shape_pattern.h"

#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace normgrad {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

static_assert(IsShapePattern("*A *R"));
static_assert(IsShapePattern("N C *S"));
static_assert(IsShapePattern("*A ones(R)"));
static_assert(IsShapePattern(""));
static_assert(!IsShapePattern("*A, *R"));
static_assert(!IsShapePattern("[A]"));
static_assert(!IsShapePattern("ones(R"));

TEST(ShapePattern, IsReadAxisByAxis) {
  using Kind = PatternAxis::Kind;
  const auto axes = ParsePattern("N  *S ones(R)");
  ASSERT_EQ(axes.size(), 3U);
  EXPECT_EQ(axes[0].kind, Kind::kSingle);
  EXPECT_EQ(axes[0].symbol, "N");
  EXPECT_EQ(axes[1].kind, Kind::kGroup);
  EXPECT_EQ(axes[1].symbol, "S");
  EXPECT_EQ(axes[2].kind, Kind::kOnes);
  EXPECT_EQ(axes[2].symbol, "R");
  EXPECT_THAT(ParsePattern(""), IsEmpty());
}

TEST(Expand, PutsExtentsInPlaceOfSymbols) {
  const Dims dims = {{"A", {4, 512}}, {"R", {4096}}, {"E", {}}};
  EXPECT_THAT(Expand("*A *R", dims), ElementsAre(4, 512, 4096));
  EXPECT_THAT(Expand("*A ones(R)", dims), ElementsAre(4, 512, 1));
  EXPECT_THAT(Expand("ones(A) R", dims), ElementsAre(1, 1, 4096));
  EXPECT_THAT(Expand("*E", dims), IsEmpty());
  EXPECT_THAT(Expand("", dims), IsEmpty());
}

TEST(Expand, NeedsEverySymbol) {
  EXPECT_THAT(
      [] {
        Expand("*A *R", {{"A", {4}}});
      },
      testing::ThrowsMessage<std::logic_error>("symbol 'R' is not bound"));
}

TEST(Count, IsTheProductOfTheExtents) {
  const Dims dims = {{"A", {4, 512}}, {"R", {3}}, {"E", {}}, {"Z", {0, 7}}};
  EXPECT_EQ(Count("*A *R", dims), 6144U);
  EXPECT_EQ(Count("*E", dims), 1U);
  EXPECT_EQ(Count("*Z *A", dims), 0U);
}

TEST(Bind, TakesWhatTheShapeHasInTheSymbolsPlace) {
  Dims dims;
  EXPECT_TRUE(Bind("N C *S", {2, 6, 5, 7}, &dims));
  EXPECT_EQ(ToString(dims), "C=[6], N=[2], S=[5, 7]");
}

TEST(Bind, LeavesTwoUnknownGroupsForLater) {
  Dims dims;
  EXPECT_FALSE(Bind("*A *R", {4, 8}, &dims));
  EXPECT_THAT(dims, IsEmpty());
  EXPECT_TRUE(Bind("*R", {8}, &dims));
  EXPECT_TRUE(Bind("*A *R", {4, 8}, &dims));
  EXPECT_EQ(ToString(dims), "A=[4], R=[8]");
}

TEST(Bind, BindsAGroupToNoAxes) {
  Dims dims = {{"R", {8}}};
  EXPECT_TRUE(Bind("*A *R", {8}, &dims));
  EXPECT_EQ(ToString(dims), "A=[], R=[8]");
}

TEST(Bind, BindsNothingWhenTheRankCannotFit) {
  Dims dims = {{"R", {8, 9}}};
  EXPECT_FALSE(Bind("*A *R", {9}, &dims));
  EXPECT_FALSE(Bind("N C", {3}, &dims));
  EXPECT_FALSE(Bind("N C", {3, 4, 5}, &dims));
  EXPECT_EQ(ToString(dims), "R=[8, 9]");
}

TEST(Bind, ReadsNoMoreAxesThanThereAreWhenASymbolOccursTwice) {
  Dims dims;
  EXPECT_TRUE(Bind("*C C", {2, 3, 4}, &dims));
  EXPECT_EQ(ToString(dims), "C=[2, 3]");
}

TEST(Bind, LearnsNoExtentsFromOnes) {
  Dims dims = {{"A", {4}}};
  EXPECT_FALSE(Bind("*A ones(R)", {4, 1}, &dims));
  EXPECT_EQ(ToString(dims), "A=[4]");
}

TEST(Bind, KeepsWhatIsBoundEvenWhenTheShapeDisagrees) {
  Dims dims = {{"A", {4}}};
  EXPECT_TRUE(Bind("*A *R", {5, 8}, &dims));
  EXPECT_EQ(ToString(dims), "A=[4], R=[8]");
}

}  // namespace
}  // namespace normgrad
