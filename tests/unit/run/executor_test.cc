// SPDX-License-Identifier: Apache-2.0
#include "run/executor.h"

#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cpu_device.h"
#include "ops/operators.h"

namespace normgrad {
namespace {

Case CaseOf(Shape rows, Shape cols) {
  Case the_case;
  the_case.op = &kRmsNormGrad;
  the_case.product = "atlas-a2";
  the_case.dims = {{"A", std::move(rows)}, {"R", std::move(cols)}};
  the_case.dtypes = {DType::kFloat16, DType::kFloat32, DType::kFloat32, DType::kFloat32};
  the_case.checks = {"accuracy", "memory", "determinism"};
  return the_case;
}

Result Execute(const Case& the_case, CheckOptions options = {}) {
  return InProcessExecutor(CpuDevice(), std::move(options), [](const Case&, std::string_view) {})
      .Execute(the_case);
}

TEST(InProcessExecutor, AnswersEveryCheckOfACorrectKernel) {
  const Result result = Execute(CaseOf({7}, {100}));
  EXPECT_EQ(result.outcome, Outcome::kPassed) << result.reason;
  ASSERT_EQ(result.checks.size(), 3U);
  for (const CheckResult& check : result.checks) EXPECT_EQ(check.outcome, Outcome::kPassed);
  ASSERT_EQ(result.outputs.size(), 2U);
  EXPECT_EQ(result.outputs[0].name, "dxOut");
  EXPECT_EQ(result.outputs[0].elements, 700U);
  EXPECT_LE(result.outputs[0].margin, 1);
  EXPECT_EQ(result.outputs[1].name, "dgammaOut");
  EXPECT_EQ(result.outputs[1].elements, 100U);
  ASSERT_EQ(result.determinism.size(), 2U);
  EXPECT_EQ(result.determinism[1].runs, 12U);  // 5 plain ones, 7 that something sets apart
  EXPECT_EQ(result.determinism[1].differing, 0U);
}

TEST(InProcessExecutor, JudgesAnEmptyBatchAsZeros) {
  const Result result = Execute(CaseOf({0}, {16}));
  EXPECT_EQ(result.outcome, Outcome::kPassed) << result.reason;
  EXPECT_EQ(result.outputs[0].elements, 0U);
  EXPECT_EQ(result.outputs[1].elements, 16U);
  EXPECT_EQ(result.workspace_bytes, 0U);
}

TEST(InProcessExecutor, LeavesEmptyOutputsAlone) {
  Case the_case = CaseOf({3}, {0});
  the_case.checks = {"memory"};
  EXPECT_EQ(Execute(the_case).outcome, Outcome::kPassed);
}

TEST(InProcessExecutor, RecordsWhatTheLibraryRefuses) {
  Case the_case = CaseOf({4}, {32});
  the_case.product = "atlas-training";  // does not support the operator
  const Result result = Execute(the_case);
  EXPECT_EQ(result.outcome, Outcome::kError);
  EXPECT_EQ(result.reason,
            "accuracy, memory, determinism: aclnnRmsNormGradGetWorkspaceSize returned 161002 "
            "(ACLNN_ERR_PARAM_INVALID): "
            "atlas-training does not support aclnnRmsNormGrad");
}

TEST(InProcessExecutor, SkipsACaseThatCannotFitBeforeItAllocatesAnything) {
  const Result result = Execute(CaseOf({1 << 20}, {1 << 19}));  // 2^39 elements: terabytes
  EXPECT_EQ(result.outcome, Outcome::kSkipped);
  EXPECT_THAT(result.reason, testing::StartsWith("accuracy, memory, determinism: memory: the "
                                                 "tensors take 3 TiB, and the host 9 TiB"));
}

TEST(InProcessExecutor, SkipsASmallCaseThatIsLargerThanTheHostMayGrow) {
  const Result result = Execute(CaseOf({7}, {100}), {.most_host_bytes = 1024});
  EXPECT_EQ(result.outcome, Outcome::kSkipped);
  EXPECT_THAT(result.reason, testing::EndsWith("1 KiB on the host"));
}

TEST(InProcessExecutor, SkipsForReasonsOfTheListOnly) {
  const auto skip = [](Case the_case, const char* check) {
    the_case.checks = {check};
    const CheckResult answer = Execute(the_case).checks.front();
    EXPECT_EQ(answer.outcome, Outcome::kSkipped) << check << ": " << answer.reason;
    EXPECT_NE(answer.reason, "");
    return answer.skip;
  };
  EXPECT_EQ(skip(CaseOf({1 << 20}, {1 << 19}), "memory"), SkipReason::kMemory);
  EXPECT_EQ(skip(CaseOf({0}, {0}), "throughput"), SkipReason::kNoElements);
  EXPECT_EQ(skip(CaseOf({3}, {0}), "batch"), SkipReason::kNoElements);
  EXPECT_EQ(skip(CaseOf({1}, {8}), "batch"), SkipReason::kFewRows);
  Case unfit = CaseOf({3}, {7});
  unfit.fill = "pair_cancel";
  EXPECT_EQ(skip(unfit, "accuracy"), SkipReason::kFill);
}

TEST(InProcessExecutor, GivesNoReasonForWhatItDidNotSkip) {
  for (const CheckResult& answer : Execute(CaseOf({7}, {100})).checks) {
    EXPECT_EQ(answer.skip, SkipReason::kNone);
  }
}

TEST(InProcessExecutor, CallsACheckThatNobodyHasABug) {
  Case the_case = CaseOf({4}, {32});
  the_case.checks = {"speed"};
  EXPECT_THROW(Execute(the_case), std::logic_error);
}

TEST(Conclude, KeepsAWarningOfACheckThatPassed) {
  Result result = {
      .checks = {{"accuracy", Outcome::kPassed, ""}, {"throughput", Outcome::kPassed, "noisy"}}};
  Conclude(&result);
  EXPECT_EQ(result.outcome, Outcome::kPassed);
  EXPECT_EQ(result.reason, "throughput: noisy");
}

TEST(Conclude, TellsTheMostSeriousReasonFirstAndEqualOnesOnce) {
  Result result = {.checks = {{"accuracy", Outcome::kPassed, "small"},
                              {"memory", Outcome::kError, "gone"},
                              {"determinism", Outcome::kError, "gone"},
                              {"throughput", Outcome::kFailed, "slow"}}};
  Conclude(&result);
  EXPECT_EQ(result.outcome, Outcome::kError);
  EXPECT_EQ(result.reason, "memory, determinism: gone; throughput: slow; accuracy: small");
}

TEST(Unanswered, ShowsAHashThatIsNoDecimalNumber) {
  EXPECT_EQ(Unanswered(CaseOf({4}, {32})).case_hash.substr(0, 2), "0x");
  EXPECT_EQ(Unanswered(CaseOf({4}, {32})).case_hash.size(), 18U);
}

}  // namespace
}  // namespace normgrad
