// SPDX-License-Identifier: Apache-2.0
#include <bit>
#include <cmath>
#include <limits>
#include <map>
#include <mutex>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "golden/oracle.h"
#include "ops/operators.h"
#include "tests/unit/golden/tensor_set.h"

namespace normgrad {
namespace {

using testing::Each;
using testing::ElementsAre;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

Dims TwoDims(std::int64_t rows, std::int64_t columns) { return {{"A", {rows}}, {"R", {columns}}}; }

TensorSet RandomSet(std::int64_t rows, std::int64_t columns) {
  TensorSet set(kRmsNormGrad, TwoDims(rows, columns), {});
  for (const std::string_view name : {"dy", "x", "gamma"}) {
    const RandomStream random(HashText(name));
    set.Fill(name, [&](std::size_t i) { return random.Normal(i); });
  }
  set.FillStatistics(kRmsNormGradOracle, 1e-6);
  return set;
}

// Everything the oracle says about one output, in one place.
struct Collected {
  std::vector<double> value, local, weight, flush;
  std::vector<Sum> sums;
  std::vector<int> visits;
};

std::map<std::size_t, Collected> Collect(const TensorSet& set, unsigned threads) {
  std::map<std::size_t, Collected> all;
  for (std::size_t param = 0; param < set.All().size(); ++param) {
    const std::size_t count = ElementCount(set.All()[param].shape);
    all[param] = {std::vector<double>(count), std::vector<double>(count),
                  std::vector<double>(count), std::vector<double>(count),
                  std::vector<Sum>(count),    std::vector<int>(count)};
  }
  std::mutex mutex;
  kRmsNormGradOracle.reference(
      set.BoundDims(), set.All(), Profile::kExpanded, threads, [&](const ReferenceBlock& block) {
        const std::lock_guard lock(mutex);
        Collected& to = all.at(block.param);
        for (std::size_t i = 0; i < block.value.size(); ++i) {
          const std::size_t at = block.first + i;
          ++to.visits.at(at);
          to.value[at] = block.value[i];
          to.local[at] = block.local[i];
          to.flush[at] = block.flush;
          to.weight[at] = block.shared.empty() ? 1 : block.shared[0].weight[i];
          to.sums[at] = block.shared.empty() ? block.own[i] : block.shared[0].sum;
        }
      });
  return all;
}

std::vector<std::uint64_t> Bits(const std::vector<double>& values) {
  std::vector<std::uint64_t> bits;
  bits.reserve(values.size());
  for (const double value : values) bits.push_back(std::bit_cast<std::uint64_t>(value));
  return bits;
}

constexpr std::size_t kDx = 4, kDgamma = 5;

TEST(RmsNormGradOracle, StreamsEveryElementOfEveryOutputOnce) {
  for (const auto& [rows, columns] : std::initializer_list<std::pair<int, int>>{
           {1, 1}, {1, 7}, {7, 1}, {3, 1024}, {3, 1025}, {2, 5000}, {5000, 3}, {0, 4}, {4, 0}}) {
    const auto all = Collect(RandomSet(rows, columns), 3);
    EXPECT_THAT(all.at(kDx).visits, Each(1)) << rows << "x" << columns;
    EXPECT_THAT(all.at(kDgamma).visits, Each(1)) << rows << "x" << columns;
    for (std::size_t input = 0; input < kDx; ++input) {
      EXPECT_THAT(all.at(input).visits, Each(0)) << rows << "x" << columns;
    }
  }
}

TEST(RmsNormGradOracle, GivesTheSameBitsOnAnyNumberOfThreads) {
  for (const auto& [rows, columns] :
       std::initializer_list<std::pair<int, int>>{{3, 2500}, {3000, 3}, {40, 600}}) {
    const TensorSet set = RandomSet(rows, columns);
    const auto once = Collect(set, 1);
    for (const unsigned threads : {2U, 3U, 7U}) {
      const auto again = Collect(set, threads);
      for (const std::size_t param : {kDx, kDgamma}) {
        EXPECT_EQ(Bits(again.at(param).value), Bits(once.at(param).value)) << threads;
        EXPECT_EQ(Bits(again.at(param).local), Bits(once.at(param).local)) << threads;
        EXPECT_EQ(Bits(again.at(param).weight), Bits(once.at(param).weight)) << threads;
        EXPECT_EQ(Bits(again.at(param).flush), Bits(once.at(param).flush)) << threads;
        for (std::size_t i = 0; i < once.at(param).sums.size(); ++i) {
          EXPECT_EQ(again.at(param).sums[i].magnitude, once.at(param).sums[i].magnitude);
          EXPECT_EQ(again.at(param).sums[i].energy, once.at(param).sums[i].energy);
        }
      }
    }
  }
}

TEST(RmsNormGradOracle, DoesNotDependOnHowRowsAndColumnsAreCut) {
  // One matrix, once with long rows in tiles, once as a plain loop.
  const TensorSet set = RandomSet(3, 2500);
  const auto all = Collect(set, 1);
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
      EXPECT_NEAR(all.at(kDx).value[at], r * (p - xhat * m), 1e-13) << at;
    }
  }
}

TEST(RmsNormGradOracle, AnEmptyBatchHasAZeroDgammaExactly) {
  const auto all = Collect(RandomSet(0, 3), 2);
  EXPECT_THAT(all.at(kDgamma).value, ElementsAre(0, 0, 0));
  EXPECT_THAT(all.at(kDgamma).local, ElementsAre(0, 0, 0));
  EXPECT_THAT(all.at(kDgamma).flush, ElementsAre(0, 0, 0));
  EXPECT_EQ(all.at(kDgamma).sums[0].magnitude, 0);
}

TEST(RmsNormGradOracle, StatisticsAreOneOverTheRootMeanSquare) {
  TensorSet set(kRmsNormGrad, TwoDims(3, 4), {});
  const std::vector<double> x{2, -2, 2, -2, 0, 0, 0, 0, 1, 1, 5, 1};
  set.Fill("x", [&](std::size_t i) { return x.at(i); });
  set.FillStatistics(kRmsNormGradOracle, 0);
  EXPECT_EQ(set.Get("rstd", 0), 0.5);
  EXPECT_EQ(set.Get("rstd", 1), kInfinity);
  EXPECT_EQ(set.Get("rstd", 2), static_cast<float>(1 / std::sqrt(7.0)));
  set.FillStatistics(kRmsNormGradOracle, 0.25);
  EXPECT_EQ(set.Get("rstd", 1), 2);
}

TEST(RmsNormGradOracle, KnowsTheConditionOfItsSums) {
  TensorSet set(kRmsNormGrad, TwoDims(1, 2), {});
  const std::vector<double> dy{3, -1}, x{1, 2}, gamma{2, 1};
  set.Fill("dy", [&](std::size_t i) { return dy.at(i); });
  set.Fill("x", [&](std::size_t i) { return x.at(i); });
  set.Fill("gamma", [&](std::size_t i) { return gamma.at(i); });
  set.Set("rstd", 0, -2);  // xhat = -2, -4; p = 6, -1; p * xhat = -12, 4; m = -4
  const auto all = Collect(set, 1);
  EXPECT_THAT(all.at(kDx).value, ElementsAre(-2 * (6 - 8), -2 * (-1 - 16)));
  EXPECT_THAT(all.at(kDx).local, ElementsAre(2 * (6 + 8), 2 * (1 + 16)));
  EXPECT_EQ(all.at(kDx).sums[0].count, 2);
  EXPECT_EQ(all.at(kDx).sums[0].roundings, 6);
  EXPECT_EQ(all.at(kDx).sums[0].value, -8);
  EXPECT_EQ(all.at(kDx).sums[0].magnitude, 16);
  EXPECT_EQ(all.at(kDx).sums[0].energy, 160);
  EXPECT_THAT(all.at(kDx).weight, ElementsAre(2 * (1 + 0x1p-22), 4 * (1 + 0x1p-22)));
  EXPECT_THAT(all.at(kDgamma).value, ElementsAre(-6, 4));
  EXPECT_THAT(all.at(kDgamma).local, ElementsAre(6, 4));
}

// Which elements of dx and dgamma are not finite.
std::pair<std::vector<std::size_t>, std::vector<std::size_t>> NonFinite(const TensorSet& set) {
  std::pair<std::vector<std::size_t>, std::vector<std::size_t>> indices;
  const auto all = Collect(set, 2);
  for (std::size_t i = 0; i < all.at(kDx).value.size(); ++i) {
    if (!std::isfinite(all.at(kDx).value[i])) indices.first.push_back(i);
  }
  for (std::size_t i = 0; i < all.at(kDgamma).value.size(); ++i) {
    if (!std::isfinite(all.at(kDgamma).value[i])) indices.second.push_back(i);
  }
  return indices;
}

TEST(RmsNormGradOracle, ACentredProfileCountsFewerRoundings) {
  const TensorSet set = RandomSet(2, 3);
  std::vector<double> local, terms;
  for (const Profile profile : {Profile::kExpanded, Profile::kCentred}) {
    kRmsNormGradOracle.reference(
        set.BoundDims(), set.All(), profile, 1, [&](const ReferenceBlock& block) {
          local.push_back(block.roundings);
          terms.push_back(block.shared.empty() ? block.own[0].roundings
                                               : block.shared[0].sum.roundings);
        });
  }
  // Two rows of dx, then dgamma, of either profile.
  EXPECT_THAT(local, ElementsAre(12, 12, 2, 10, 10, 2));
  EXPECT_THAT(terms, ElementsAre(6, 6, 5, 4, 4, 3));
}

TEST(RmsNormGradOracle, OnlyOneElementPerRowMakesTermsRepeat) {
  EXPECT_TRUE(Collect(RandomSet(3, 1), 1).at(kDgamma).sums[0].lattice);
  EXPECT_FALSE(Collect(RandomSet(3, 2), 1).at(kDgamma).sums[0].lattice);
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
    EXPECT_THAT(NonFinite(set).second, ElementsAre());
  }
}

TEST(RmsNormGradOracle, AnInfinityAllowsNothingToTheColumnsWithoutIt) {
  for (const std::string_view name : {"dy", "x"}) {
    TensorSet set = RandomSet(3, 2);
    set.Set(name, 3, kInfinity);
    kRmsNormGradOracle.reference(set.BoundDims(), set.All(), Profile::kExpanded, 1,
                                 [](const ReferenceBlock& block) {
                                   if (block.param != kDgamma) return;
                                   EXPECT_FALSE(block.may_overflow);
                                   EXPECT_LT(block.flush, 1e3);
                                 });
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
  std::map<std::size_t, bool> may_overflow;
  kRmsNormGradOracle.reference(set.BoundDims(), set.All(), Profile::kExpanded, 1,
                               [&](const ReferenceBlock& block) {
                                 may_overflow[block.param * 100 + block.first] = block.may_overflow;
                               });
  EXPECT_TRUE(may_overflow.at(400));
  EXPECT_FALSE(may_overflow.at(408));
}

}  // namespace
}  // namespace normgrad
