// SPDX-License-Identifier: Apache-2.0
#include "report/summary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/report/expected_text.h"
#include "tests/unit/report/sample_run.h"

namespace normgrad {
namespace {

const std::filesystem::path kFiles[] = {"reports/out/report.json", "reports/out/report.md"};

Overview RunOf(std::uint64_t count, Outcome outcome) {
  Overview overview({.planned_cases = count});
  for (std::uint64_t i = 0; i < count; ++i) {
    overview.Add({.case_id = "case " + std::to_string(i),
                  .rerun = "run it",
                  .outcome = outcome,
                  .reason = "because"});
  }
  return overview;
}

TEST(Summary, OfTheSampleRunIsAsExpected) {
  ExpectText("summary.txt", Summary(SampleOverview(), kFiles));
}

TEST(Summary, EndsWithTheGoodNews) {
  EXPECT_THAT(Summary(RunOf(3, Outcome::kPassed), kFiles),
              testing::EndsWith("\nall 3 cases passed\n"));
}

TEST(Summary, EndsWithTheGoodNewsOfOneCase) {
  EXPECT_THAT(Summary(RunOf(1, Outcome::kPassed), kFiles),
              testing::EndsWith("\nthe case passed\n"));
}

TEST(Summary, DoesNotCallARunWithAnIncidentPassed) {
  Overview overview = RunOf(1, Outcome::kPassed);
  overview.AddIncident("the device\nis degraded");
  EXPECT_THAT(Summary(overview, kFiles),
              testing::AllOf(testing::HasSubstr("\nIncidents\n  the device is degraded\n"),
                             testing::EndsWith("\nnot a pass: 1 incident, listed above\n")));
}

TEST(Summary, DoesNotCallASkippedCasePassed) {
  Overview overview({.planned_cases = 2});
  overview.Add({.outcome = Outcome::kPassed});
  overview.Add({.outcome = Outcome::kSkipped, .reason = "memory: too little"});
  EXPECT_THAT(Summary(overview, kFiles),
              testing::AllOf(testing::HasSubstr("\nCases without a verdict\n"
                                                "          1  skipped      memory: too little\n"),
                             testing::EndsWith("\nno case failed, 1 of 2 cases passed\n")));
}

TEST(Summary, SaysThatNothingWasJudgedAndWhy) {
  EXPECT_THAT(
      Summary(RunOf(3, Outcome::kUnsupported), kFiles),
      testing::AllOf(testing::HasSubstr("\nCases without a verdict\n"
                                        "          3  unsupported  because\n"),
                     testing::EndsWith("\nnothing was judged: 3 cases without a verdict\n")));
}

TEST(Summary, TellsCasesThatWereNotRunFromFailures) {
  Overview overview({.planned_cases = 3});
  overview.Add({.case_id = "a", .rerun = "run it", .outcome = Outcome::kFailed, .reason = "wrong"});
  overview.Add({.case_id = "b", .outcome = Outcome::kNotRun, .reason = "stopped"});
  overview.Add({.case_id = "c", .outcome = Outcome::kNotRun, .reason = "stopped"});
  EXPECT_THAT(Summary(overview, kFiles),
              testing::EndsWith("\nnot a pass: 1 of 3 cases and 0 of 0 checks answered\n"
                                "1 of 3 cases failed, 2 not run:\n"
                                "failed  a: wrong\n  rerun: run it\n"));
}

TEST(Summary, ListsNoCommandsForCasesThatWereNotRun) {
  EXPECT_THAT(Summary(RunOf(2, Outcome::kNotRun), kFiles),
              testing::EndsWith("\nno case failed, 2 of 2 cases not run\n"));
}

TEST(Summary, NamesTheStandardsThatDisagreeWithTheBound) {
  EXPECT_THAT(
      Summary(SampleOverview(), {}),
      testing::HasSubstr("\nPublished standards beside the derived bound\n"
                         "  cann-mixed     fails 0 cases and passes 1 against the bound\n"
                         "  mere-mare      fails 1 case and passes 0 against the bound\n"
                         "  cosine         fails 0 cases and passes 1 against the bound\n"));
  Overview agreeing({});
  agreeing.Add({.outputs = {{.standards = {{.name = "close", .passed = true},
                                           {.name = "torch", .passed = true}}}}});
  EXPECT_THAT(Summary(agreeing, {}),
              testing::HasSubstr("\nPublished standards beside the derived bound\n"
                                 "  agree with it in every case: close, torch\n"));
}

TEST(Summary, SaysThatNothingWasShown) {
  EXPECT_THAT(Summary(Overview({}), {}),
              testing::EndsWith("\nno case was selected: nothing was shown\n"));
}

TEST(Summary, SaysThatAnswersAreMissing) {
  Overview overview({.planned_cases = 2, .planned_checks = 4});
  overview.Add({.case_id = "a", .outcome = Outcome::kPassed});
  EXPECT_THAT(Summary(overview, {}),
              testing::EndsWith("\nnot a pass: 1 of 2 cases and 0 of 4 checks answered\n"));
}

TEST(Summary, EndsWithEachFailureAndHowToRerunIt) {
  EXPECT_THAT(Summary(RunOf(2, Outcome::kFailed), kFiles),
              testing::EndsWith("\n2 of 2 cases failed:\n"
                                "failed  case 0: because\n  rerun: run it\n"
                                "failed  case 1: because\n  rerun: run it\n"));
}

TEST(Summary, SaysHowManyFailuresItLeavesOutAndWhereTheyAre) {
  const Overview overview = RunOf(25, Outcome::kFailed);
  EXPECT_THAT(Summary(overview, kFiles),
              testing::EndsWith("\nfailed  case 19: because\n  rerun: run it\n"
                                "… and 5 more failures: listed in reports/out/report.json\n"));
  EXPECT_THAT(
      Summary(overview, {}),
      testing::EndsWith("… and 5 more failures: no report file was written that lists them\n"));
}

TEST(ProgressLine, TellsWhereTheRunStands) {
  EXPECT_EQ(ProgressLine({.answered = 12,
                          .planned = 400,
                          .failures = 3,
                          .check = "accuracy",
                          .case_id = "rms_norm_grad/A=4",
                          .seconds = 6,
                          .columns = 100}),
            "[ 12/400] 3 failed, 2 cases/s, 3 min 14 s left: accuracy rms_norm_grad/A=4");
}

TEST(ProgressLine, PromisesNothingBeforeTheFirstAnswer) {
  EXPECT_EQ(ProgressLine({.planned = 4, .check = "memory", .case_id = "a", .seconds = 1}),
            "[0/4] memory a");
  EXPECT_EQ(ProgressLine({.planned = 4}), "[0/4]");
}

TEST(ProgressLine, SaysNothingOfTimeLeftAtTheEnd) {
  EXPECT_EQ(ProgressLine({.answered = 4, .planned = 4, .seconds = 2}), "[4/4] 2 cases/s");
}

TEST(ProgressLine, CutsTheMiddleOutOfALongId) {
  EXPECT_EQ(ProgressLine({.planned = 9,
                          .check = "accuracy",
                          .case_id = "rms_norm_grad/atlas-a2/A=4x512,R=4096/float16",
                          .columns = 40}),
            "[0/9] accuracy rms_norm_gr…=4096/float16");
}

TEST(ProgressLine, IsNeverWiderThanTheTerminal) {
  Progress progress = {.answered = 10,
                       .planned = 99,
                       .failures = 1,
                       .check = "throughput",
                       .case_id = std::string(70, 'x'),
                       .seconds = 3};
  for (std::size_t columns = 0; columns <= 140; ++columns) {
    progress.columns = columns;
    const std::string line = ProgressLine(progress);
    const bool cut = line.find("…") != std::string::npos;
    EXPECT_LE(line.size() - (cut ? 2 : 0), columns);
  }
}

}  // namespace
}  // namespace normgrad
