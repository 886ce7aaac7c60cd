// SPDX-License-Identifier: Apache-2.0
#include "ops/contract.h"

#include <algorithm>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ops/operators.h"

namespace normgrad {
namespace {

using Kind = Violation::Kind;

CallArg Arg(Shape shape, DType dtype = DType::kFloat32) {
  CallArg arg;
  arg.present = true;
  arg.shape = std::move(shape);
  arg.dtype = dtype;
  arg.dtype_code = static_cast<std::int32_t>(dtype);
  return arg;
}

/// An argument that is no tensor: an extent, or the elements of an int array.
CallArg Numbers(Shape values) {
  CallArg arg;
  arg.present = true;
  arg.shape = std::move(values);
  return arg;
}

CallArg Mask(std::vector<bool> bits) {
  CallArg arg;
  arg.present = true;
  arg.mask = std::move(bits);
  return arg;
}

/// The six tensors of a legal call in float32, in the order of the C function.
std::vector<CallArg> LegalCall(const Shape& x, const Shape& rstd, const Shape& gamma) {
  return {Arg(x), Arg(x), Arg(rstd), Arg(gamma), Arg(x), Arg(gamma)};
}

enum Position : std::size_t { kDy, kX, kRstd, kGamma, kDx, kDgamma };

struct Answer {
  std::optional<Violation> violation;
  Dims dims;
  DTypes dtypes;
};

Answer Check(const std::vector<CallArg>& tensors, std::string_view product = "atlas-a2",
             const Operator& op = kRmsNormGrad) {
  Answer answer;
  answer.violation = CheckContract(op, product, tensors, &answer.dims, &answer.dtypes);
  return answer;
}

/// Expects `tensors` to be refused with this kind, status and message.
void ExpectRefused(const std::vector<CallArg>& tensors, Kind kind, std::int32_t status,
                   const std::string& message, std::string_view product = "atlas-a2",
                   const Operator& op = kRmsNormGrad) {
  const auto violation = Check(tensors, product, op).violation;
  ASSERT_TRUE(violation.has_value()) << "accepted; expected: " << message;
  EXPECT_EQ(violation->message, message);
  EXPECT_EQ(violation->kind, kind);
  EXPECT_EQ(violation->status, status);
  const auto rules = DocumentedRules(op, product);
  EXPECT_TRUE(std::ranges::any_of(rules,
                                  [&](const DocumentedRule& rule) {
                                    return rule.text == violation->rule && rule.status == status;
                                  }))
      << "not among the documented rules: " << violation->rule;
}

void ExpectAccepted(const std::vector<CallArg>& tensors, std::string_view product = "atlas-a2",
                    const Operator& op = kRmsNormGrad) {
  const auto violation = Check(tensors, product, op).violation;
  EXPECT_EQ(violation ? violation->message : "accepted", "accepted");
}

TEST(CheckContract, LetsRstdLeaveOutTrailingOnes) {
  // As in the document's example program: x [2, 1, 16], rstd [2], gamma [16].
  const Answer answer = Check(LegalCall({2, 1, 16}, {2}, {16}));
  ASSERT_EQ(answer.violation ? answer.violation->message : "", "");
  EXPECT_EQ(ToString(answer.dims), "A=[2, 1], R=[16]");
  ExpectAccepted(LegalCall({2, 1, 16}, {2, 1}, {16}));
  ExpectAccepted(LegalCall({1, 1, 16}, {}, {16}));
}

TEST(CheckContract, LetsRstdLeaveOutNothingElse) {
  ExpectRefused(LegalCall({2, 3, 16}, {2}, {16}), Kind::kShape, 561002,
                "rstd: shape [2], expected [2, 3] (\"*A\", A=[2, 3], R=[16])");
  ExpectRefused(LegalCall({1, 2, 16}, {2}, {16}), Kind::kShape, 561002,
                "rstd: shape [2], expected [1, 2] (\"*A\", A=[1, 2], R=[16])");
  ExpectRefused(LegalCall({2, 1, 16}, {2, 1, 1}, {16}), Kind::kShape, 561002,
                "rstd: shape [2, 1, 1], expected [2, 1] (\"*A\", A=[2, 1], R=[16])");
}

TEST(CheckContract, BindsSymbolsAndDTypes) {
  auto call = LegalCall({2, 3, 5}, {2, 3}, {5});
  for (const std::size_t i : {kDy, kX, kGamma, kDx}) call[i].dtype = DType::kBFloat16;
  const Answer answer = Check(call);
  ASSERT_EQ(answer.violation ? answer.violation->message : "", "");
  EXPECT_EQ(ToString(answer.dims), "A=[2, 3], R=[5]");
  EXPECT_THAT(answer.dtypes, testing::ElementsAre(DType::kBFloat16, DType::kFloat32,
                                                  DType::kBFloat16, DType::kFloat32));
}

TEST(CheckContract, ForgetsTheDimsOfAnEarlierCall) {
  Dims dims = {{"A", {9}}, {"R", {9}}};
  DTypes dtypes;
  const auto call = LegalCall({2, 5}, {2}, {5});
  EXPECT_FALSE(CheckContract(kRmsNormGrad, "atlas-a2", call, &dims, &dtypes).has_value());
  EXPECT_EQ(ToString(dims), "A=[2], R=[5]");
}

TEST(CheckContract, RefusesEveryMissingTensorOfRmsNormGrad) {
  for (std::size_t i = 0; i < kRmsNormGrad.params.size(); ++i) {
    auto call = LegalCall({4, 8}, {4}, {8});
    call[i] = {};
    ExpectRefused(call, Kind::kNullPointer, 161001,
                  std::string(kRmsNormGrad.params[i].name) + ": is null");
  }
}

TEST(CheckContract, RefusesAProductThatDoesNotSupportTheOperator) {
  ExpectRefused(LegalCall({4, 8}, {4}, {8}), Kind::kProduct, 161002,
                "atlas-training does not support aclnnRmsNormGrad", "atlas-training");
}

TEST(CheckContract, RefusesADTypeNoOperatorKnows) {
  auto call = LegalCall({4, 8}, {4}, {8});
  call[kGamma].dtype.reset();
  call[kGamma].dtype_code = 9;
  ExpectRefused(call, Kind::kDType, 161002, "gamma: dtype int64 is in no table");
}

TEST(CheckContract, RefusesTensorsOfOneRoleThatDiffer) {
  auto call = LegalCall({4, 8}, {4}, {8});
  call[kDx].dtype = DType::kFloat16;
  ExpectRefused(call, Kind::kDType, 161002, "dxOut: dtype float16, expected float32 as dy");
}

TEST(CheckContract, RefusesACombinationTheTableLacks) {
  auto call = LegalCall({4, 8}, {4}, {8});
  call[kRstd].dtype = DType::kFloat16;
  ExpectRefused(call, Kind::kDType, 161002,
                "rstd: dtype float16, expected float32 on atlas-a2 beside data float32");
}

TEST(CheckContract, LooksOnlyAtTheProductsOwnRows) {
  auto call = LegalCall({4, 16}, {4}, {16});
  for (const std::size_t i : {kDy, kX, kDx}) call[i].dtype = DType::kFloat16;
  ExpectAccepted(call, "atlas-a2");
  ExpectRefused(call, Kind::kDType, 161002,
                "gamma: dtype float32, expected float16 on atlas-inference beside data float16, "
                "statistic float32",
                "atlas-inference");
}

TEST(CheckContract, RefusesShapesThatDisagree) {
  auto call = LegalCall({4, 16}, {4}, {16});
  call[kDy] = Arg({4, 8});
  ExpectRefused(call, Kind::kShape, 561002,
                "dy: shape [4, 8], expected [4, 16] (\"*A *R\", A=[4], R=[16])");
  call = LegalCall({4, 16}, {4}, {16});
  call[kDgamma] = Arg({4, 16});
  ExpectRefused(call, Kind::kShape, 561002,
                "dgammaOut: shape [4, 16], expected [16] (\"*R\", A=[4], R=[16])");
}

TEST(CheckContract, RefusesAStatisticWithRowsTheDataLacks) {
  ExpectRefused(LegalCall({4, 16}, {5}, {16}), Kind::kShape, 561002,
                "rstd: shape [5], expected [4] (\"*A\", A=[4], R=[16])");
  ExpectRefused(LegalCall({4, 16}, {4, 1}, {16}), Kind::kShape, 561002,
                "rstd: shape [4, 1], expected [4] (\"*A\", A=[4], R=[16])");
}

TEST(CheckContract, KeepsTheDocumentedOrderOfItsChecks) {
  // Everything is wrong; repairing the first complaint uncovers the next.
  auto call = LegalCall({}, {4}, {});
  call[kDy] = {};
  call[kRstd].dtype = DType::kFloat16;
  const auto kind = [&](std::string_view product) { return Check(call, product).violation->kind; };
  EXPECT_EQ(kind("atlas-training"), Kind::kNullPointer);
  call[kDy] = Arg({});
  EXPECT_EQ(kind("atlas-training"), Kind::kProduct);
  EXPECT_EQ(kind("atlas-a2"), Kind::kDType);
  call[kRstd].dtype = DType::kFloat32;
  EXPECT_EQ(kind("atlas-a2"), Kind::kRule);
  for (const std::size_t i : {kDy, kX, kDx, kGamma, kDgamma}) call[i] = Arg({4});
  EXPECT_EQ(kind("atlas-a2"), Kind::kShape);
}

TEST(CheckContract, RefusesRanksOutsideOneToEight) {
  ExpectRefused(LegalCall({}, {}, {}), Kind::kRule, 561002,
                "violates \"gamma has at least 1 axis\" (A=[], R=[])");
  ExpectRefused(LegalCall({1, 1, 1, 1, 1, 1, 1, 1, 8}, {1, 1, 1, 1, 1, 1, 1, 1}, {8}), Kind::kShape,
                561002, "dy: shape [1, 1, 1, 1, 1, 1, 1, 1, 8] has 9 axes, expected at most 8");
  ExpectAccepted(LegalCall({1, 1, 1, 1, 1, 1, 1, 8}, {1, 1, 1, 1, 1, 1, 1}, {8}));
  ExpectAccepted(LegalCall({8}, {}, {8}));
}

TEST(CheckContract, BlamesTheLaterOfTwoTensorsThatDisagree) {
  auto call = LegalCall({4, 16}, {4}, {16});
  call[kDx] = Arg({5, 16});
  ExpectRefused(call, Kind::kShape, 561002,
                "dxOut: shape [5, 16], expected [4, 16] (\"*A *R\", A=[4], R=[16])");
}

TEST(CheckContract, RefusesAScalarScale) {
  ExpectRefused(LegalCall({4}, {4}, {}), Kind::kRule, 561002,
                "violates \"gamma has at least 1 axis\" (A=[4], R=[])");
}

TEST(CheckContract, WantsRowsOf32BytesOnAtlasInferenceOnly) {
  const auto narrow = LegalCall({4, 7}, {4}, {7});
  ExpectAccepted(narrow, "atlas-a2");
  ExpectRefused(narrow, Kind::kRule, 561002,
                "violates \"on atlas-inference the last axis of x, dy and gamma is at least 32 "
                "bytes, or empty\" (A=[4], R=[7])",
                "atlas-inference");
  // An empty batch has a last axis too; empty rows have none.
  EXPECT_TRUE(Check(LegalCall({0, 7}, {0}, {7}), "atlas-inference").violation.has_value());
  ExpectAccepted(LegalCall({4, 0}, {4}, {0}), "atlas-inference");
  ExpectAccepted(LegalCall({4, 8}, {4}, {8}), "atlas-inference");
  // It is the last axis that counts, not the whole of R.
  EXPECT_EQ(Check(LegalCall({4, 8, 7}, {4}, {8, 7}), "atlas-inference").violation->kind,
            Kind::kRule);
}

TEST(CheckContract, CountsThe32BytesInTheTensorsOwnDType) {
  const auto float16_call = [](std::int64_t extent) {
    auto call = LegalCall({4, extent}, {4}, {extent});
    for (const std::size_t i : {kDy, kX, kGamma, kDx}) call[i].dtype = DType::kFloat16;
    return call;
  };
  EXPECT_EQ(Check(float16_call(15), "atlas-inference").violation->kind, Kind::kRule);
  ExpectAccepted(float16_call(16), "atlas-inference");
}

TEST(CheckContract, AcceptsEmptyTensors) {
  for (const std::string_view product : {"atlas-a2", "atlas-inference"}) {
    ExpectAccepted(LegalCall({0, 16}, {0}, {16}), product);
    ExpectAccepted(LegalCall({4, 0}, {4}, {0}), product);
    ExpectAccepted(LegalCall({0, 0}, {0}, {0}), product);
  }
}

// An operator of no vendor's: what RmsNormGrad's contract has no use for.
constexpr Param kParams[] = {
    Input("x", Role::kData, "N C"),
    Optional(Input("weight", Role::kScale, "C")),
    Output("dx", Role::kData, "N C"),
};
constexpr EmbeddedRow kDTypes[] = {{"product", "data", "scale"}, {"p", "float16", "float32|none"}};
constexpr EmbeddedRow kProducts[] = {{"product", "supported", "deterministic"},
                                     {"p", "yes", "always"}};
constexpr Operator kInvented = {
    .name = "invented",
    .api = "aclnnInvented",
    .formula = "",
    .source = "",
    .params = kParams,
    .rules = {},
    .shape_status = 161002,
    .dtypes_csv = kDTypes,
    .products_csv = kProducts,
};

TEST(CheckContract, AcceptsAMissingOptionalTensor) {
  const auto x = Arg({2, 3}, DType::kFloat16);
  EXPECT_FALSE(Check({x, {}, x}, "p", kInvented).violation.has_value());
}

TEST(CheckContract, RefusesTooFewAxesWithTheOperatorsOwnStatus) {
  const auto x = Arg({3}, DType::kFloat16);
  ExpectRefused({x, {}, x}, Kind::kShape, 161002, "x: shape [3] has too few axes for \"N C\" ()",
                "p", kInvented);
}

// The arguments of LayerNormBackward and GroupNormBackward by position.
enum LayerPosition : std::size_t {
  kGradOut,
  kInput,
  kNormalizedShape,
  kMean,
  kLayerRstd,
  kWeight,
  kBias,
  kMask,
  kGradInput,
  kGradWeight,
  kGradBias
};

std::vector<CallArg> LayerCall(const Shape& x, const Shape& mean, const Shape& normalized) {
  return {Arg(x),    Arg(x),          Numbers(normalized), Arg(mean),
          Arg(mean), Arg(normalized), Arg(normalized),     Mask({true, true, true}),
          Arg(x),    Arg(normalized), Arg(normalized)};
}

TEST(LayerNormContract, TakesItsDocumentsExample) {
  const Answer answer = Check(LayerCall({2, 2}, {2, 1}, {2}), "atlas-a2", kLayerNormBackward);
  ASSERT_EQ(answer.violation ? answer.violation->message : "", "");
  EXPECT_EQ(ToString(answer.dims), "A=[2], R=[2]");
}

TEST(LayerNormContract, CountsTheElementsOfTheStatisticsOnly) {
  ExpectAccepted(LayerCall({2, 3, 4}, {6}, {4}), "atlas-a2", kLayerNormBackward);
  ExpectRefused(LayerCall({2, 3, 4}, {7}, {4}), Kind::kShape, 161002,
                "mean: shape [7] has 7 elements, expected 6 (\"*A ones(R)\", A=[2, 3], R=[4])",
                "atlas-a2", kLayerNormBackward);
  ExpectRefused(LayerCall({4}, {}, {4}), Kind::kShape, 161002,
                "mean: shape [] has 0 axes, expected at least 1", "atlas-a2", kLayerNormBackward);
}

TEST(LayerNormContract, ComparesNormalizedShapeWithTheTrailingAxes) {
  auto call = LayerCall({2, 3, 4}, {6}, {4});
  call[kNormalizedShape] = Numbers({3});
  ExpectRefused(call, Kind::kShape, 161002,
                "gradOut: shape [2, 3, 4], expected [2, 3, 3] (\"*A *R\", A=[2, 3], R=[3])",
                "atlas-a2", kLayerNormBackward);
  call[kNormalizedShape] = Numbers({5, 2, 3, 4});
  EXPECT_EQ(Check(call, "atlas-a2", kLayerNormBackward).violation->kind, Kind::kShape);
  call[kNormalizedShape] = Numbers({});
  ExpectRefused(call, Kind::kRule, 161002,
                "violates \"normalizedShape has at least 1 axis\" (A=[2, 3, 4], R=[])", "atlas-a2",
                kLayerNormBackward);
}

TEST(LayerNormContract, RefusesEmptyTensors) {
  ExpectRefused(LayerCall({0, 4}, {0, 1}, {4}), Kind::kRule, 161002,
                "violates \"no tensor is empty\" (A=[0], R=[4])", "atlas-a2", kLayerNormBackward);
  ExpectRefused(LayerCall({2, 0}, {2, 1}, {0}), Kind::kRule, 161002,
                "violates \"no tensor is empty\" (A=[2], R=[0])", "atlas-a2", kLayerNormBackward);
}

TEST(LayerNormContract, WantsAnOutputOnlyWhereItsMaskBitIsTrue) {
  auto call = LayerCall({2, 4}, {2, 1}, {4});
  call[kGradWeight] = {};
  ExpectRefused(call, Kind::kNullPointer, 161001, "gradWeightOut: is null", "atlas-a2",
                kLayerNormBackward);
  call[kMask] = Mask({true, false, true});
  ExpectAccepted(call, "atlas-a2", kLayerNormBackward);
  // What nobody wants may be anything.
  call[kGradWeight] = Arg({9, 9}, DType::kInt32);
  ExpectAccepted(call, "atlas-a2", kLayerNormBackward);
}

TEST(LayerNormContract, RefusesMasksOfTheWrongSizeAndNone) {
  auto call = LayerCall({2, 4}, {2, 1}, {4});
  call[kMask] = Mask({true, true});
  ExpectRefused(call, Kind::kRule, 161002, "outputMask: 2 elements, expected 3", "atlas-a2",
                kLayerNormBackward);
  call[kMask] = {};
  ExpectRefused(call, Kind::kNullPointer, 161001, "outputMask: is null", "atlas-a2",
                kLayerNormBackward);
}

TEST(LayerNormContract, TakesANullWeightForOnesOfInputsDType) {
  auto call = LayerCall({2, 4}, {2, 1}, {4});
  for (const std::size_t i : {kGradOut, kInput, kGradInput}) call[i].dtype = DType::kFloat16;
  ExpectAccepted(call, "atlas-a2", kLayerNormBackward);
  call[kWeight] = {};
  ExpectRefused(call, Kind::kDType, 161002,
                "gradWeightOut: dtype float32, expected float16 on atlas-a2 beside data float16, "
                "statistic float32, weightOptional none, biasOptional float32",
                "atlas-a2", kLayerNormBackward);
  for (const std::size_t i : {kGradWeight, kGradBias}) call[i].dtype = DType::kFloat16;
  ExpectAccepted(call, "atlas-a2", kLayerNormBackward);
}

TEST(LayerNormContract, WantsStatisticsAtLeastAsWideAsTheData) {
  auto call = LayerCall({2, 4}, {2, 1}, {4});
  call[kMean].dtype = DType::kFloat16;
  ExpectRefused(call, Kind::kDType, 161002,
                "mean: dtype float16, expected float32 on atlas-a2 beside data float32", "atlas-a2",
                kLayerNormBackward);
}

// GroupNormBackward: tensors of any shape beside four numbers.
enum GroupPosition : std::size_t { kGroupGamma = 4, kN, kC, kHxW, kGroup, kGroupMask };

std::vector<CallArg> GroupCall(std::int64_t n, std::int64_t c, std::int64_t hxw,
                               std::int64_t group) {
  const Shape x = {n, c, hxw};
  return {Arg(x),       Arg(x),       Arg({n, group}), Arg({n, group}),  Arg({c}),
          Numbers({n}), Numbers({c}), Numbers({hxw}),  Numbers({group}), Mask({true, true, true}),
          Arg(x),       Arg({c}),     Arg({c})};
}

TEST(GroupNormContract, TakesItsDocumentsExample) {
  const Answer answer = Check(GroupCall(2, 3, 4, 1), "atlas-a2", kGroupNormBackward);
  ASSERT_EQ(answer.violation ? answer.violation->message : "", "");
  EXPECT_EQ(ToString(answer.dims), "C=[3], G=[1], N=[2], S=[4]");
}

TEST(GroupNormContract, CountsElementsWhateverTheShape) {
  auto call = GroupCall(2, 6, 4, 3);
  call[kGradOut] = Arg({48});
  call[kInput] = Arg({2, 2, 3, 2, 2});
  call[10] = call[kInput];
  call[2] = Arg({6});
  call[3] = Arg({1, 6});
  call[kGroupGamma] = Arg({2, 3});
  call[11] = call[12] = call[kGroupGamma];
  ExpectAccepted(call, "atlas-a2", kGroupNormBackward);
  call[kGradOut] = Arg({47});
  ExpectRefused(
      call, Kind::kShape, 161002,
      "gradOut: shape [47] has 47 elements, expected 48 (\"N C *S\", C=[6], G=[3], N=[2], "
      "S=[4])",
      "atlas-a2", kGroupNormBackward);
}

TEST(GroupNormContract, TakesScalarsForOneElement) {
  auto call = GroupCall(1, 1, 1, 1);
  for (CallArg& arg : call) {
    if (arg.dtype) arg.shape = {};
  }
  ExpectAccepted(call, "atlas-a2", kGroupNormBackward);
}

TEST(GroupNormContract, ShapesTheOutputsAsTheirInputs) {
  auto call = GroupCall(2, 6, 4, 3);
  call[kInput] = Arg({48});
  ExpectRefused(
      call, Kind::kShape, 161002,
      "gradInput: shape [2, 6, 4], expected [48] (\"N C *S\", C=[6], G=[3], N=[2], S=[4])",
      "atlas-a2", kGroupNormBackward);
  call = GroupCall(2, 6, 4, 3);
  call[kGroupGamma] = {};
  call[12] = Arg({2, 3});
  ExpectRefused(call, Kind::kShape, 161002,
                "gradBetaOut: shape [2, 3], expected [6] (\"C\", C=[6], G=[3], N=[2], S=[4])",
                "atlas-a2", kGroupNormBackward);
}

TEST(GroupNormContract, RefusesGroupsThatDoNotDivideTheChannels) {
  auto call = GroupCall(2, 6, 4, 4);
  ExpectRefused(call, Kind::kRule, 161002,
                "violates \"C is divisible by group\" (C=[6], G=[4], N=[2], S=[4])", "atlas-a2",
                kGroupNormBackward);
  for (const std::int64_t group : {std::int64_t{0}, std::int64_t{-1}}) {
    call[kGroup] = Numbers({group});
    EXPECT_EQ(Check(call, "atlas-a2", kGroupNormBackward).violation->rule, "group is positive");
  }
}

TEST(GroupNormContract, RefusesExtentsThatNoShapeHas) {
  auto call = GroupCall(2, 6, 4, 3);
  call[kN] = Numbers({-2});
  call[kC] = Numbers({-6});
  const auto negative = Check(call, "atlas-a2", kGroupNormBackward).violation;
  ASSERT_TRUE(negative.has_value());
  EXPECT_EQ(negative->status, 161002);
  EXPECT_EQ(negative->message, "N: -2 is negative");
  call = GroupCall(2, 6, 4, 3);
  call[kHxW] = Numbers({std::int64_t{1} << 62});
  ExpectRefused(call, Kind::kShape, 161002,
                "gradOut: shape [2, 6, 4] has 48 elements, expected more than fit 64 bits (\"N C "
                "*S\", C=[6], G=[3], N=[2], S=[4611686018427387904])",
                "atlas-a2", kGroupNormBackward);
}

TEST(GroupNormContract, LooksForNullPointersBeforeTheMask) {
  auto call = GroupCall(2, 6, 4, 3);
  call[kGroupMask] = {};
  ExpectRefused(call, Kind::kNullPointer, 161002, "outputMask: is null", "atlas-a2",
                kGroupNormBackward);
  call[3] = {};
  ExpectRefused(call, Kind::kNullPointer, 161001, "rstd: is null", "atlas-a2", kGroupNormBackward);
}

TEST(GroupNormContract, TakesEmptyBatches) {
  ExpectAccepted(GroupCall(0, 6, 4, 3), "atlas-a2", kGroupNormBackward);
  ExpectAccepted(GroupCall(2, 6, 0, 3), "atlas-a2", kGroupNormBackward);
  ExpectAccepted(GroupCall(2, 0, 4, 3), "atlas-a2", kGroupNormBackward);
}

std::vector<CallArg> BatchCall(const Shape& x, const Shape& counter) {
  const Shape channels = {x.at(1)};
  return {Arg(x),        Arg(x),        Arg(channels), Arg(channels), Arg(channels),
          Arg(channels), Arg(channels), Arg(counter),  Arg(x)};
}

TEST(BatchNormContract, TakesACounterOfAnyShapeAndMixedDTypes) {
  auto call = BatchCall({1, 2, 4}, {2});
  ExpectAccepted(call, "atlas-a2", kBatchNormElemtBackward);
  call[7] = Arg({3, 1, 5}, DType::kInt32);
  call[0].dtype = DType::kBFloat16;
  call[2].dtype = DType::kFloat16;
  call[8].dtype = DType::kFloat16;
  ExpectAccepted(call, "atlas-a2", kBatchNormElemtBackward);
  call[8].dtype = DType::kInt32;
  ExpectRefused(
      call, Kind::kDType, 161002,
      "gradInput: dtype int32, expected float32 or float16 or bfloat16 on atlas-a2 beside "
      "gradOut bfloat16, input float32, mean float16, invstd float32, weight float32, "
      "sumDy float32, sumDyXmu float32, counter int32",
      "atlas-a2", kBatchNormElemtBackward);
}

TEST(BatchNormContract, RefusesPrivateFormatsOfItsDataTensors) {
  auto call = BatchCall({1, 2, 4}, {2});
  call[1].format = 3;
  ExpectRefused(call, Kind::kRule, 161002,
                "input: format NC1HWC0 is private: expected a plain one such as ND", "atlas-a2",
                kBatchNormElemtBackward);
  call[1].format = 0;  // NCHW
  call[2].format = 3;
  ExpectAccepted(call, "atlas-a2", kBatchNormElemtBackward);
}

TEST(BatchNormContract, WantsTwoAxesAndAChannel) {
  auto call = BatchCall({1, 2, 4}, {2});
  for (const std::size_t i : {std::size_t{0}, std::size_t{1}, std::size_t{8}}) call[i].shape = {8};
  EXPECT_EQ(Check(call, "atlas-a2", kBatchNormElemtBackward).violation->kind, Kind::kShape);
  ExpectRefused(BatchCall({3, 0, 4}, {2}), Kind::kRule, 161002,
                "violates \"axis 1 of input is not empty\" (C=[0], K=[2], N=[3], S=[4])",
                "atlas-a2", kBatchNormElemtBackward);
  ExpectAccepted(BatchCall({0, 3, 4}, {2}), "atlas-a2", kBatchNormElemtBackward);
}

TEST(DocumentedRules, OfAnUnsupportedProductAreOne) {
  const auto rules = DocumentedRules(kLayerNormBackward, "atlas-200i-a2");
  ASSERT_EQ(rules.size(), 1U);
  EXPECT_EQ(rules[0].text, "the product supports the operator");
}

TEST(DocumentedRules, LeaveOutRulesOfOtherProducts) {
  const auto has = [](std::string_view product) {
    return std::ranges::any_of(DocumentedRules(kRmsNormGrad, product), [](const auto& rule) {
      return rule.text.starts_with("on atlas-inference");
    });
  };
  EXPECT_TRUE(has("atlas-inference"));
  EXPECT_FALSE(has("atlas-a2"));
}

}  // namespace
}  // namespace normgrad
