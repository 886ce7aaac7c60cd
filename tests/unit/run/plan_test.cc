// SPDX-License-Identifier: Apache-2.0
#include "run/plan.h"

#include <algorithm>
#include <map>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/random.h"
#include "ops/operators.h"
#include "sweep/sweep.h"

namespace normgrad {
namespace {

/// The cases of a sweep as ShareOut() sees them.
std::vector<CaseShare> SharesOf(const std::string& file) {
  std::vector<CaseShare> shares;
  for (const Case& the_case : LoadSweeps({file}, {}).cases) {
    shares.push_back({the_case.Hash(), CostOf(the_case).seconds});
  }
  return shares;
}

/// The load of the longest shard over that of the mean.
double Imbalance(const std::vector<CaseShare>& cases, std::uint64_t shards) {
  std::vector<double> loads(shards, 0);
  for (const CaseShare& one : cases) loads[one.shard - 1] += one.seconds;
  const double total = std::accumulate(loads.begin(), loads.end(), 0.0);
  return *std::ranges::max_element(loads) * static_cast<double>(shards) / total;
}

/// The cases that are in both, and in another shard in each, over all.
double Moved(const std::vector<CaseShare>& before, const std::vector<CaseShare>& after) {
  std::map<std::uint64_t, std::uint64_t> shard_of;
  for (const CaseShare& one : before) shard_of[one.key] = one.shard;
  std::size_t moved = 0;
  for (const CaseShare& one : after) {
    if (shard_of.contains(one.key) && shard_of[one.key] != one.shard) ++moved;
  }
  return static_cast<double>(moved) / static_cast<double>(before.size());
}

/// `cases` without every hundredth, `drawn` differently.
std::vector<CaseShare> WithoutSome(const std::vector<CaseShare>& cases, std::uint64_t drawn) {
  std::vector<CaseShare> kept;
  for (const CaseShare& one : cases) {
    if (RandomStream(drawn).Uniform(one.key) >= 0.01) kept.push_back(one);
  }
  return kept;
}

class ShareOutTest : public testing::TestWithParam<const char*> {};

TEST_P(ShareOutTest, BalancesAndMovesLittle) {
  const std::vector<CaseShare> cases = SharesOf(GetParam());
  for (const std::uint64_t shards : {2U, 4U, 8U, 16U}) {
    std::vector<CaseShare> all = cases;
    ShareOut(shards, &all);
    const double imbalance = Imbalance(all, shards);
    double largest = 0, total = 0;
    for (const CaseShare& one : all) {
      largest = std::max(largest, one.seconds);
      total += one.seconds;
    }
    // No sharing out can split the most expensive case.
    const double least = largest * static_cast<double>(shards) / total;
    EXPECT_LE(imbalance, std::max(1.1, least) + 1e-9) << shards << " shards";
    double moved = 0;
    constexpr std::uint64_t kDraws = 5;
    for (std::uint64_t drawn = 1; drawn <= kDraws; ++drawn) {
      // A hundredth is added to what is left.
      std::vector<CaseShare> fewer = WithoutSome(cases, drawn);
      ASSERT_LT(fewer.size(), cases.size());
      ShareOut(shards, &fewer);
      moved += Moved(fewer, all) / static_cast<double>(kDraws);
    }
    RecordProperty("imbalance_" + std::to_string(shards), fmt::format("{:.3f}", imbalance));
    RecordProperty("moved_" + std::to_string(shards), fmt::format("{:.4f}", moved));
    // A case that is most of a shard takes the place of many when it comes.
    EXPECT_LE(moved, least < 0.3 ? 0.05 : 0.2) << shards << " shards";
  }
}

INSTANTIATE_TEST_SUITE_P(Sweeps, ShareOutTest,
                         testing::Values("cases/suites/ci.yaml", "cases/rms.yaml",
                                         "cases/layer.yaml", "cases/group.yaml",
                                         "cases/batch.yaml"));

TEST(ShareOut, DoesNotDependOnTheOrderOfCases) {
  std::vector<CaseShare> cases = SharesOf("cases/rms_norm_grad/smoke.yaml");
  std::vector<CaseShare> reversed(cases.rbegin(), cases.rend());
  ShareOut(3, &cases);
  ShareOut(3, &reversed);
  EXPECT_EQ(Moved(cases, reversed), 0);
}

TEST(ShareOut, LeavesNoShardEmpty) {
  for (std::uint64_t shards = 1; shards <= 12; ++shards) {
    std::vector<CaseShare> cases;
    for (std::uint64_t i = 0; i < 12; ++i) cases.push_back({i * 77, i == 0 ? 1000.0 : 1.0});
    ShareOut(shards, &cases);
    std::vector<int> counts(shards, 0);
    for (const CaseShare& one : cases) ++counts.at(one.shard - 1);
    EXPECT_THAT(counts, testing::Each(testing::Gt(0))) << shards;
  }
}

TEST(CostOf, KnowsEveryCheck) {
  Case the_case = LoadSweeps({"cases/rms_norm_grad/smoke.yaml"}, {}).cases.front();
  the_case.checks.clear();
  const double nothing = CostOf(the_case).seconds;
  EXPECT_GT(nothing, 0) << "filling";
  for (const std::string_view check : CheckNames()) {
    the_case.checks = {std::string(check)};
    EXPECT_GT(CostOf(the_case).seconds, nothing) << check;
  }
  the_case.checks = {"speed"};
  EXPECT_THROW(CostOf(the_case), std::logic_error);
}

TEST(CostOf, GrowsWithTheTensors) {
  Case the_case;
  the_case.op = &kRmsNormGrad;
  the_case.product = "atlas-a2";
  the_case.dims = {{"A", {4}}, {"R", {8}}};
  the_case.dtypes = {DType::kFloat32, DType::kFloat32, DType::kFloat32, DType::kFloat32};
  the_case.checks = {"accuracy"};
  const Cost small = CostOf(the_case);
  EXPECT_EQ(small.device_bytes, 4 * (3 * 32 + 4 + 2 * 8));
  EXPECT_EQ(small.host_bytes, HostBytesFor(the_case));
  the_case.dims["A"] = {4000};
  EXPECT_GT(CostOf(the_case).seconds, small.seconds);
}

TEST(MakePlan, HashesTheQuestionsAndNothingElse) {
  std::vector<Case> cases = LoadSweeps({"cases/rms_norm_grad/reject.yaml"}, {}).cases;
  const std::string hash = MakePlan(cases, 1).hash;
  EXPECT_EQ(MakePlan(cases, 5).hash, hash);
  std::ranges::reverse(cases);
  EXPECT_EQ(MakePlan(cases, 1).hash, hash);
  for (Case& the_case : cases) the_case.source = "elsewhere";
  EXPECT_EQ(MakePlan(cases, 1).hash, hash);
  cases[0].expectation->status = 1;
  EXPECT_NE(MakePlan(cases, 1).hash, hash) << "another answer is expected";
  cases.pop_back();
  EXPECT_NE(MakePlan(cases, 1).hash, hash);
}

TEST(MakePlan, PlansWhatTheJournalSays) {
  const std::vector<Case> cases = LoadSweeps({"cases/rms_norm_grad/smoke.yaml"}, {}).cases;
  const Plan plan = MakePlan(cases, 2);
  std::vector<std::uint64_t> questions;
  for (const Case& the_case : cases) {
    const PlannedCase planned = Planned(the_case, 1);
    EXPECT_EQ(planned.case_id, the_case.Id());
    EXPECT_EQ(planned.checks, the_case.checks);
    questions.push_back(HashText(planned.question));
  }
  EXPECT_EQ(PlanHash(questions), plan.hash);
}

TEST(MakePlan, RefusesMoreShardsThanCases) {
  const std::vector<Case> cases = LoadSweeps({"cases/rms_norm_grad/smoke.yaml"}, {}).cases;
  EXPECT_NO_THROW(MakePlan(cases, cases.size()));
  EXPECT_THROW(MakePlan(cases, cases.size() + 1), Error);
}

}  // namespace
}  // namespace normgrad
