// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ops/operators.h"
#include "tests/unit/golden/reference_elements.h"

namespace normgrad {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

struct Extents {
  std::int64_t n, c, groups, pixels;

  Dims ToDims() const { return {{"N", {n}}, {"C", {c}}, {"G", {groups}}, {"S", {pixels}}}; }
};

TensorSet RandomSet(const Extents& extents) {
  TensorSet set(kGroupNormBackward, extents.ToDims());
  set.FillRandom(1e-6);
  return set;
}

TEST(GroupNormBackwardOracle, ComputesTheExampleOfTheDocument) {
  TensorSet set(kGroupNormBackward, Extents{2, 3, 1, 4}.ToDims());
  set.Fill("gradOut", [](std::size_t i) { return i + 1; });
  set.Fill("input", [](std::size_t i) { return i + 1; });
  set.Fill("mean", {6.5, 18.5});
  set.Fill("rstd", {0.2896827, 0.2896827});
  set.Fill("gamma", {1, 1, 1});
  for (const double value : Values(Collect(set, "gradInput"))) EXPECT_NEAR(value, 0, 1e-5);
  const auto dgamma = Values(Collect(set, "gradGammaOut"));
  EXPECT_NEAR(dgamma[0], -75.896858, 1e-5);
  EXPECT_NEAR(dgamma[1], 2.896827, 1e-6);
  EXPECT_NEAR(dgamma[2], 155.849274, 2e-5);
  EXPECT_THAT(Values(Collect(set, "gradBetaOut")), ElementsAre(68, 100, 132));
}

// The formula of the document, element by element, in any shape.
TEST(GroupNormBackwardOracle, DoesNotDependOnHowElementsAreCut) {
  for (const Extents& extents :
       {Extents{3, 4, 1, 1}, Extents{3, 4, 2, 1}, Extents{3, 4, 4, 1}, Extents{2, 6, 3, 5},
        Extents{2, 6, 2, 5}, Extents{2, 4, 2, 700}, Extents{1, 2, 1, 1500}, Extents{5, 1, 1, 3}}) {
    const TensorSet set = RandomSet(extents);
    const auto dx = Values(Collect(set, "gradInput"));
    const auto dgamma = Values(Collect(set, "gradGammaOut"));
    const auto dbeta = Values(Collect(set, "gradBetaOut"));
    const auto [n, c, groups, pixels] = extents;
    const std::int64_t channels = c / groups;
    const auto size = static_cast<double>(channels * pixels);
    const auto at = [](std::int64_t i) { return static_cast<std::size_t>(i); };
    std::vector<double> expected_dgamma(at(c)), expected_dbeta(at(c));
    for (std::int64_t sample = 0; sample < n; ++sample) {
      for (std::int64_t group = 0; group < groups; ++group) {
        const double mean = set.Get("mean", at(sample * groups + group));
        const double rstd = set.Get("rstd", at(sample * groups + group));
        double c1 = 0, c2 = 0;
        for (const bool summing : {true, false}) {
          for (std::int64_t channel = group * channels; channel < (group + 1) * channels;
               ++channel) {
            const double gamma = set.Get("gamma", at(channel));
            for (std::int64_t pixel = 0; pixel < pixels; ++pixel) {
              const std::size_t i = at((sample * c + channel) * pixels + pixel);
              const double dy = set.Get("gradOut", i);
              const double xhat = (set.Get("input", i) - mean) * rstd;
              if (summing) {
                c1 += gamma * dy / size, c2 += gamma * dy * xhat / size;
                expected_dgamma[at(channel)] += dy * xhat;
                expected_dbeta[at(channel)] += dy;
              } else {
                const double expected = rstd * (gamma * dy - c1 - xhat * c2);
                // One or two elements leave nothing but what cancels.
                ASSERT_NEAR(dx[i], expected, 1e-13 * rstd * (1 + std::fabs(xhat))) << i;
              }
            }
          }
        }
      }
    }
    for (std::size_t channel = 0; channel < at(c); ++channel) {
      EXPECT_NEAR(dgamma[channel], expected_dgamma[channel], 1e-12);
      EXPECT_NEAR(dbeta[channel], expected_dbeta[channel], 1e-12);
    }
  }
}

TEST(GroupNormBackwardOracle, StatisticsAreThoseOfTheChannelsOfAGroup) {
  TensorSet set(kGroupNormBackward, Extents{1, 4, 2, 2}.ToDims());
  set.Fill("input", {1, 3, 1, 3, -4, -4, 8, 8});
  set.FillStatistics(0);
  EXPECT_EQ(set.Get("mean", 0), 2);
  EXPECT_EQ(set.Get("rstd", 0), 1);
  EXPECT_EQ(set.Get("mean", 1), 2);
  EXPECT_EQ(set.Get("rstd", 1), static_cast<float>(1.0 / 6));
}

TEST(GroupNormBackwardOracle, KnowsTheConditionOfTheParameterGradients) {
  TensorSet set(kGroupNormBackward, Extents{2, 2, 2, 1}.ToDims());
  set.Fill("gradOut", {1, 2, 3, 4});
  set.Fill("input", {1, 5, 2, 6});
  set.Fill("mean", {2, 1, 1, 1});
  set.Fill("rstd", {1, -2, 4, 1});
  const auto dgamma = Collect(set, "gradGammaOut");
  EXPECT_THAT(Values(dgamma), ElementsAre(-1 + 12, -16 + 20));
  EXPECT_EQ(dgamma[0].sums[0].sum.count, 2);
  EXPECT_EQ(dgamma[0].sums[0].sum.roundings, 5);
  EXPECT_EQ(dgamma[0].sums[0].sum.value, (1 + 24) + (2 + 12));
  EXPECT_EQ(dgamma[0].sums[0].sum.magnitude, (1 + 24) + (2 + 12));
  EXPECT_EQ(dgamma[1].sums[0].sum.value, (-20 + 24) + 0);
  EXPECT_EQ(dgamma[1].sums[0].sum.magnitude, (20 + 24) + (4 + 4));
  EXPECT_TRUE(dgamma[0].sums[0].sum.lattice);
  const auto dbeta = Collect(set, "gradBetaOut");
  EXPECT_THAT(Values(dbeta), ElementsAre(4, 6));
  EXPECT_FALSE(dbeta[0].sums[0].sum.lattice);
}

TEST(GroupNormBackwardOracle, ANonFiniteInputTaintsItsGroupAndItsChannelAndNothingElse) {
  const Extents extents{2, 4, 2, 2};  // elements 0 … 3 are group 0 of sample 0
  TensorSet set = RandomSet(extents);
  set.Set("input", 6, kNan);  // sample 0, channel 3
  EXPECT_THAT(NonFinite(Collect(set, "gradInput")), ElementsAre(4, 5, 6, 7));
  EXPECT_THAT(NonFinite(Collect(set, "gradGammaOut")), ElementsAre(3));
  EXPECT_THAT(NonFinite(Collect(set, "gradBetaOut")), IsEmpty());

  set = RandomSet(extents);
  set.Set("gradOut", 8, kNan);  // sample 1, channel 0
  EXPECT_THAT(NonFinite(Collect(set, "gradInput")), ElementsAre(8, 9, 10, 11));
  EXPECT_THAT(NonFinite(Collect(set, "gradGammaOut")), ElementsAre(0));
  EXPECT_THAT(NonFinite(Collect(set, "gradBetaOut")), ElementsAre(0));

  for (const std::string_view name : {"mean", "rstd"}) {
    set = RandomSet(extents);
    set.Set(name, 3, kNan);  // sample 1, group 1
    EXPECT_THAT(NonFinite(Collect(set, "gradInput")), ElementsAre(12, 13, 14, 15));
    EXPECT_THAT(NonFinite(Collect(set, "gradGammaOut")), ElementsAre(2, 3));
    EXPECT_THAT(NonFinite(Collect(set, "gradBetaOut")), IsEmpty());
  }

  set = RandomSet(extents);
  set.Set("gamma", 1, kNan);
  EXPECT_THAT(NonFinite(Collect(set, "gradInput")), ElementsAre(0, 1, 2, 3, 8, 9, 10, 11));
  EXPECT_THAT(NonFinite(Collect(set, "gradGammaOut")), IsEmpty());
}

TEST(GroupNormBackwardOracle, AnEmptyBatchHasZeroParameterGradientsExactly) {
  for (const Extents& extents : {Extents{0, 4, 2, 3}, Extents{2, 4, 2, 0}, Extents{0, 4, 1, 1}}) {
    const TensorSet set = RandomSet(extents);
    for (const std::string_view output : {"gradGammaOut", "gradBetaOut"}) {
      const auto elements = Collect(set, output);
      ASSERT_EQ(elements.size(), 4);
      EXPECT_THAT(Values(elements), Each(0));
      EXPECT_THAT(Members(elements, &ReferenceElement::flush), Each(0));
      EXPECT_EQ(elements[3].sums[0].sum.magnitude, 0);
    }
  }
}

}  // namespace
}  // namespace normgrad
