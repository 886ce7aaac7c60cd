// SPDX-License-Identifier: Apache-2.0
// What the check of invariants finds out, on the faulty device.
#include <limits>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checks/check.h"
#include "checks/stretch.h"
#include "faulty_device.h"
#include "ops/operators.h"
#include "sample_case.h"
#include "with_vectors.h"

namespace normgrad {
namespace {

using testing::HasSubstr;

Case LayerCase(std::int64_t rows, std::int64_t cols) {
  return FloatCase(kLayerNormBackward, {{"A", {rows}}, {"R", {cols}}});
}

Case GroupCase(std::int64_t batch, std::int64_t channels, std::int64_t groups, std::int64_t plane) {
  return FloatCase(kGroupNormBackward,
                   {{"N", {batch}}, {"C", {channels}}, {"G", {groups}}, {"S", {plane}}});
}

INSTANTIATE_TEST_SUITE_P(All, WithVectors, kAllVectors);

// Fewer elements than a vector, a stretch, one more; sets that begin at odd elements; scales of
// an element, of some and of more than a stretch; several sets to a row of scales.
TEST_P(WithVectors, InvariantsHoldAndLeaveNoElementOut) {
  struct Shape {
    Case the_case;
    std::uint64_t elements, columns, sets;
  };
  const Shape shapes[] = {
      {FloatCase({6}, {40}), 240, 40, 6}, {FloatCase({3}, {513}), 1539, 513, 3},
      {FloatCase({2}, {1}), 2, 1, 2},     {LayerCase(5, 7), 35, 7, 5},
      {LayerCase(2, 512), 1024, 512, 2},  {LayerCase(1030, 1025), 1055750, 1025, 1030},
      {GroupCase(4, 6, 2, 5), 120, 6, 8}, {GroupCase(2, 4, 2, 1031), 8248, 4, 4},
      {GroupCase(3, 6, 2, 1), 18, 6, 6},  {GroupCase(2, 1030, 2, 1), 2060, 1030, 4},
  };
  for (const auto& [the_case, elements, columns, sets] : shapes) {
    Result result;
    CheckOptions options;
    options.threads = 2;
    const Answer answer = Ask(CheckInvariants, the_case, &result, options);
    EXPECT_EQ(answer.outcome, Outcome::kPassed) << the_case.Id() << answer.reason;
    const std::uint64_t gradients = the_case.op == &kRmsNormGrad ? 1 : 2;
    const std::uint64_t outputs = elements + gradients * columns;
    EXPECT_EQ(Find(result, "scaling dy").compared, outputs) << the_case.Id();
    EXPECT_EQ(Find(result, "scaling x").compared, outputs) << the_case.Id();
    EXPECT_EQ(Find(result, "scaling gamma").compared, outputs) << the_case.Id();
    EXPECT_EQ(Find(result, "dgamma adds up over parts of the batch").compared, columns);
    EXPECT_EQ(Find(result, "sums of dx and dx * xhat over a group").compared, 2 * sets);
    EXPECT_EQ(Find(result, "dx is linear in dy").compared, elements) << the_case.Id();
    if (gradients > 1) {
      EXPECT_EQ(Find(result, "dbeta is the sum of dy").compared, columns) << the_case.Id();
    }
  }
}

// Behind the last element there may be anything.
TEST_P(WithVectors, CompareFindsTheFirstOfAllViolations) {
  constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();
  for (std::size_t count = 1; count <= 2 * kLanes + 1; ++count) {
    for (std::size_t first = 0; first < count; ++first) {
      Stretch values;
      std::fill_n(values.begin(), count, 1.0);
      values[first] = values[count - 1] = -1;
      Pad(count, kNothing, &values);
      PropertyResult property;
      const auto test = [at = values.data()](std::size_t i, LaneMask* compared,
                                             LaneMask* violated) {
        const Lanes value = LoadLanes(at + i);
        *compared = MaskOf(value == value);
        *violated = MaskOf(value < 0);
      };
      Compare(count, test, &property, [](std::size_t i) { return std::to_string(i); });
      EXPECT_EQ(property.compared, count);
      EXPECT_EQ(property.violations, first + 1 < count ? 2U : 1U);
      EXPECT_EQ(property.first, std::to_string(first));
    }
  }
}

TEST(CheckInvariants, FindAConstantThatHasNoPlaceInTheFormula) {
  const WithFault fault("epsilon-added");
  Result result;
  EXPECT_EQ(Ask(CheckInvariants, FloatCase({6}, {40}), &result).outcome, Outcome::kFailed);
  EXPECT_GT(Find(result, "scaling dy").violations, 200U);
  EXPECT_THAT(Find(result, "scaling dy").first, HasSubstr("dxOut[0, 0] is "));
}

TEST(CheckInvariants, FindASumThatIsNotOne) {
  const WithFault fault("dgamma-sign-flipped");
  Result result;
  EXPECT_EQ(Ask(CheckInvariants, LayerCase(6, 40), &result).outcome, Outcome::kFailed);
  EXPECT_EQ(Find(result, "dbeta is the sum of dy").violations, 1U);
  EXPECT_THAT(Find(result, "dbeta is the sum of dy").first, HasSubstr("gradBiasOut[39] is "));
}

TEST(CheckInvariants, FindAGradientThatIsNoProjection) {
  const WithFault fault("sign-flipped");
  Result result;
  EXPECT_EQ(Ask(CheckInvariants, LayerCase(6, 40), &result).outcome, Outcome::kFailed);
  EXPECT_GT(Find(result, "sums of dx and dx * xhat over a group").violations, 0U);
}

TEST(CheckInvariants, FindTheSameOnAnyNumberOfThreads) {
  const WithFault fault("epsilon-added");
  const Case cases[] = {LayerCase(40, 4096), GroupCase(2, 64, 8, 1000), GroupCase(2000, 64, 8, 1)};
  for (const Case& the_case : cases) {
    Result of_one, of_three;
    CheckOptions options;
    EXPECT_EQ(Ask(CheckInvariants, the_case, &of_one, options).outcome, Outcome::kFailed);
    options.threads = 3;
    EXPECT_EQ(Ask(CheckInvariants, the_case, &of_three, options).outcome, Outcome::kFailed);
    EXPECT_EQ(of_one.properties, of_three.properties) << the_case.Id();
    EXPECT_GT(Find(of_one, "sums of dx and dx * xhat over a group").violations, 0U);
    EXPECT_THAT(Find(of_one, "dx is linear in dy").first, HasSubstr("[0, 0"));
  }
}

/// The answer about layer norm whose last element of input `param` is `value`.
Answer AskWith(std::size_t param, double value, Result* result) {
  const Case the_case = LayerCase(3, 700);
  auto inputs = std::make_shared<CaseInputs>(*FillInputs(the_case, 1));
  Bytes& elements = inputs->tensors[param];
  Store(DType::kFloat32, value, &elements[elements.size() - sizeof(float)]);
  CaseRun run(the_case, FaultyDevice(), inputs);
  return CheckInvariants(run, CheckOptions(), result);
}

constexpr std::size_t kGradOut = 0, kInput = 1, kRstd = 4;  // params of layer norm

// One element is enough, wherever it is.
TEST(CheckInvariants, AskForNoExactRelationNearTheEdges) {
  struct Edge {
    std::size_t param;
    double value;
    std::string_view note;
  };
  const Edge edges[] = {
      {kGradOut, 0x1p-91, "gradOut holds 4.04e-28: something may leave the range of float32"},
      {kGradOut, 0x1p91, "gradOut holds 2.48e+27: something may leave the range of float32"},
      {kRstd, 0x1p-31, "rstd holds 4.66e-10: something may leave the range of float32"},
      {kRstd, 0x1p31, "rstd holds 2.15e+09: something may leave the range of float32"},
      {kInput, std::numeric_limits<double>::quiet_NaN(), "input has elements that are not finite"},
      {kInput, -std::numeric_limits<double>::infinity(), "input has elements that are not finite"},
  };
  for (const auto& [param, value, note] : edges) {
    Result result;
    AskWith(param, value, &result);
    EXPECT_EQ(Find(result, "scaling dy").compared, 0U) << note;
    EXPECT_EQ(Find(result, "scaling dy").note, note);
    EXPECT_GT(Find(result, "sums of dx and dx * xhat over a group").compared, 0U) << note;
  }
}

// As large tensors of random numbers have them.
TEST(CheckInvariants, AskForExactRelationsWhereOneInputIsTiny) {
  for (const std::size_t param : {kGradOut, kInput}) {
    Result result;
    EXPECT_EQ(AskWith(param, 0x1p-40, &result).outcome, Outcome::kPassed);
    EXPECT_EQ(Find(result, "scaling dy").compared, 3U * 700 + 2 * 700);
  }
}

TEST(CheckInvariants, HoldForEveryDTypeAndWithoutWhatIsOptional) {
  constexpr DType kHalf = DType::kFloat16, kBFloat = DType::kBFloat16, kNone = DType::kNone;
  constexpr DType kFloat = DType::kFloat32;
  const std::pair<Case, std::vector<DType>> cases[] = {
      {LayerCase(6, 40), {kHalf, kFloat, kHalf, kHalf, kHalf}},
      {LayerCase(6, 40), {kBFloat, kFloat, kBFloat, kBFloat, kBFloat}},
      {LayerCase(6, 40), {kFloat, kFloat, kNone, kNone, kFloat}},
      {GroupCase(4, 6, 2, 5), {kHalf, kHalf, kHalf, kHalf}},
      {GroupCase(4, 6, 2, 5), {kFloat, kFloat, kNone, kFloat}},
      {FloatCase({6}, {40}), {kBFloat, kFloat, kBFloat, kFloat}},
  };
  for (const auto& [of_floats, dtypes] : cases) {
    Case the_case = of_floats;
    the_case.dtypes = dtypes;
    Result result;
    const Answer answer = Ask(CheckInvariants, the_case, &result);
    EXPECT_EQ(answer.outcome, Outcome::kPassed) << the_case.Id() << answer.reason;
    for (const PropertyResult& property : result.properties) {
      EXPECT_GT(property.compared, 0U) << the_case.Id() << property.name << property.note;
    }
  }
}

// Which is given its sums, and has neither sets that lie together nor gradients of a scale.
TEST(CheckInvariants, OfBatchNormAreTheExactOnes) {
  const Case the_case =
      FloatCase(kBatchNormElemtBackward, {{"N", {3}}, {"C", {6}}, {"S", {5}}, {"K", {4}}});
  Result result;
  EXPECT_EQ(Ask(CheckInvariants, the_case, &result).outcome, Outcome::kPassed);
  ASSERT_EQ(result.properties.size(), 3U);
  for (const PropertyResult& property : result.properties) {
    EXPECT_EQ(property.label, "exact");
    EXPECT_EQ(property.compared, 90U) << property.name << property.note;
  }
}

}  // namespace
}  // namespace normgrad
