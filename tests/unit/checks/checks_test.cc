// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checks/check.h"
#include "cpu_device.h"
#include "ops/operators.h"

namespace normgrad {
namespace {

Case FloatCase(Shape rows, Shape cols) {
  Case the_case;
  the_case.op = &kRmsNormGrad;
  the_case.product = "atlas-a2";
  the_case.dims = {{"A", std::move(rows)}, {"R", std::move(cols)}};
  the_case.dtypes.assign(4, DType::kFloat32);
  return the_case;
}

/// Inputs whose every element is `value`.
std::shared_ptr<CaseInputs> Constant(const Case& the_case, float value) {
  auto inputs = std::make_shared<CaseInputs>();
  for (const Param& param : the_case.op->params) {
    auto& elements = inputs->tensors.emplace_back();
    if (param.kind != Param::Kind::kInput) continue;
    elements.resize(ElementCount(the_case.ShapeOf(param)) * sizeof value);
    for (std::size_t at = 0; at < elements.size(); at += sizeof value) {
      Store(DType::kFloat32, static_cast<double>(value), &elements[at]);
    }
  }
  return inputs;
}

TEST(CheckAccuracy, MistrustsAReferenceThatIsAllZero) {
  const Case the_case = FloatCase({4}, {8});
  const auto inputs = Constant(the_case, 1);
  std::ranges::fill(inputs->tensors[0], std::byte{0});  // dy
  CaseRun run(the_case, CpuDevice(), inputs);
  Result result;
  const Answer answer = CheckAccuracy(run, {}, &result);
  EXPECT_EQ(answer.outcome, Outcome::kMistrusted);
  EXPECT_EQ(answer.reason, "dxOut: the reference is all zero");
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
  EXPECT_DOUBLE_EQ(result.determinism[1].divergence_bound, 0.5);  // 3 / (7 - 1)
}

TEST(CaseRun, CountsCompulsoryTrafficOnceWhateverTheLayout) {
  Case the_case = FloatCase({4}, {8});
  const std::uint64_t bytes = std::uint64_t{4} * (3 * 32 + 4 + 2 * 8);
  CaseRun dense(the_case, CpuDevice(), Constant(the_case, 1));
  EXPECT_EQ(dense.compulsory_bytes(), bytes);
  EXPECT_EQ(dense.tensor_bytes(), bytes);
  the_case.layout = LayoutKind::kStrided;
  CaseRun strided(the_case, CpuDevice(), Constant(the_case, 1));
  EXPECT_EQ(strided.compulsory_bytes(), bytes);
  EXPECT_GT(strided.tensor_bytes(), 2 * bytes);
}

TEST(CaseRun, LeavesTheSameBitsInEveryLayout) {
  Case the_case = FloatCase({3, 2}, {5, 4});
  const auto inputs = Constant(the_case, 1);
  for (std::size_t i = 0; i < inputs->tensors[1].size(); i += 4) {
    Store(DType::kFloat32, static_cast<double>(i % 13) - 6, &inputs->tensors[1][i]);
  }
  DenseTensors contiguous;
  for (const LayoutKind kind : AllLayoutKinds()) {
    the_case.layout = kind;
    CaseRun run(the_case, CpuDevice(), inputs);
    run.Launch(Poison::kSecond, /*deterministic=*/true);
    EXPECT_TRUE(run.Damage().empty()) << run.Damage().front();
    if (contiguous.empty()) contiguous = run.Outputs();
    EXPECT_EQ(run.Outputs(), contiguous) << Name(kind);
  }
}

TEST(FirstDifference, NamesTensorElementAndBits) {
  const Case the_case = FloatCase({2}, {3});
  DenseTensors first(6), other(6);
  first[4].assign(24, std::byte{0});
  other[4] = first[4];
  EXPECT_EQ(FirstDifference(the_case, first, other, 2), "");
  Store(DType::kFloat32, 1.0, &other[4][16]);
  EXPECT_EQ(FirstDifference(the_case, first, other, 3),
            "dxOut[1, 1]: run 3 has 0x3f800000, run 1 has 0x00000000");
}

}  // namespace
}  // namespace normgrad
