// SPDX-License-Identifier: Apache-2.0
#include "checks/case_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cpu_device.h"
#include "sample_case.h"

namespace normgrad {
namespace {

using ::testing::Each;
using ::testing::IsEmpty;
using ::testing::Optional;
using ::testing::SizeIs;

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

constexpr std::size_t kLayerDx = 8, kLayerDweight = 9, kLayerDbias = 10;

Case LayerCase() { return FloatCase(kLayerNormBackward, {{"A", {3}}, {"R", {4}}}); }

TEST(CaseRun, PassesNullForOutputsThatAreNotWanted) {
  Case the_case = LayerCase();
  the_case.masks = "010";
  CaseRun run(the_case, CpuDevice(), Constant(the_case, 1));
  run.Launch(Poison::kFirst, /*deterministic=*/false);
  EXPECT_THAT(run.Damage(), IsEmpty());
  const DenseTensors outputs = run.Outputs();
  EXPECT_THAT(outputs[kLayerDx], IsEmpty());
  EXPECT_THAT(outputs[kLayerDweight], SizeIs(16));
  EXPECT_THAT(outputs[kLayerDbias], IsEmpty());
  EXPECT_THAT(run.Storage(kLayerDx), IsEmpty());
  EXPECT_EQ(run.compulsory_bytes(), std::uint64_t{4} * (2 * 12 + 2 * 3 + 2 * 4 + 4));
}

TEST(CaseRun, WatchesOutputsThatArePassedAndNotWanted) {
  Case the_case = LayerCase();
  the_case.masks = "1x1";
  CaseRun run(the_case, CpuDevice(), Constant(the_case, 1));
  run.Launch(Poison::kSecond, /*deterministic=*/false);
  EXPECT_THAT(run.Damage(), IsEmpty());
  EXPECT_THAT(run.Outputs()[kLayerDweight], IsEmpty()) << "nobody judges it";
  EXPECT_THAT(run.Storage(kLayerDweight), Each(PoisonByte(Poison::kSecond)));
}

TEST(CaseRun, LeavesOutInputsThatAreNull) {
  Case the_case = LayerCase();
  the_case.dtypes = {DType::kFloat32, DType::kFloat32, DType::kNone, DType::kNone, DType::kFloat32};
  CaseRun run(the_case, CpuDevice(), Constant(the_case, 1));
  run.Launch(Poison::kFirst, /*deterministic=*/false);
  EXPECT_THAT(run.Storage(5), IsEmpty()) << "weight";
  EXPECT_THAT(run.Storage(6), IsEmpty()) << "bias";
  EXPECT_EQ(Load(DType::kFloat32, run.Outputs()[kLayerDbias].data()), 3) << "the sum of 3 ones";
}

TEST(CaseRun, GivesTensorsTheShapeThatTheCaseAsksFor) {
  const Case plain = LayerCase();
  Case reshaped = plain;
  reshaped.reshaped = {{"mean", {3, 1, 1}}, {"rstd", {1, 3}}};
  CaseRun first(plain, CpuDevice(), Constant(plain, 1));
  CaseRun second(reshaped, CpuDevice(), Constant(reshaped, 1));
  first.Launch(Poison::kFirst, /*deterministic=*/true);
  second.Launch(Poison::kFirst, /*deterministic=*/true);
  EXPECT_EQ(first.Outputs(), second.Outputs());
}

TEST(CaseRun, MakesTheFirstLaunchOfAModeOnceUntilItIsToForgetIt) {
  const Case the_case = LayerCase();
  CaseRun run(the_case, CpuDevice(), Constant(the_case, 1));
  const auto first = run.FirstLaunch(/*deterministic=*/false, /*look_for_damage=*/false);
  EXPECT_FALSE(first.damage.has_value());
  EXPECT_EQ(first.outputs->tensors(), run.Outputs());
  EXPECT_EQ(run.FirstLaunch(false, false).outputs, first.outputs);
  EXPECT_EQ(run.FirstLaunch(true, false).outputs, first.outputs) << "alike ones are kept once";
  EXPECT_THAT(run.FirstLaunch(false, true).damage, Optional(IsEmpty())) << "looked for at last";

  run.UseInputs(Constant(the_case, 2));
  EXPECT_NE(run.FirstLaunch(false, false).outputs->tensors(), first.outputs->tensors());
}

TEST(CaseRun, KnowsWhetherALaunchLeftWhatIsKeptHoweverOftenItIsAsked) {
  const Case the_case = LayerCase();
  CaseRun run(the_case, CpuDevice(), Constant(the_case, 1));
  const auto kept = run.FirstLaunch(/*deterministic=*/false, /*look_for_damage=*/false).outputs;
  for (int i = 0; i < 3; ++i) {
    run.Launch(Poison::kSecond, /*deterministic=*/false);
    EXPECT_TRUE(run.LeftAgain(*kept));
  }
  run.UseInputs(Constant(the_case, 2));
  run.Launch(Poison::kFirst, /*deterministic=*/false);
  EXPECT_FALSE(run.LeftAgain(*kept));
}

TEST(CaseRun, FindsMemoryForArgumentsOfAnyDTypeAndShape) {
  Case the_case = FloatCase({4}, {8});
  the_case.changes["x"].shape = Shape{1, 2, 3};
  the_case.changes["x"].dtype = 17;  // ACL_COMPLEX128
  the_case.changes["gamma"].null = true;
  CaseRun run(the_case, CpuDevice(), nullptr);
  EXPECT_GT(run.Storage(1).size(), 4U * 8 * 16) << "as much as the widest elements take, and more";
  EXPECT_THAT(run.Storage(3), IsEmpty());
  EXPECT_EQ(run.AnyChange(), std::nullopt);
  std::uint64_t bytes = 0;
  aclOpExecutor* executor = nullptr;
  EXPECT_EQ(run.TryPhaseOne(&bytes, &executor).status, 161001);
}

// The CPU device's memory is the host's, so a test can be the kernel that misbehaves.

TEST(CaseRun, NoticesAnyByteThatChanges) {
  const Case the_case = FloatCase({4}, {8});
  CaseRun run(the_case, CpuDevice(), Constant(the_case, 1));
  run.Launch(Poison::kFirst, /*deterministic=*/false);
  EXPECT_EQ(run.AnyChange(), "dxOut: byte 0 of its storage was written");
  run.Reset(Poison::kFirst);
  EXPECT_EQ(run.AnyChange(), std::nullopt);
}

TEST(WorkspaceBytesOf, AsksForWhatALaunchAsksFor) {
  const Case the_case = FloatCase({65}, {33});
  CaseRun run(the_case, CpuDevice(), Constant(the_case, 1));
  run.Launch(Poison::kFirst, /*deterministic=*/false);
  EXPECT_GT(run.workspace_bytes(), 0U);
  EXPECT_EQ(WorkspaceBytesOf(the_case, CpuDevice()), run.workspace_bytes());
}

TEST(WorkspaceBytesOf, NeedsNoMemoryForTheTensors) {
  const Case the_case = FloatCase({1 << 20}, {1 << 19});  // 2^39 elements: terabytes
  EXPECT_GT(WorkspaceBytesOf(the_case, CpuDevice()), 0U);
}

TEST(WorkspaceBytesOf, ThrowsWhatPhaseOneRefuses) {
  Case the_case = FloatCase({4}, {8});
  the_case.product = "atlas-training";
  ASSERT_TRUE(CpuDevice().Become(the_case.product));
  EXPECT_THROW(WorkspaceBytesOf(the_case, CpuDevice()), DeviceError);
  ASSERT_TRUE(CpuDevice().Become("atlas-a2"));
}

}  // namespace
}  // namespace normgrad
