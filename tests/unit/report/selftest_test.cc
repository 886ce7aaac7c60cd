// SPDX-License-Identifier: Apache-2.0
#include "report/selftest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace normgrad {
namespace {

using testing::HasSubstr;
using testing::Not;

SelftestTrial Caught(std::string op, std::string dtype, std::vector<std::string> checks) {
  SelftestTrial trial{.op = std::move(op), .dtype = std::move(dtype), .cases = 3};
  for (std::string& check : checks) {
    trial.catches.push_back({std::move(check), "a/case", "a reason"});
  }
  return trial;
}

SelftestTrial Missed(std::string op, std::string dtype) {
  return {.op = std::move(op), .dtype = std::move(dtype), .cases = 3, .differs = true};
}

SelftestTrial Inert(std::string op, std::string dtype) {
  return {.op = std::move(op), .dtype = std::move(dtype), .cases = 3};
}

SelftestWay Fault(std::string name, std::vector<SelftestTrial> trials) {
  return {.name = std::move(name),
          .kind = "formula",
          .twin = "forward",
          .what = "what it does",
          .trials = std::move(trials)};
}

SelftestWay Healthy(std::string name, std::vector<SelftestTrial> trials) {
  SelftestWay way = Fault(std::move(name), std::move(trials));
  way.kind = "healthy";
  return way;
}

SelftestReport Of(std::vector<SelftestWay> ways) {
  return {.cases = 3, .checks = {"accuracy", "memory"}, .ways = std::move(ways)};
}

TEST(Selftest, PassesWhenEveryFaultIsCaughtAndEveryHealthyVariantAccepted) {
  const SelftestReport report = Of({Fault("a", {Caught("rms_norm_grad", "float32", {"accuracy"}),
                                                Inert("rms_norm_grad", "float16")}),
                                    Healthy("b", {Inert("rms_norm_grad", "float32")})});
  EXPECT_EQ(SelftestExitCode(report, WhoseSweep::kOurs), 0);
  EXPECT_EQ(SelftestScore(report, WhoseSweep::kOurs),
            "1 of 1 faults caught (1 of 1 on their operators and dtypes), 1 of 1 healthy variants "
            "accepted");
}

TEST(Selftest, FailsWhenAFaultIsMissedInOneDType) {
  const SelftestReport report = Of({Fault("a", {Caught("rms_norm_grad", "float32", {"accuracy"}),
                                                Missed("rms_norm_grad", "float16")})});
  EXPECT_EQ(SelftestExitCode(report, WhoseSweep::kOurs), 1);
  EXPECT_EQ(SelftestScore(report, WhoseSweep::kOurs),
            "0 of 1 faults caught (1 of 2 on their operators and dtypes), 0 of 0 healthy variants "
            "accepted");
  EXPECT_THAT(SelftestText(report, WhoseSweep::kOurs), HasSubstr("MISSED on rms_norm_grad h"));
}

TEST(Selftest, FailsOnAFalseAlarmAndSaysWhoRaisedIt) {
  const SelftestReport report =
      Of({Healthy("b", {Caught("rms_norm_grad", "float32", {"memory"})})});
  EXPECT_EQ(SelftestExitCode(report, WhoseSweep::kOurs), 1);
  const std::string text = SelftestText(report, WhoseSweep::kOurs);
  EXPECT_THAT(text, HasSubstr("FALSE ALARM of memory  in a/case"));
  EXPECT_THAT(text, HasSubstr("memory in a/case: a reason"));
}

TEST(Selftest, CallsAFaultThatShowsInNoCaseMissedUnlessTheyArePartOfOurs) {
  const SelftestReport report = Of({Fault("a", {Inert("rms_norm_grad", "float32")})});
  EXPECT_EQ(SelftestExitCode(report, WhoseSweep::kOurs), 1);
  EXPECT_EQ(SelftestExitCode(report, WhoseSweep::kPartOfOurs), 0);
  EXPECT_EQ(SelftestExitCode(report, WhoseSweep::kUsers), 1);
  EXPECT_THAT(SelftestText(report, WhoseSweep::kOurs), HasSubstr("MISSED: it shows in no case\n"));
  EXPECT_THAT(SelftestText(report, WhoseSweep::kPartOfOurs), HasSubstr("  shows in no case\n"));
  EXPECT_THAT(SelftestText(report, WhoseSweep::kUsers), HasSubstr("MISSED on rms_norm_grad f\n"));
}

TEST(Selftest, CallsAFaultThatShowsOnOneDTypeOfAUsersCasesMissedOnTheOthers) {
  const SelftestReport report = Of({Fault(
      "a", {Caught("rms_norm_grad", "float32", {"accuracy"}), Inert("rms_norm_grad", "float16")})});
  EXPECT_EQ(SelftestExitCode(report, WhoseSweep::kOurs), 0);
  EXPECT_EQ(SelftestExitCode(report, WhoseSweep::kUsers), 1);
}

TEST(Selftest, GivesACheckTheFaultsThatItAloneSeesSomewhere) {
  const SelftestReport report =
      Of({Fault("shared", {Caught("rms_norm_grad", "float32", {"accuracy", "memory"})}),
          Fault("owned", {Caught("rms_norm_grad", "float32", {"memory"}),
                          Caught("rms_norm_grad", "float16", {"accuracy", "memory"})})});
  const std::string text = SelftestText(report, WhoseSweep::kOurs);
  EXPECT_THAT(text, HasSubstr("accuracy alone sees 0\n"));
  EXPECT_THAT(text, HasSubstr("memory alone sees 1: owned\n"));
}

TEST(Selftest, TellsInTablesWhereACheckOrAStandardSeesAFault) {
  SelftestReport report =
      Of({Fault("a", {Caught("rms_norm_grad", "float32", {"accuracy"}),
                      Caught("rms_norm_grad", "bfloat16", {"accuracy", "memory"}),
                      Inert("layer_norm_backward", "float16")}),
          Fault("b", {Caught("rms_norm_grad", "float32", {"memory"})}),
          Healthy("c", {Inert("rms_norm_grad", "float32")})});
  report.standards = {"close"};
  report.ways[0].trials[1].standards = {"close"};
  report.ways[2].trials[0].standards = {"close"};
  const std::string page = SelftestMarkdown(report, WhoseSweep::kOurs);
  EXPECT_THAT(page, HasSubstr("| `a` | what it does |  | all | rms b |\n"));
  EXPECT_THAT(page, HasSubstr("| `a` | all | rms b |\n"));
  // What no accuracy rule can see is not held against one.
  EXPECT_THAT(page, Not(HasSubstr("| `b` |  |")));
  EXPECT_THAT(page, HasSubstr("| **caught** | 2 of 2 | 1 of 2 |\n"));
  EXPECT_THAT(page, HasSubstr("| **false alarms** | 0 of 1 | 1 of 1 |\n"));
}

}  // namespace
}  // namespace normgrad
