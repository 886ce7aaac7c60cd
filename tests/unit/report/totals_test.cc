// SPDX-License-Identifier: Apache-2.0
#include "report/totals.h"

#include <gtest/gtest.h>

namespace normgrad {
namespace {

/// A run of as many cases, one check each, that ended as `outcomes` says.
Totals Account(std::initializer_list<Outcome> outcomes) {
  Totals totals = Totals::Of({.planned_cases = outcomes.size(), .planned_checks = outcomes.size()});
  for (const Outcome outcome : outcomes) {
    totals.Add({.outcome = outcome, .checks = {{.check = "accuracy", .outcome = outcome}}});
  }
  return totals;
}

TEST(Totals, CountCasesAndChecksByOutcome) {
  Totals totals = Totals::Of({.planned_cases = 2, .planned_checks = 3});
  totals.Add({.outcome = Outcome::kFailed,
              .checks = {{.check = "accuracy", .outcome = Outcome::kFailed},
                         {.check = "memory", .outcome = Outcome::kPassed}}});
  EXPECT_FALSE(totals.Complete());
  totals.Add(
      {.outcome = Outcome::kPassed, .checks = {{.check = "memory", .outcome = Outcome::kPassed}}});
  EXPECT_TRUE(totals.Complete());
  EXPECT_EQ(totals.cases.Of(Outcome::kFailed), 1U);
  EXPECT_EQ(totals.cases.Of(Outcome::kPassed), 1U);
  EXPECT_EQ(totals.cases.Failures(), 1U);
  ASSERT_EQ(totals.checks.size(), 2U);
  EXPECT_EQ(totals.checks[0].check, "accuracy");
  EXPECT_EQ(totals.checks[0].outcomes.Of(Outcome::kFailed), 1U);
  EXPECT_EQ(totals.checks[1].check, "memory");
  EXPECT_EQ(totals.checks[1].outcomes.Of(Outcome::kPassed), 2U);
}

TEST(Totals, DoNotTakeNotRunForAnAnswer) {
  const Totals totals = Account({Outcome::kPassed, Outcome::kNotRun});
  EXPECT_EQ(totals.cases.Answered(), 1U);
  EXPECT_EQ(totals.AnsweredChecks(), 1U);
  EXPECT_FALSE(totals.Complete());
}

TEST(ExitCode, IsZeroIfNothingFailed) {
  EXPECT_EQ(ExitCode(Account({Outcome::kPassed, Outcome::kKnownDeviation, Outcome::kWaived,
                              Outcome::kUnsupported, Outcome::kSkipped})),
            0);
}

TEST(ExitCode, IsOneIfAVerdictFailed) {
  EXPECT_EQ(ExitCode(Account({Outcome::kPassed, Outcome::kFailed})), 1);
  EXPECT_EQ(ExitCode(Account({Outcome::kPassed, Outcome::kMistrusted})), 1);
}

TEST(ExitCode, IsFiveOnADeviceFaultEvenBesideAFailedVerdict) {
  for (const Outcome fault :
       {Outcome::kCrashed, Outcome::kTimedOut, Outcome::kError, Outcome::kNotRun}) {
    EXPECT_EQ(ExitCode(Account({fault})), 5) << Name(fault);
    EXPECT_EQ(ExitCode(Account({Outcome::kFailed, fault})), 5) << Name(fault);
  }
}

TEST(ExitCode, IsNeverAPassIfAnAnswerIsMissing) {
  Totals cases = Account({Outcome::kPassed});
  cases.planned_cases = 2;
  EXPECT_EQ(ExitCode(cases), 5);
  Totals checks = Account({Outcome::kPassed});
  checks.planned_checks = 2;
  EXPECT_EQ(ExitCode(checks), 5);
}

TEST(ExitCode, IsNeverAPassIfThereAreMoreAnswersThanQuestions) {
  Totals totals = Account({Outcome::kPassed, Outcome::kPassed});
  totals.planned_cases = 1;
  EXPECT_EQ(ExitCode(totals), 5);
}

TEST(ExitCode, IsFiveAfterAnIncident) {
  Totals totals = Account({Outcome::kPassed});
  totals.incidents = 1;
  EXPECT_EQ(ExitCode(totals), 5);
}

TEST(ExitCode, IsTwoIfNothingWasJudged) {
  EXPECT_EQ(ExitCode(Account({Outcome::kSkipped, Outcome::kUnsupported})), 2);
  EXPECT_EQ(ExitCode(Account({Outcome::kSkipped, Outcome::kNotRun})), 5);
}

TEST(ExitCode, CountsTheVerdictOfOneCheckBesideOneThatWasSkipped) {
  Totals totals = Totals::Of({.planned_cases = 1, .planned_checks = 2});
  totals.Add({.outcome = Outcome::kSkipped,
              .checks = {{.check = "accuracy", .outcome = Outcome::kPassed},
                         {.check = "throughput", .outcome = Outcome::kSkipped}}});
  EXPECT_EQ(ExitCode(totals), 0);
}

TEST(ExitCode, DoesNotJudgeBeforeEveryAnswerIsThere) {
  Totals totals = Account({Outcome::kSkipped});
  totals.planned_cases = 2;
  EXPECT_EQ(ExitCode(totals), 5);
}

TEST(OutcomeCounts, CountNoAnswerAsAFailure) {
  EXPECT_EQ(Account({Outcome::kFailed, Outcome::kNotRun}).cases.Failures(), 1U);
}

TEST(ExitCode, IsTwoIfNothingWasPlanned) { EXPECT_EQ(ExitCode(Account({})), 2); }

TEST(ExitCode, JudgesAWaivedCaseByItsOutcomeNotByTheCheckThatFailed) {
  Totals totals = Totals::Of({.planned_cases = 1, .planned_checks = 1});
  totals.Add({.outcome = Outcome::kWaived,
              .checks = {{.check = "accuracy", .outcome = Outcome::kFailed}}});
  EXPECT_EQ(ExitCode(totals), 0);
}

TEST(MoreSeriousExitCode, OrdersEveryPair) {
  const int order[] = {0, 4, 3, 1, 5, 2, 130};
  for (std::size_t i = 0; i < std::size(order); ++i) {
    for (std::size_t j = 0; j < std::size(order); ++j) {
      EXPECT_EQ(MoreSeriousExitCode(order[i], order[j]), order[std::max(i, j)]);
    }
  }
}

}  // namespace
}  // namespace normgrad
