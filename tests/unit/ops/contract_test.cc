// SPDX-License-Identifier: Apache-2.0
#include "ops/contract.h"

#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ops/operators.h"

namespace normgrad {
namespace {

using Kind = Violation::Kind;

TensorArg Arg(Shape shape, DType dtype = DType::kFloat32) {
  return {true, std::move(shape), dtype, static_cast<std::int32_t>(dtype)};
}

/// The six tensors of a legal call in float32, in the order of the C function.
std::vector<TensorArg> LegalCall(const Shape& x, const Shape& rstd, const Shape& gamma) {
  return {Arg(x), Arg(x), Arg(rstd), Arg(gamma), Arg(x), Arg(gamma)};
}

enum Position : std::size_t { kDy, kX, kRstd, kGamma, kDx, kDgamma };

struct Answer {
  std::optional<Violation> violation;
  Dims dims;
  DTypes dtypes;
};

Answer Check(const std::vector<TensorArg>& tensors, std::string_view product = "atlas-a2",
             const Operator& op = kRmsNormGrad) {
  Answer answer;
  answer.violation = CheckContract(op, product, tensors, &answer.dims, &answer.dtypes);
  return answer;
}

/// Expects `tensors` to be refused with this kind, status and message.
void ExpectRefused(const std::vector<TensorArg>& tensors, Kind kind, std::int32_t status,
                   const std::string& message, std::string_view product = "atlas-a2",
                   const Operator& op = kRmsNormGrad) {
  const auto violation = Check(tensors, product, op).violation;
  ASSERT_TRUE(violation.has_value()) << "accepted; expected: " << message;
  EXPECT_EQ(violation->message, message);
  EXPECT_EQ(violation->kind, kind);
  EXPECT_EQ(StatusOf(op, *violation), status);
}

void ExpectAccepted(const std::vector<TensorArg>& tensors, std::string_view product = "atlas-a2") {
  const auto violation = Check(tensors, product).violation;
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
  ExpectRefused(call, Kind::kDType, 161002, "gamma: aclDataType 9 is not supported");
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
                "dtypes data float32, statistic float16, scale float32, scale_grad float32 are "
                "not a row of aclnnRmsNormGrad's table for atlas-a2");
}

TEST(CheckContract, LooksOnlyAtTheProductsOwnRows) {
  auto call = LegalCall({4, 16}, {4}, {16});
  for (const std::size_t i : {kDy, kX, kDx}) call[i].dtype = DType::kFloat16;
  ExpectAccepted(call, "atlas-a2");
  ExpectRefused(call, Kind::kDType, 161002,
                "dtypes data float16, statistic float32, scale float32, scale_grad float32 are "
                "not a row of aclnnRmsNormGrad's table for atlas-inference",
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
  EXPECT_EQ(kind("atlas-a2"), Kind::kShape);
  call[kRstd] = Arg({});
  EXPECT_EQ(kind("atlas-a2"), Kind::kRule);
}

TEST(CheckContract, RefusesRanksOutsideOneToEight) {
  ExpectRefused(LegalCall({}, {}, {}), Kind::kRule, 561002,
                "violates \"x has 1 to 8 axes\" (A=[], R=[])");
  ExpectRefused(LegalCall({1, 1, 1, 1, 1, 1, 1, 1, 8}, {1, 1, 1, 1, 1, 1, 1, 1}, {8}), Kind::kRule,
                561002, "violates \"x has 1 to 8 axes\" (A=[1, 1, 1, 1, 1, 1, 1, 1], R=[8])");
  ExpectAccepted(LegalCall({1, 1, 1, 1, 1, 1, 1, 8}, {1, 1, 1, 1, 1, 1, 1}, {8}));
  ExpectAccepted(LegalCall({8}, {}, {8}));
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
    {Param::Kind::kInput, "weight", Role::kScale, "C", true},
    Output("dx", Role::kData, "N C"),
};
constexpr EmbeddedRow kDTypes[] = {{"product", "data", "scale"}, {"p", "float16", "float32"}};
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

}  // namespace
}  // namespace normgrad
