// SPDX-License-Identifier: Apache-2.0
#include "accuracy/judge.h"

#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

namespace normgrad {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// A device's output and what the oracle says about it: an allowance of 2^-24 * allowed[i].
struct Scene {
  DType dtype = DType::kFloat16;
  std::vector<double> golden, allowed;
  std::vector<std::byte> storage;
  bool may_overflow = false;

  Scene(DType type, const std::vector<double>& actual, std::vector<double> reference,
        double allowance)
      : dtype(type), golden(std::move(reference)), allowed(golden.size(), allowance * 0x1p24) {
    for (const double value : actual) {
      storage.resize(storage.size() + SizeOf(dtype));
      Store(dtype, value, storage.data() + storage.size() - SizeOf(dtype));
    }
  }

  HostTensor Actual() {
    return {dtype, {static_cast<std::int64_t>(golden.size())}, storage.data()};
  }
  ReferenceBlock Block(std::size_t first, std::size_t count) const {
    ReferenceBlock block;
    block.first = first;
    block.value = std::span(golden).subspan(first, count);
    block.roundings = 1;
    block.local = std::span(allowed).subspan(first, count);
    block.may_overflow = may_overflow;
    return block;
  }
  OutputVerdict Judge(const BoundRule& rule = {}) {
    OutputJudge judge(Actual(), rule);
    judge.Consume(Block(0, golden.size()));
    return judge.Verdict();
  }
};

TEST(OutputJudge, ACorrectlyRoundedElementNeedsNothing) {
  // float16 near 1: steps of 2^-10 above.
  const OutputVerdict verdict = Scene(DType::kFloat16, {1}, {1 + 0x1p-11}, 0).Judge();
  EXPECT_EQ(verdict.elements, 1);
  EXPECT_EQ(verdict.violations, 0);
  EXPECT_EQ(verdict.margin, 0);
  EXPECT_EQ(verdict.max_abs_error, 0x1p-11);
  EXPECT_EQ(verdict.nonzero_reference, 1);
}

TEST(OutputJudge, AtATieOnlyTheEvenNeighbourIsRightIfNothingIsAllowed) {
  const double odd = 1 + 0x1p-10, tie = 1 + 0x1p-11;
  const OutputVerdict verdict = Scene(DType::kFloat16, {1, odd}, {tie, tie}, 0).Judge();
  EXPECT_EQ(verdict.violations, 1);
  EXPECT_EQ(verdict.first_violation, 1);
  EXPECT_EQ(verdict.margin, kInfinity);
  EXPECT_TRUE(Scene(DType::kFloat16, {odd}, {tie}, 0x1p-30).Judge().passed());
}

TEST(OutputJudge, AnOverflowThatMustBeShowsSomething) {
  EXPECT_EQ(Scene(DType::kFloat16, {kInfinity}, {70000}, 0).Judge().nonzero_reference, 1);
  EXPECT_EQ(Scene(DType::kFloat16, {kNan}, {kNan}, 0).Judge().nonzero_reference, 0);
}

TEST(OutputJudge, AsksForWhatTheDeviceSaysOfItsRounding) {
  const double step = 0x1p-10;
  const auto passes = [&](double actual, double golden, const BoundRule& rule) {
    return Scene(DType::kFloat16, {actual}, {golden}, 0).Judge(rule).passed();
  };
  const BoundRule faithful{.rounding = Rounding::kFaithful};
  const BoundRule truncating{.rounding = Rounding::kTowardZero}, saturating{.saturates = true};
  EXPECT_FALSE(passes(1, 1 + 0.75 * step, {}));
  EXPECT_TRUE(passes(1, 1 + 0.75 * step, faithful));
  EXPECT_TRUE(passes(1, 1 + 0.75 * step, truncating));
  EXPECT_FALSE(passes(1 + step, 1 + 0.75 * step, truncating));
  EXPECT_TRUE(passes(1 + step, 1 + 0.25 * step, faithful));
  EXPECT_FALSE(passes(1 + step, 1, faithful));
  EXPECT_TRUE(passes(kInfinity, 70000, {}));
  EXPECT_FALSE(passes(kInfinity, 70000, saturating));
  EXPECT_TRUE(passes(65504, 70000, saturating));
  EXPECT_FALSE(passes(65504, 70000, {}));
}

TEST(OutputJudge, CountsWhatOnlyTheCertifiedBoundAllows) {
  // Of 2^10 + 1 terms of 1 and -1: certified allows 2^10 u S, sharp some 2.9 u S.
  const double terms = 0x1p10 + 1, u = 0x1p-24;
  const Sum sum{.count = terms, .magnitude = terms, .energy = terms};
  const std::vector<Sum> own(2, sum);
  const std::vector<double> golden = {1 + 2 * u * terms, 1 + 4 * u * terms}, local = {0, 0};
  std::vector<float> actual = {1, 1};
  ReferenceBlock block;
  block.value = golden;
  block.local = local;
  block.own = own;
  for (const SumMode mode : {SumMode::kCertified, SumMode::kSharp}) {
    OutputJudge judge({DType::kFloat32, {2}, reinterpret_cast<const std::byte*>(actual.data())},
                      {.mode = mode});
    judge.Consume(block);
    const bool certified = mode == SumMode::kCertified;
    EXPECT_EQ(judge.Verdict().violations, certified ? 0 : 1);
    EXPECT_EQ(judge.Verdict().suspects, certified ? 1 : 0);
  }
}

TEST(OutputJudge, NeedIsTheDistanceToTheNearestNumberThatRoundsToTheElement) {
  // 2^-11 + 2^-20 above 1, stored as 1: 2^-20 beyond the midpoint.
  const OutputVerdict pass = Scene(DType::kFloat16, {1}, {1 + 0x1p-11 + 0x1p-20}, 0x1p-19).Judge();
  EXPECT_TRUE(pass.passed());
  EXPECT_EQ(pass.margin, 0.5);
  const OutputVerdict fail = Scene(DType::kFloat16, {1}, {1 + 0x1p-11 + 0x1p-20}, 0x1p-21).Judge();
  EXPECT_FALSE(fail.passed());
  EXPECT_EQ(fail.margin, 2);
  EXPECT_EQ(fail.worst_actual, 1);
  EXPECT_EQ(fail.worst_golden, 1 + 0x1p-11 + 0x1p-20);
  EXPECT_EQ(fail.worst_allowance, 0x1p-21);
  EXPECT_EQ(fail.dominant, "local");
}

TEST(OutputJudge, NothingAllowedAndSomethingNeededIsAnInfiniteMargin) {
  const OutputVerdict verdict = Scene(DType::kFloat32, {1, 2}, {1, 1}, 0).Judge();
  EXPECT_EQ(verdict.violations, 1);
  EXPECT_EQ(verdict.margin, kInfinity);
  EXPECT_EQ(verdict.worst, 1);
  EXPECT_EQ(verdict.nonfinite_errors, 0);
  EXPECT_EQ(verdict.dominant, "none");
}

TEST(OutputJudge, FindsTheWorstElementAndTheFirstViolation) {
  // Errors of 0, 2, 8, 0, 8 half-steps: allowed is one.
  Scene scene(DType::kFloat32, {1, 2, 3, 4, 5}, {1, 2, 3, 4, 5}, 0x1p-10);
  scene.golden = {1, 2 + 0x1p-9, 3 + 0x1p-7, 4, 5 + 0x1p-7};
  const OutputVerdict verdict = scene.Judge();
  EXPECT_EQ(verdict.violations, 3);
  EXPECT_EQ(verdict.first_violation, 1);
  EXPECT_EQ(verdict.worst, 2);
  EXPECT_EQ(verdict.max_abs_error, 0x1p-7);
}

TEST(OutputJudge, SignedZerosAreOneNumber) {
  const OutputVerdict verdict = Scene(DType::kFloat32, {-0.0, 0.0}, {0.0, -0.0}, 0).Judge();
  EXPECT_TRUE(verdict.passed());
  EXPECT_EQ(verdict.nonzero_reference, 0);
}

TEST(OutputJudge, NonFiniteElementsBelongWhereTheReferenceIsNotFinite) {
  for (const double poison : {kNan, kInfinity, -kInfinity}) {
    // Which of the three comes out depends on the arrangement of the formula.
    EXPECT_TRUE(Scene(DType::kFloat16, {poison}, {kNan}, 1).Judge().passed());
    EXPECT_TRUE(Scene(DType::kBFloat16, {poison}, {-kInfinity}, 1).Judge().passed());
    const OutputVerdict stray = Scene(DType::kFloat32, {1, poison}, {1, 1}, 1).Judge();
    EXPECT_EQ(stray.violations, 1);
    EXPECT_EQ(stray.nonfinite_errors, 1);
    EXPECT_EQ(stray.margin, kInfinity);
    EXPECT_EQ(stray.worst, 1);
    EXPECT_EQ(stray.first_violation, 1);
  }
}

TEST(OutputJudge, AFiniteElementWhereNoneBelongsIsSwallowedNaN) {
  const OutputVerdict verdict = Scene(DType::kFloat32, {0, kNan}, {kNan, kNan}, 1).Judge();
  EXPECT_EQ(verdict.violations, 1);
  EXPECT_EQ(verdict.nonfinite_errors, 1);
  EXPECT_EQ(verdict.first_violation, 0);
  EXPECT_EQ(verdict.worst_allowance, 0);
}

TEST(OutputJudge, InfinityIsRightWhereRoundingOverflows) {
  // float16 overflows from 65520 on.
  EXPECT_TRUE(Scene(DType::kFloat16, {kInfinity}, {65520}, 0).Judge().passed());
  EXPECT_TRUE(Scene(DType::kFloat16, {-kInfinity}, {-1e6}, 0).Judge().passed());
  EXPECT_TRUE(Scene(DType::kFloat16, {kInfinity}, {65519}, 2).Judge().passed());
  EXPECT_FALSE(Scene(DType::kFloat16, {kInfinity}, {65519}, 0.5).Judge().passed());
  EXPECT_FALSE(Scene(DType::kFloat16, {kInfinity}, {-1e6}, 2).Judge().passed());
  EXPECT_FALSE(Scene(DType::kFloat16, {65504}, {1e6}, 2).Judge().passed());
}

TEST(OutputJudge, AcceptsOverflowOnTheWayOnlyWhereItMayHappen) {
  for (const double poison : {kNan, kInfinity}) {
    Scene scene(DType::kFloat32, {poison}, {1}, 0);
    EXPECT_FALSE(scene.Judge().passed());
    scene.may_overflow = true;
    EXPECT_TRUE(scene.Judge().passed());
    EXPECT_EQ(scene.Judge().margin, 0);
  }
}

TEST(OutputJudge, DoesNotDependOnTheOrderOfBlocks) {
  Scene scene(DType::kFloat32, {1, 2, 3, 4}, {1, 2 + 0x1p-9, 3, 4 + 0x1p-9}, 0x1p-10);
  OutputJudge forward(scene.Actual(), {}), backward(scene.Actual(), {});
  forward.Consume(scene.Block(0, 2));
  forward.Consume(scene.Block(2, 2));
  backward.Consume(scene.Block(2, 2));
  backward.Consume(scene.Block(0, 2));
  for (const OutputJudge* judge : {&forward, &backward}) {
    const OutputVerdict verdict = judge->Verdict();
    EXPECT_EQ(verdict.elements, 4);
    EXPECT_EQ(verdict.violations, 2);
    EXPECT_EQ(verdict.first_violation, 1);
    EXPECT_EQ(verdict.nonzero_reference, 4);
  }
  // 2's half step is smaller than 4's: it needs more.
  EXPECT_EQ(forward.Verdict().worst, 1);
  EXPECT_EQ(backward.Verdict().worst, 1);
}

TEST(OutputJudge, TiesGoToTheLowerIndex) {
  Scene scene(DType::kFloat32, {2, 2}, {2 + 0x1p-9, 2 + 0x1p-9}, 0x1p-10);
  OutputJudge judge(scene.Actual(), {});
  judge.Consume(scene.Block(1, 1));
  judge.Consume(scene.Block(0, 1));
  EXPECT_EQ(judge.Verdict().worst, 0);
}

TEST(OutputJudge, NamesTheTermThatDominates) {
  Scene scene(DType::kFloat32, {1}, {1}, 0x1p-20);
  ReferenceBlock block = scene.Block(0, 1);
  const std::vector<double> weight{1};
  const SharedSum shared{{2, 1, 1, 0x1p6, 1}, weight};
  block.shared = {&shared, 1};
  OutputJudge sum(scene.Actual(), {.mode = SumMode::kCertified});
  sum.Consume(block);
  EXPECT_EQ(sum.Verdict().dominant, "sum");
  block.flush = 0x1p120;
  OutputJudge flush(scene.Actual(), {.mode = SumMode::kCertified});
  flush.Consume(block);
  EXPECT_EQ(flush.Verdict().dominant, "flush");
}

TEST(OutputJudge, JudgesLongBlocksWhole) {
  std::vector<double> values(1500, 1);
  values[1499] = 2;
  const OutputVerdict verdict =
      Scene(DType::kBFloat16, values, std::vector<double>(1500, 1), 0x1p-10).Judge();
  EXPECT_EQ(verdict.elements, 1500);
  EXPECT_EQ(verdict.worst, 1499);
  EXPECT_EQ(verdict.violations, 1);
}

}  // namespace
}  // namespace normgrad
