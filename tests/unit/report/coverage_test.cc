// SPDX-License-Identifier: Apache-2.0
#include "report/coverage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "report/overview.h"

namespace normgrad {
namespace {

Result Judged(std::string op, std::string product, std::string dtypes,
              Outcome accuracy = Outcome::kPassed) {
  Result result;
  result.op = std::move(op);
  result.product = std::move(product);
  result.dtypes = std::move(dtypes);
  result.checks = {{.check = "accuracy", .outcome = accuracy}};
  return result;
}

Result Refused(std::string rule, Outcome contract = Outcome::kPassed) {
  Result result;
  result.op = "group_norm_backward";
  result.product = "atlas-training";
  result.dtypes = "float32-float32-float32-float32";
  result.rule = std::move(rule);
  result.checks = {{.check = "contract", .outcome = contract}};
  return result;
}

OperatorCoverage Of(std::initializer_list<Result> results) {
  Coverage coverage;
  for (const Result& result : results) coverage.Add(result);
  const auto operators = coverage.Operators();
  EXPECT_EQ(operators.size(), 1U);
  return operators.at(0);
}

TEST(Coverage, CountsARowOnceEveryPairOfItsDTypesHasPassed) {
  // On atlas-training group norm has two rows, each with gamma and without.
  const auto half =
      Of({Judged("group_norm_backward", "atlas-training", "float32-float32-float32-float32")});
  EXPECT_EQ(half.products, (Share{1, 4}));
  EXPECT_EQ(half.dtype_rows, (Share{0, 13}));
  EXPECT_THAT(
      half.missing,
      testing::Contains("atlas-training: dtype row float32-float32-float32|none-float32: 6 of "
                        "9 pairs"));
  const auto whole =
      Of({Judged("group_norm_backward", "atlas-training", "float32-float32-float32-float32"),
          Judged("group_norm_backward", "atlas-training", "float32-float32-none-float32")});
  EXPECT_EQ(whole.dtype_rows, (Share{1, 13}));
}

TEST(Coverage, CountsNothingThatDidNotPass) {
  const auto coverage = Of(
      {Judged("rms_norm_grad", "atlas-a2", "float32-float32-float32-float32", Outcome::kFailed),
       Judged("rms_norm_grad", "atlas-a2", "float32-float32-float32-float32", Outcome::kSkipped)});
  EXPECT_EQ(coverage.products, (Share{0, 4}));
  EXPECT_EQ(coverage.dtype_rows, (Share{0, 17}));
}

TEST(Coverage, CountsARuleOnceACallThatBreaksItWasRefused) {
  const auto coverage = Of({Refused("mean is not null"), Refused("mean is not null"),
                            Refused("rstd is not null", Outcome::kFailed), Refused("")});
  EXPECT_EQ(coverage.rules.shown, 1U);
  EXPECT_THAT(coverage.missing, testing::Contains("atlas-training: rule: rstd is not null"));
  EXPECT_THAT(coverage.missing,
              testing::Not(testing::Contains("atlas-training: rule: mean is not null")));
}

TEST(Coverage, KeepsProductsApart) {
  const auto coverage =
      Of({Judged("rms_norm_grad", "atlas-a2", "float32-float32-float32-float32"),
          Judged("rms_norm_grad", "atlas-a3", "float32-float32-float32-float32")});
  EXPECT_EQ(coverage.products, (Share{2, 4}));
  EXPECT_EQ(coverage.dtype_rows, (Share{2, 17}));
}

TEST(Overview, TalliesKnownDeviations) {
  Overview overview({});
  Result result = Judged("rms_norm_grad", "atlas-a2", "float32-float32-float32-float32");
  result.deviations = {{.number = "D2", .text = "two", .seen = true},
                       {.number = "D4", .text = "four", .seen = false}};
  overview.Add(result);
  result.deviations = {{.number = "D4", .text = "four", .seen = false}};
  overview.Add(result);
  ASSERT_EQ(overview.deviations().size(), 2U);
  EXPECT_EQ(overview.deviations()[0].number, "D2");
  EXPECT_EQ(overview.deviations()[0].seen, 1U);
  EXPECT_EQ(overview.deviations()[1].cases, 2U);
  EXPECT_EQ(overview.deviations()[1].seen, 0U);
}

}  // namespace
}  // namespace normgrad
