// SPDX-License-Identifier: Apache-2.0
// What the checks of memory, determinism and batch find out, on the faulty device.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checks/check.h"
#include "checks/derived.h"
#include "faulty_device.h"
#include "ops/operators.h"
#include "run/fill.h"
#include "sample_case.h"

namespace normgrad {
namespace {

using testing::HasSubstr;

Case RmsCase() { return FloatCase({6}, {40}); }

Case LayerCase() { return FloatCase(kLayerNormBackward, {{"A", {6}}, {"R", {40}}}); }

std::uint64_t DifferingIn(const DeterminismResult& mode, std::string_view perturbation) {
  return std::ranges::find(mode.perturbations, perturbation, &PerturbationResult::name)->differing;
}

TEST(CheckMemory, PassesAKernelThatIsRight) {
  Result result;
  Case the_case = LayerCase();
  the_case.layout = LayoutKind::kStrided;
  EXPECT_EQ(Ask(CheckMemory, the_case, &result).reason, "");
}

// Inputs that have been found as they were are known by a fingerprint from then on.
TEST(CaseRun, SeesAnInputChangeThatItHasFoundUnchangedBefore) {
  const Case the_case = RmsCase();
  CaseRun run(the_case, FaultyDevice(), FillInputs(the_case, 1));
  for (const double value : {1, 2}) {
    run.UseInputs(Constant(the_case, value));
    for (int i = 0; i < 2; ++i) {
      run.Launch(Poison::kFirst, /*deterministic=*/false);
      EXPECT_THAT(run.Damage(), testing::IsEmpty());
    }
    const WithFault fault("input-changed");
    run.Launch(Poison::kFirst, /*deterministic=*/false);
    EXPECT_THAT(run.Damage(), testing::ElementsAre(HasSubstr("the input was changed")));
  }
}

TEST(CheckMemory, NamesTheElementThatIsNearest) {
  const WithFault fault("out-of-bounds");
  Result result;
  EXPECT_EQ(Ask(CheckMemory, RmsCase(), &result).reason,
            "dgammaOut: written out of bounds: byte 0 behind its end is 0x00, behind element [39]");
}

TEST(CheckMemory, NamesTheElementOfAnInputThatChanged) {
  const WithFault fault("input-changed");
  Result result;
  EXPECT_THAT(Ask(CheckMemory, RmsCase(), &result).reason,
              HasSubstr("x: the input was changed: byte 0 of its storage, in element [0, 0], was"));
}

TEST(CheckMemory, SaysTheSameAfterTheCheckWhoseLaunchesItShares) {
  const WithFault fault("input-changed");
  Case the_case = RmsCase();
  Result result;
  const Answer alone = Ask(CheckMemory, the_case, &result);
  EXPECT_THAT(alone.reason, HasSubstr("the input was changed"));
  the_case.checks = {"accuracy", "memory"};
  CaseRun run(the_case, FaultyDevice(), FillInputs(the_case, 1));
  CheckAccuracy(run, {}, &result);
  EXPECT_EQ(CheckMemory(run, {}, &result).reason, alone.reason);
}

TEST(CheckMemory, SaysWhichMemoryResultsFollow) {
  Case the_case = RmsCase();
  Result result;
  {
    const WithFault fault("output-read");
    EXPECT_THAT(Ask(CheckMemory, the_case, &result).reason,
                HasSubstr("; it is what the outputs held"));
  }
  {
    const WithFault fault("read-past-end");
    EXPECT_THAT(Ask(CheckMemory, the_case, &result).reason,
                HasSubstr("; it is what lies around the tensors"));
  }
  {
    const WithFault fault("workspace-read");
    EXPECT_THAT(Ask(CheckMemory, the_case, &result).reason,
                HasSubstr("; it is what the workspace held"));
  }
  the_case.layout_of["x"] = LayoutKind::kStrided;
  const WithFault fault("gap-read");
  EXPECT_THAT(Ask(CheckMemory, the_case, &result).reason,
              HasSubstr("; it is what the gaps between elements hold"));
}

TEST(CheckMemory, FailsAKernelThatDependsOnAlignment) {
  const WithFault fault("follows-alignment");
  Result result;
  const Answer answer = Ask(CheckMemory, RmsCase(), &result);
  EXPECT_EQ(answer.outcome, Outcome::kFailed);
  EXPECT_THAT(answer.reason,
              HasSubstr("with tensors aligned to their elements only: dxOut[0, 0]: the unaligned "
                        "run has 0x"));
}

TEST(CheckDeterminism, PassesAKernelThatIsRightWhateverSetsRunsApart) {
  Result result;
  CheckOptions options;
  options.repeats = 2;
  EXPECT_EQ(Ask(CheckDeterminism, LayerCase(), &result, options).reason, "");
  ASSERT_EQ(result.determinism.size(), 2U);
  const auto& perturbations = result.determinism[1].perturbations;
  std::vector<std::pair<std::string, std::uint64_t>> runs;
  runs.reserve(perturbations.size());
  for (const PerturbationResult& one : perturbations) runs.emplace_back(one.name, one.runs);
  using P = std::pair<std::string, std::uint64_t>;
  EXPECT_THAT(runs,
              testing::ElementsAre(P{"repeat", 1}, P{"moved", 1}, P{"unaligned", 1}, P{"load", 1},
                                   P{"executor", 2}, P{"threads", 2}, P{"process", 0}));
  EXPECT_EQ(perturbations.back().note, "there is no other process to ask");
}

TEST(CheckDeterminism, TellsAKernelThatDependsOnAddresses) {
  const WithFault fault("follows-address");
  Result result;
  const Answer answer = Ask(CheckDeterminism, RmsCase(), &result);
  EXPECT_EQ(answer.outcome, Outcome::kFailed);
  ASSERT_EQ(result.determinism.size(), 2U);
  EXPECT_EQ(DifferingIn(result.determinism[1], "repeat"), 0U);
  EXPECT_EQ(DifferingIn(result.determinism[1], "moved"), 1U);
  EXPECT_THAT(answer.reason, HasSubstr("with the option on: dxOut[0, 0]: a run "));
  EXPECT_THAT(answer.reason, HasSubstr("1 ULP apart"));
}

TEST(CheckDeterminism, ComparesWithAnotherProcess) {
  Result result;
  CheckOptions options;
  options.fresh_hash = [](const Case&, bool deterministic) {
    return deterministic ? FreshNumber{1, ""} : FreshNumber{{}, "exit code 5"};
  };
  const Answer answer = Ask(CheckDeterminism, RmsCase(), &result, options);
  EXPECT_EQ(answer.outcome, Outcome::kFailed);
  EXPECT_EQ(answer.reason,
            "1 of 1 runs in another process differ from the first with the option on: the hashes "
            "of all outputs are not equal");
  EXPECT_EQ(result.determinism[0].perturbations.back().note,
            "the other process says nothing: exit code 5");
}

TEST(CheckBatch, HoldsForAKernelThatTreatsRowsAlike) {
  Result result;
  EXPECT_EQ(Ask(CheckBatch, RmsCase(), &result).reason, "");
  EXPECT_EQ(Find(result, "batch invariance").compared, 4U * 40);  // rows 0 to 2, and 5
  EXPECT_EQ(Find(result, "row order").compared, 6U * 40);
}

TEST(CheckBatch, NotesAKernelThatDoesNotAndFailsNone) {
  const WithFault fault("last-element-zero");
  Result result;
  const Answer answer = Ask(CheckBatch, RmsCase(), &result);
  EXPECT_EQ(answer.outcome, Outcome::kPassed);
  EXPECT_THAT(answer.reason, HasSubstr("batch invariance does not hold for 1 of 160 elements: "
                                       "dxOut[2, 39]: the batch of rows 0 to 2 alone has 0x0"));
  EXPECT_THAT(answer.reason, HasSubstr("a property, no promise"));
}

TEST(CheckBatch, HasNothingToTakeApartInOneRow) {
  Result result;
  EXPECT_EQ(Ask(CheckBatch, FloatCase({1}, {8}), &result).outcome, Outcome::kSkipped);
}

TEST(SelectRows, TakesThePartsOfEveryTensorThatHasABatch) {
  const Case the_case = FloatCase({3}, {2});
  const auto inputs = FillInputs(the_case, 1);
  const std::size_t rows[] = {2, 0};
  const DerivedCase part = SelectRows(the_case, *inputs, rows);
  EXPECT_EQ(ToString(part.the_case.dims), "A=[2], R=[2]");
  EXPECT_EQ(Load(DType::kFloat32, &part.inputs->tensors[0][0]),
            Load(DType::kFloat32, &inputs->tensors[0][4 * sizeof(float)]));
  EXPECT_EQ(part.inputs->tensors[2].size(), 2 * sizeof(float));  // rstd
  EXPECT_EQ(part.inputs->tensors[3], inputs->tensors[3]);        // gamma
}

}  // namespace
}  // namespace normgrad
