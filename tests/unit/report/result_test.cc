// SPDX-License-Identifier: Apache-2.0
#include "report/result.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace normgrad {
namespace {

TEST(Outcome, HasANameThatParsesBack) {
  EXPECT_EQ(Outcomes().size(), 11U);
  for (const Outcome outcome : Outcomes()) EXPECT_EQ(ParseOutcome(Name(outcome)), outcome);
  EXPECT_EQ(Name(Outcome::kKnownDeviation), "known-deviation");
  EXPECT_EQ(Name(Outcome::kTimedOut), "timed-out");
  EXPECT_EQ(Name(Outcome::kNotRun), "not-run");
}

TEST(Outcome, IsNotParsedFromOtherText) {
  EXPECT_EQ(ParseOutcome(""), std::nullopt);
  EXPECT_EQ(ParseOutcome("Passed"), std::nullopt);
  EXPECT_EQ(ParseOutcome("pass"), std::nullopt);
}

TEST(Outcome, IsAFailureUnlessTheListSaysOtherwise) {
  std::vector<std::string_view> harmless;
  for (const Outcome outcome : Outcomes()) {
    if (!IsFailure(outcome)) harmless.push_back(Name(outcome));
  }
  EXPECT_THAT(harmless, testing::ElementsAre("passed", "known-deviation", "waived", "unsupported",
                                             "skipped"));
}

TEST(SkipReason, IsOneOfAClosedList) {
  std::vector<std::string_view> names;
  for (const SkipReason reason : SkipReasons()) {
    names.push_back(Name(reason));
    EXPECT_EQ(ParseSkipReason(Name(reason)), reason);
    EXPECT_NE(Meaning(reason), "");
  }
  EXPECT_THAT(names, testing::ElementsAre("memory", "fill", "no-elements", "few-rows"));
  EXPECT_EQ(Name(SkipReason::kNone), "");
  EXPECT_EQ(ParseSkipReason("weather"), std::nullopt);
}

TEST(MoreSerious, OrdersEveryPair) {
  const Outcome order[] = {Outcome::kPassed,   Outcome::kSkipped,        Outcome::kUnsupported,
                           Outcome::kWaived,   Outcome::kKnownDeviation, Outcome::kMistrusted,
                           Outcome::kNotRun,   Outcome::kFailed,         Outcome::kError,
                           Outcome::kTimedOut, Outcome::kCrashed};
  for (std::size_t i = 0; i < std::size(order); ++i) {
    for (std::size_t j = 0; j < std::size(order); ++j) {
      EXPECT_EQ(MoreSerious(order[i], order[j]), order[std::max(i, j)]);
    }
  }
}

TEST(MoreSerious, NeverHidesAFailureBehindAHarmlessOutcome) {
  for (const Outcome a : Outcomes()) {
    for (const Outcome b : Outcomes()) {
      EXPECT_EQ(IsFailure(MoreSerious(a, b)), IsFailure(a) || IsFailure(b));
    }
  }
}

}  // namespace
}  // namespace normgrad
