// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checks/check.h"
#include "cpu_device.h"
#include "sample_case.h"

namespace normgrad {
namespace {

TEST(CheckAccuracy, MistrustsAReferenceThatIsAllZero) {
  const Case the_case = FloatCase({4}, {8});
  const auto inputs = Constant(the_case, 1);
  std::ranges::fill(inputs->tensors[0], std::byte{0});  // dy
  CaseRun run(the_case, CpuDevice(), inputs);
  Result result;
  const Answer answer = CheckAccuracy(run, {}, &result);
  EXPECT_EQ(answer.outcome, Outcome::kMistrusted);
  EXPECT_EQ(answer.reason, "dxOut: the reference is zero or not finite everywhere");
}

TEST(CheckAccuracy, MistrustsOutputsWithoutElements) {
  const Case the_case = FloatCase({4}, {0});
  CaseRun run(the_case, CpuDevice(), Constant(the_case, 1));
  Result result;
  const Answer answer = CheckAccuracy(run, {}, &result);
  EXPECT_EQ(answer.outcome, Outcome::kMistrusted);
  EXPECT_EQ(answer.reason, "no output has an element to judge");
}

TEST(CheckAccuracy, AcceptsZerosThatAreSumsOverNoRows) {
  const Case the_case = FloatCase({0}, {8});
  CaseRun run(the_case, CpuDevice(), Constant(the_case, 1));
  Result result;
  EXPECT_EQ(CheckAccuracy(run, {}, &result).outcome, Outcome::kPassed);
}

TEST(CheckDeterminism, MistrustsOutputsWithoutElements) {
  const Case the_case = FloatCase({4}, {0});
  CaseRun run(the_case, CpuDevice(), Constant(the_case, 1));
  Result result;
  const Answer answer = CheckDeterminism(run, {}, &result);
  EXPECT_EQ(answer.outcome, Outcome::kMistrusted);
  EXPECT_EQ(answer.reason, "no output has an element to compare");
}

TEST(CheckThroughput, DoubtsAColdThatFitsInACache) {
  const Case the_case = FloatCase({1}, {1});
  CaseRun run(the_case, CpuDevice(), Constant(the_case, 1));
  CheckOptions options;
  options.timer = [](const std::string&, const std::function<double()>& sample) {
    TimingResult timing;
    timing.median_seconds = sample();
    return timing;
  };
  Result result;
  const Answer answer = CheckThroughput(run, options, &result);
  EXPECT_EQ(answer.outcome, Outcome::kPassed);
  EXPECT_THAT(answer.reason, testing::HasSubstr("a cache may hold some of it"));
  ASSERT_TRUE(result.throughput.has_value());
  EXPECT_EQ(result.throughput->compulsory_bytes, 6U * 4);
  EXPECT_GT(result.throughput->copy_gb_per_s, 0);
  EXPECT_GT(result.throughput->timings[0].rotated_bytes,
            result.throughput->timings[1].rotated_bytes);
}

TEST(CheckDeterminism, BoundsTheChanceOfADifferingRun) {
  const Case the_case = FloatCase({4}, {8});
  CaseRun run(the_case, CpuDevice(), Constant(the_case, 1));
  CheckOptions options;
  options.repeats = 7;
  Result result;
  EXPECT_EQ(CheckDeterminism(run, options, &result).outcome, Outcome::kPassed);
  ASSERT_EQ(result.determinism.size(), 2U);
  EXPECT_FALSE(result.determinism[0].promised) << "by default the document promises nothing";
  EXPECT_TRUE(result.determinism[1].promised);
  EXPECT_EQ(result.determinism[1].runs, 14U);  // 7 plain ones, 7 that something sets apart
  EXPECT_DOUBLE_EQ(result.determinism[1].divergence_bound, 3.0 / 13);
}

TEST(FirstDifference, NamesTensorElementAndBits) {
  const Case the_case = FloatCase({2}, {3});
  DenseTensors first(6), other(6);
  first[4].assign(24, std::byte{0});
  other[4] = first[4];
  EXPECT_EQ(FirstDifference(the_case, first, other, "run 2"), "");
  Store(DType::kFloat32, 1.0, &first[4][16]);
  Store(DType::kFloat32, 1.0 + 0x1p-23, &other[4][16]);
  EXPECT_EQ(FirstDifference(the_case, first, other, "run 3"),
            "dxOut[1, 1]: run 3 has 0x3f800001, run 1 has 0x3f800000, 1 ULP apart");
}

}  // namespace
}  // namespace normgrad
