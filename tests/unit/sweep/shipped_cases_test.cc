// SPDX-License-Identifier: Apache-2.0
// The sweeps in cases/ load, and cover what they promise within what they may cost.
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "sweep/sweep.h"

namespace normgrad {
namespace {

struct Coverage {
  std::set<std::string> products, dtypes, layouts, fills, checks;
  std::set<std::size_t> ranks;
  std::size_t timed = 0;
  double elements = 0;
};

Coverage CoverageOf(const Sweep& sweep) {
  Coverage coverage;
  for (const Case& the_case : sweep.cases) {
    const Shape data = the_case.ShapeOf(the_case.op->params.front());
    coverage.products.insert(the_case.product);
    coverage.dtypes.insert(the_case.product + "/" + DTypesText(the_case.dtypes));
    coverage.layouts.insert(LayoutText(the_case));
    coverage.fills.insert(the_case.fill);
    coverage.checks.insert(the_case.checks.begin(), the_case.checks.end());
    coverage.ranks.insert(data.size());
    coverage.elements += static_cast<double>(ElementCount(data));
    if (the_case.checks.back() == "throughput") ++coverage.timed;
  }
  return coverage;
}

void ExpectEveryChoice(const Coverage& coverage) {
  EXPECT_EQ(coverage.products,
            (std::set<std::string>{"ascend-950", "atlas-a2", "atlas-a3", "atlas-inference"}));
  EXPECT_EQ(coverage.dtypes.size(), 17U) << "rows of cases/rms_norm_grad/dtypes.csv";
  for (const LayoutKind layout : AllLayoutKinds()) {
    EXPECT_TRUE(coverage.layouts.contains(std::string(Name(layout)))) << Name(layout);
  }
  EXPECT_EQ(coverage.fills.size(), FillNames().size());
  EXPECT_EQ(coverage.checks.size(), CheckNames().size());
}

TEST(ShippedCases, SmokeTouchesEveryChoiceAndStaysSmall) {
  const Sweep sweep = LoadSweeps({"cases/suites/smoke.yaml"}, {});
  const Coverage coverage = CoverageOf(sweep);
  ExpectEveryChoice(coverage);
  EXPECT_EQ(coverage.timed, 1U);
  EXPECT_LT(sweep.cases.size(), 250U);
  EXPECT_LT(coverage.elements, 1e6);
}

TEST(ShippedCases, TheMainSweepTouchesEveryChoiceWithinItsBudget) {
  const Sweep sweep = LoadSweeps({"cases/rms.yaml"}, {});
  const Coverage coverage = CoverageOf(sweep);
  ExpectEveryChoice(coverage);
  EXPECT_EQ(coverage.ranks, (std::set<std::size_t>{1, 2, 3, 4, 5, 6, 7, 8}));
  EXPECT_EQ(coverage.timed, 27U);
  EXPECT_LT(coverage.elements, 4e8);
}

TEST(ShippedCases, TheMainSweepRefusesShortRowsOnAtlasInference) {
  const Sweep sweep = LoadSweeps({"cases/rms.yaml"}, {});
  bool found = false;
  for (const Drop& drop : sweep.drops) {
    found |= drop.reason ==
             "violates \"on atlas-inference the last axis of x, dy and gamma is at least 32 "
             "bytes, or empty\"";
  }
  EXPECT_TRUE(found);
}

}  // namespace
}  // namespace normgrad
