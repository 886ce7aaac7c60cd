// SPDX-License-Identifier: Apache-2.0
#include "report/overview.h"

#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace normgrad {
namespace {

Result Judged(std::string case_id, std::string output, double margin) {
  return {.case_id = std::move(case_id),
          .op = "rms_norm_grad",
          .outcome = Outcome::kPassed,
          .outputs = {
              {.name = std::move(output), .dtype = "float32", .elements = 10, .margin = margin}}};
}

Result Timed(std::string case_id, double copy_fraction) {
  return {.case_id = std::move(case_id),
          .outcome = Outcome::kPassed,
          .throughput =
              ThroughputResult{.timings = {{.mode = "hot", .copy_fraction = 9},
                                           {.mode = "cold", .copy_fraction = copy_fraction}}}};
}

std::vector<std::string> TimedCases(const Overview& overview) {
  std::vector<std::string> cases;
  for (const auto& [fraction, result] : overview.throughput()) cases.push_back(result.case_id);
  return cases;
}

TEST(Overview, KeepsTheWorstMarginOfEachOutput) {
  Overview overview({});
  overview.Add(Judged("a", "dxOut", 0.25));
  overview.Add(Judged("b", "dxOut", 0.5));
  overview.Add(Judged("c", "dxOut", 0.125));
  overview.Add(Judged("d", "dgammaOut", 0.1));
  ASSERT_EQ(overview.margins().size(), 2U);
  EXPECT_EQ(overview.margins()[0].output.name, "dgammaOut");
  EXPECT_EQ(overview.margins()[1].output.margin, 0.5);
  EXPECT_EQ(overview.margins()[1].case_id, "b");
  EXPECT_EQ(overview.margins()[1].cases, 3U);
  EXPECT_EQ(overview.margins()[1].elements, 30U);
}

TEST(Overview, NeverForgetsANotANumberMargin) {
  Overview overview({});
  overview.Add(Judged("a", "dxOut", 0.25));
  overview.Add(Judged("b", "dxOut", std::numeric_limits<double>::quiet_NaN()));
  overview.Add(Judged("c", "dxOut", std::numeric_limits<double>::infinity()));
  EXPECT_EQ(overview.margins()[0].case_id, "b");
}

TEST(Overview, CountsTheReasonsForHavingNoVerdict) {
  Overview overview({});
  for (const char* reason : {"a", "b", "a"}) {
    overview.Add({.outcome = Outcome::kSkipped, .reason = reason});
  }
  overview.Add({.outcome = Outcome::kUnsupported, .reason = "a"});
  overview.Add({.outcome = Outcome::kNotRun, .reason = "stopped"});
  overview.Add({.outcome = Outcome::kFailed, .reason = "wrong"});
  std::vector<std::string> reasons;
  for (const Unjudged& unjudged : overview.unjudged()) {
    reasons.push_back(std::to_string(unjudged.cases) + " " + std::string(Name(unjudged.outcome)) +
                      " " + unjudged.reason);
  }
  EXPECT_THAT(reasons, testing::ElementsAre("2 skipped a", "1 skipped b", "1 unsupported a",
                                            "1 not-run stopped"));
  ASSERT_EQ(overview.failures().size(), 1U);
  EXPECT_EQ(overview.failures()[0].reason, "wrong");
}

TEST(Overview, CountsWhereStandardsAndTheBoundDisagree) {
  Overview overview({});
  const auto add = [&](std::uint64_t violations, bool first_output, bool second_output) {
    overview.Add({.outputs = {{.violations = violations,
                               .standards = {{.name = "close", .passed = first_output}}},
                              {.standards = {{.name = "close", .passed = second_output}}}}});
  };
  add(0, true, true);
  add(0, true, false);
  add(0, false, true);
  add(1, true, true);
  add(2, true, true);
  add(3, true, true);
  for (int i = 0; i < 4; ++i) add(4, false, false);
  overview.Add({.outcome = Outcome::kSkipped});
  ASSERT_EQ(overview.standards().size(), 1U);
  const StandardTally& tally = overview.standards()[0];
  EXPECT_EQ(tally.name, "close");
  EXPECT_EQ(tally.both_pass, 1U);
  EXPECT_EQ(tally.standard_fails, 2U);
  EXPECT_EQ(tally.bound_fails, 3U);
  EXPECT_EQ(tally.both_fail, 4U);
}

TEST(Overview, SortsThroughputByTheColdCopyFraction) {
  Overview overview({});
  overview.Add(Timed("unmeasured", 0));
  overview.Add(Timed("fast", 0.9));
  overview.Add(Timed("slow", 0.2));
  overview.Add(Timed("broken", std::numeric_limits<double>::quiet_NaN()));
  EXPECT_THAT(TimedCases(overview), testing::ElementsAre("slow", "fast", "unmeasured", "broken"));
  ASSERT_TRUE(overview.fastest().has_value());
  EXPECT_EQ(overview.fastest()->case_id, "fast");
}

TEST(Overview, KeepsABoundedNumberOfResultsAndCountsTheRest) {
  Overview overview({});
  for (int i = 0; i < 1500; ++i) {
    Result result = Timed("case " + std::to_string(i), 1.0 / (1 + i));
    result.outcome = Outcome::kFailed;
    overview.Add(result);
  }
  EXPECT_EQ(overview.failures().size(), 1000U);
  EXPECT_EQ(overview.failures().front().case_id, "case 0");
  EXPECT_EQ(overview.totals().cases.Failures(), 1500U);
  EXPECT_EQ(overview.throughput().size(), 1000U);
  EXPECT_EQ(overview.throughput().begin()->second.case_id, "case 1499");
  EXPECT_EQ(overview.throughput_results(), 1500U);
  EXPECT_EQ(overview.fastest()->case_id, "case 0");
}

}  // namespace
}  // namespace normgrad
