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

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

Dims MakeDims(std::int64_t n, std::int64_t c, std::int64_t pixels, std::int64_t counters) {
  return {{"N", {n}}, {"C", {c}}, {"S", {pixels}}, {"K", {counters}}};
}

TensorSet RandomSet(std::int64_t n, std::int64_t c, std::int64_t pixels) {
  TensorSet set(kBatchNormElemtBackward, MakeDims(n, c, pixels, 2));
  set.FillRandom(1e-6);
  return set;
}

// 0 … 7 in two channels of four.
TensorSet ExampleSet(DType counter) {
  TensorSet set(kBatchNormElemtBackward, MakeDims(1, 2, 4, 2),
                DTypesOf(kBatchNormElemtBackward, DType::kFloat32, {{"counter", counter}}));
  set.Fill("gradOut", {0, 1, 2, 3, 4, 5, 6, 7});
  set.Fill("input", {0, 1, 2, 3, 4, 5, 6, 7});
  set.Fill("invstd", {1, 1});
  set.Fill("weight", {1, 1});
  set.Fill("sumDyXmu", {1, 1});
  set.Fill("counter", {5, 5});
  return set;
}

TEST(BatchNormElemtBackwardOracle, ComputesTheExampleOfTheDocument) {
  for (const DType counter : {DType::kFloat32, DType::kFloat16, DType::kInt32}) {
    const auto dx = Values(Collect(ExampleSet(counter), "gradInput"));
    for (std::size_t i = 0; i < 8; ++i) {
      EXPECT_DOUBLE_EQ(dx[i], 0.9 * static_cast<double>(i));
    }
  }
}

// n = 4;  dy - sumDy / n = 3 - 2, 7 - 2;  x - mean = 2, -3;  invstd^2 * sumDyXmu / n = 4 * 8 / 4
TEST(BatchNormElemtBackwardOracle, MultipliesTheWholeBracket) {
  TensorSet set(kBatchNormElemtBackward, MakeDims(1, 1, 2, 1));
  set.Fill("gradOut", {3, 7});
  set.Fill("input", {3, -2});
  set.Fill("mean", {1});
  set.Fill("invstd", {-2});
  set.Fill("weight", {5});
  set.Fill("sumDy", {8});
  set.Fill("sumDyXmu", {8});
  set.Fill("counter", {4});
  const auto dx = Collect(set, "gradInput");
  EXPECT_THAT(Values(dx), ElementsAre(-10 * (3 - 2 - 2 * 8), -10 * (7 - 2 + 3 * 8)));
  EXPECT_THAT(Members(dx, &ReferenceElement::local),
              ElementsAre(10 * (3 + 2 + 4 * 8), 10 * (7 + 2 + 3 * 8)));
  EXPECT_THAT(Members(dx, &ReferenceElement::roundings), ElementsAre(12, 12));
  EXPECT_TRUE(dx[0].sums.empty());
  const auto centred = Collect(set, 1, Profile::kCentred)[set.IndexOf("gradInput")];
  EXPECT_THAT(Members(centred, &ReferenceElement::local),
              ElementsAre(10 * (3 + 2 + 2 * 8), 10 * (7 + 2 + 3 * 8)));
  EXPECT_THAT(Members(centred, &ReferenceElement::roundings), ElementsAre(10, 10));
}

TEST(BatchNormElemtBackwardOracle, CountsTheRoundingsOfACounterThatIsNotExact) {
  const auto roundings = [](DType dtype, double first, double second) {
    TensorSet set = ExampleSet(dtype);
    set.Fill("counter", {first, second});
    return Collect(set, "gradInput")[0].roundings;
  };
  EXPECT_EQ(roundings(DType::kInt32, 0x1p23, 0x1p23), 12);
  EXPECT_EQ(roundings(DType::kInt32, 0x1p24 + 1, 1), 12 + 2);
  EXPECT_EQ(roundings(DType::kFloat32, 0.5, 1), 12 + 2);
  EXPECT_EQ(roundings(DType::kFloat32, 3.5, -1.5), 12 + 2 * 2.5);
}

TEST(BatchNormElemtBackwardOracle, StatisticsAgreeWithTheCounterWhateverItCounts) {
  TensorSet set(kBatchNormElemtBackward, MakeDims(2, 2, 2, 2));
  set.Fill("input", {1, 3, 0, 0, 1, 3, 0, 8});
  set.Fill("gradOut", {1, 2, 3, 4, 5, 8, -7, 2});
  set.Fill("counter", {5, 3});
  set.FillStatistics(0);
  EXPECT_EQ(set.Get("mean", 0), 2);
  EXPECT_EQ(set.Get("invstd", 0), 1);
  EXPECT_EQ(set.Get("sumDy", 0), 8 * 4);
  EXPECT_EQ(set.Get("sumDyXmu", 0), 8 * 1);  // mean of -1, 2, -5, 8
  EXPECT_EQ(set.Get("mean", 1), 2);
  EXPECT_EQ(set.Get("invstd", 1), static_cast<float>(1 / std::sqrt(12.0)));
  EXPECT_EQ(set.Get("sumDy", 1), 8 * 0.5);
  EXPECT_EQ(set.Get("sumDyXmu", 1), 8 * 3);  // mean of -6, -8, 14, 12
}

TEST(BatchNormElemtBackwardOracle, StatisticsOfAnEmptyBatchAreZero) {
  TensorSet set = RandomSet(0, 3, 2);
  set.FillStatistics(0.25);
  for (const std::string_view name : {"mean", "sumDy", "sumDyXmu"}) {
    EXPECT_EQ(set.Get(name, 2), 0) << name;
  }
  EXPECT_EQ(set.Get("invstd", 2), 2);
}

// The formula, element by element: long stretches, short ones, single elements.
TEST(BatchNormElemtBackwardOracle, DoesNotDependOnHowElementsAreCut) {
  for (const auto& [n, c, pixels] : std::initializer_list<std::tuple<int, int, int>>{
           {3, 5, 1}, {2, 3, 700}, {1, 2, 3000}, {40, 20, 25}}) {
    const TensorSet set = RandomSet(n, c, pixels);
    const auto dx = Values(Collect(set, "gradInput"));
    const double count = set.Get("counter", 0) + set.Get("counter", 1);
    for (std::size_t i = 0; i < dx.size(); ++i) {
      const std::size_t channel =
          i / static_cast<std::size_t>(pixels) % static_cast<std::size_t>(c);
      const double invstd = set.Get("invstd", channel);
      const double expected = (set.Get("gradOut", i) - set.Get("sumDy", channel) / count -
                               (set.Get("input", i) - set.Get("mean", channel)) * invstd * invstd *
                                   (set.Get("sumDyXmu", channel) / count)) *
                              invstd * set.Get("weight", channel);
      ASSERT_NEAR(dx[i], expected, 1e-13) << i;
    }
  }
}

TEST(BatchNormElemtBackwardOracle, ANonFiniteElementTaintsItselfOnly) {
  for (const double poison : {kNan, kInfinity, -kInfinity}) {
    for (const std::string_view name : {"gradOut", "input"}) {
      TensorSet set = RandomSet(2, 2, 3);
      set.Set(name, 4, poison);
      set.Set("sumDyXmu", 1, 0);  // infinity * 0 must not vanish
      EXPECT_THAT(NonFinite(Collect(set, "gradInput")), ElementsAre(4)) << name << poison;
    }
  }
}

TEST(BatchNormElemtBackwardOracle, ANonFiniteStatisticTaintsItsChannelOnly) {
  for (const double poison : {kNan, kInfinity, -kInfinity}) {
    for (const std::string_view name : {"mean", "invstd", "weight", "sumDy", "sumDyXmu"}) {
      TensorSet set = RandomSet(2, 2, 2);
      set.Set(name, 1, poison);
      const auto dx = Collect(set, "gradInput");
      EXPECT_THAT(NonFinite(dx), ElementsAre(2, 3, 6, 7)) << name << poison;
      for (const ReferenceElement& element : dx) {
        EXPECT_FALSE(element.may_overflow) << name << poison;
        EXPECT_LT(element.flush, 1e3) << name << poison;
      }
    }
  }
}

TEST(BatchNormElemtBackwardOracle, ACounterOfNothingTaintsEverything) {
  for (const double nothing : {0.0, kNan}) {
    TensorSet set = RandomSet(1, 2, 3);
    set.Fill("counter", {nothing, 0});
    EXPECT_EQ(NonFinite(Collect(set, "gradInput")).size(), 6) << nothing;
  }
}

TEST(BatchNormElemtBackwardOracle, OfInfinitelyManyElementsTheMeansAreZero) {
  TensorSet set = ExampleSet(DType::kFloat32);
  set.Fill("counter", {1, kInfinity});
  EXPECT_THAT(Values(Collect(set, "gradInput")), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
  set.Set("sumDy", 0, kInfinity);
  EXPECT_THAT(NonFinite(Collect(set, "gradInput")), ElementsAre(0, 1, 2, 3));
}

TEST(BatchNormElemtBackwardOracle, SaysWhereFloat32MayOverflowOnTheWay) {
  TensorSet set = RandomSet(1, 2, 2000);
  set.Fill("invstd", {1, 0x1p43});  // its cube overflows
  const auto dx = Collect(set, "gradInput");
  EXPECT_FALSE(dx[0].may_overflow);
  EXPECT_TRUE(dx[3999].may_overflow);
}

}  // namespace
}  // namespace normgrad
