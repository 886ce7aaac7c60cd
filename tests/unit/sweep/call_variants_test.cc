// SPDX-License-Identifier: Apache-2.0
// Masks, null inputs, free shapes and changed arguments: the calls that differ from the plain one.
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ops/operators.h"
#include "sweep/sweep.h"
#include "tests/unit/sweep/temporary_folder.h"

namespace normgrad {
namespace {

using testing::ElementsAre;

constexpr std::string_view kLayer =
    "operator: layer_norm_backward\n"
    "products: atlas-a2\n"
    "rows: float32-float32-float32-float32-float32\n";
constexpr std::string_view kGroup =
    "operator: group_norm_backward\n"
    "products: atlas-a2\n"
    "rows: float32-float32-float32-float32\n";

std::vector<Case> CasesOf(const std::string& text) {
  const TemporaryFolder folder;
  return LoadSweeps({folder.Write("s.yaml", text)}, {}).cases;
}

std::string MistakeIn(const std::string& text) {
  const TemporaryFolder folder;
  return folder.Relative(ErrorOf([&] { LoadSweeps({folder.Write("s.yaml", text)}, {}); }));
}

/// The ids of cases behind "<operator>/<product>/".
std::vector<std::string> Endings(const std::vector<Case>& cases) {
  std::vector<std::string> endings;
  for (const Case& the_case : cases) {
    const std::string id = the_case.Id();
    endings.push_back(id.substr(id.find('/', id.find('/') + 1) + 1));
  }
  return endings;
}

const Param& ParamOf(const Case& the_case, std::string_view name) {
  return the_case.op->params[FindParam(*the_case.op, name).value()];
}

TEST(Masks, SayWhichOutputsAreWantedNullOrLeftAlone) {
  const auto cases =
      CasesOf(std::string(kLayer) + "sweep: [{shapes: [{A: 4, R: 8}], masks: [111, 01x]}]\n");
  ASSERT_THAT(Endings(cases),
              ElementsAre("A=4,R=8/float32-float32-float32-float32-float32",
                          "A=4,R=8/float32-float32-float32-float32-float32/mask=01x"));
  EXPECT_EQ(cases[0].MaskOf(ParamOf(cases[0], "gradBiasOut")), '1');
  const Case& masked = cases[1];
  EXPECT_FALSE(masked.Passes(ParamOf(masked, "gradInputOut")));
  EXPECT_TRUE(masked.Uses(ParamOf(masked, "gradWeightOut")));
  EXPECT_TRUE(masked.Passes(ParamOf(masked, "gradBiasOut")));
  EXPECT_FALSE(masked.Uses(ParamOf(masked, "gradBiasOut")));
  EXPECT_THAT(ArgsOf(masked)[7].mask, ElementsAre(false, true, false));
  EXPECT_EQ(ViolationOf(masked), std::nullopt);
}

TEST(Masks, AreForOperatorsThatHaveOne) {
  EXPECT_EQ(MistakeIn("operator: rms_norm_grad\nmasks: 11\nsweep: [{shapes: [{A: 4, R: 8}]}]\n"),
            "s.yaml:2:8: masks has no effect: rms_norm_grad has no output mask");
  EXPECT_EQ(MistakeIn(std::string(kLayer) + "masks: [11]\nsweep: [{shapes: [{A: 4, R: 8}]}]\n"),
            "s.yaml:4:9: mask is '11': expected 3 characters, one per output: 1 wanted, 0 not "
            "wanted and null, x not wanted but given");
}

TEST(DTypeRows, MakeInputsNull) {
  const auto cases = CasesOf(
      "operator: layer_norm_backward\nproducts: atlas-a2\n"
      "rows: [float16-float32-none-float32-float16]\nsweep: [{shapes: [{A: 4, R: 8}]}]\n");
  ASSERT_EQ(cases.size(), 1U);
  EXPECT_FALSE(cases[0].Passes(ParamOf(cases[0], "weightOptional")));
  EXPECT_TRUE(cases[0].Passes(ParamOf(cases[0], "biasOptional")));
  EXPECT_FALSE(ArgsOf(cases[0])[5].present);
  EXPECT_EQ(DTypesText(cases[0].dtypes), "float16-float32-none-float32-float16");
}

TEST(DTypeRows, ExpandTheAlternativesOfATable) {
  EXPECT_EQ(CasesOf("operator: group_norm_backward\nproducts: ascend-950\n"
                    "sweep: [{shapes: [{N: 2, C: 6, G: 3, S: 4}]}]\n")
                .size(),
            10U);
}

TEST(Reshape, GivesTensorsOfFreeShapeAnotherAndOutputsFollow) {
  const auto cases = CasesOf(std::string(kGroup) +
                             "sweep: [{shapes: [{N: 2, C: 6, G: 3, S: 4}], reshape: [{}, {input: "
                             "[48], gamma: [2, 3], mean: [6]}]}]\n");
  ASSERT_THAT(Endings(cases), ElementsAre("C=6,G=3,N=2,S=4/float32-float32-float32-float32",
                                          "C=6,G=3,N=2,S=4/float32-float32-float32-float32/"
                                          "shape=gamma:2x3,input:48,mean:6"));
  EXPECT_THAT(cases[1].ShapeOf(ParamOf(cases[1], "gradOut")), ElementsAre(2, 6, 4));
  EXPECT_THAT(cases[1].ShapeOf(ParamOf(cases[1], "gradInput")), ElementsAre(48));
  EXPECT_THAT(cases[1].ShapeOf(ParamOf(cases[1], "gradBetaOut")), ElementsAre(2, 3));
}

TEST(Reshape, MayBeAScalar) {
  const auto cases =
      CasesOf(std::string(kGroup) +
              "sweep: [{shapes: [{N: 1, C: 1, G: 1, S: []}], reshape: {input: []}}]\n");
  EXPECT_THAT(Endings(cases), ElementsAre("C=1,G=1,N=1,S=/float32-float32-float32-float32/"
                                          "shape=input:scalar"));
}

TEST(Reshape, DropsShapesOfTheWrongSizeAndRefusesTensorsOfOneShape) {
  const TemporaryFolder folder;
  const std::string text = std::string(kGroup) +
                           "sweep: [{shapes: [{N: 2, C: 6, G: 3, S: 4}], reshape: [{}, {mean: "
                           "[7]}]}]\n";
  const Sweep sweep = LoadSweeps({folder.Write("s.yaml", text)}, {});
  ASSERT_EQ(sweep.drops.size(), 1U);
  EXPECT_EQ(sweep.drops[0].reason, "violates \"mean has as many elements as N G\"");
  EXPECT_EQ(MistakeIn(std::string(kLayer) +
                      "sweep: [{shapes: [{A: 4, R: 8}], reshape: {weightOptional: [8]}}]\n"),
            "s.yaml:4:44: unknown tensor of free shape 'weightOptional' of layer_norm_backward: "
            "expected one of mean, rstd");
}

TEST(Symbols, OfOneAxisHaveOneExtent) {
  EXPECT_EQ(MistakeIn(std::string(kGroup) + "sweep: [{shapes: [{N: 2, C: [2, 3], G: 3, S: 4}]}]\n"),
            "s.yaml:4:29: C has 2 axes: it stands for one");
}

std::string Reject(const std::string& entry) {
  return "operator: layer_norm_backward\nproducts: atlas-a2\ndims: {A: 4, R: 8}\nreject:\n  - {" +
         entry + "}\n";
}

TEST(Reject, ChangesOneArgumentAfterTheOther) {
  const auto cases = CasesOf(Reject(
      "because: a pointer is null, each: [gradOut, outputMask, workspaceSize], is: null, expect: "
      "ACLNN_ERR_PARAM_NULLPTR"));
  ASSERT_THAT(Endings(cases),
              ElementsAre("A=4,R=8/float32-float32-float32-float32-float32/with=gradOut:null",
                          "A=4,R=8/float32-float32-float32-float32-float32/with=outputMask:null",
                          "A=4,R=8/float32-float32-float32-float32-float32/"
                          "with=workspaceSize:null"));
  for (const Case& the_case : cases) {
    EXPECT_EQ(the_case.expectation->status, 161001);
    EXPECT_EQ(the_case.expectation->because, "a pointer is null");
    EXPECT_THAT(the_case.checks, ElementsAre("contract"));
    ASSERT_NE(the_case.legal, nullptr);
    EXPECT_EQ(ViolationOf(*the_case.legal), std::nullopt);
    EXPECT_EQ(ViolationOf(the_case)->status, 161001);
  }
}

TEST(Reject, ChangesSeveralArgumentsAtOnce) {
  const auto cases = CasesOf(Reject(
      "because: all wrong, with: {mean: {shape: [5, 1]}, normalizedShape: {elements: [-3, 2]}, "
      "outputMask: {mask: 10}, rstd: {dtype: int8, format: NC1HWC0}}, expect: refused"));
  ASSERT_THAT(Endings(cases),
              ElementsAre("A=4,R=8/float32-float32-float32-float32-float32/with=mean:5x1,"
                          "normalizedShape:-3x2,outputMask:bits10,rstd:int8+NC1HWC0"));
  EXPECT_EQ(cases[0].expectation->status, std::nullopt);
  EXPECT_FALSE(cases[0].expectation->AcceptsStatus(0));
  EXPECT_TRUE(cases[0].expectation->AcceptsStatus(561103));
  const auto args = ArgsOf(cases[0]);
  EXPECT_THAT(args[2].shape, ElementsAre(-3, 2));
  EXPECT_THAT(args[3].shape, ElementsAre(5, 1));
  EXPECT_EQ(args[4].dtype, std::nullopt);
  EXPECT_EQ(args[4].dtype_code, 2);
  EXPECT_EQ(args[4].format, 3);
  EXPECT_THAT(args[7].mask, ElementsAre(true, false));
}

TEST(Reject, KnowsEveryDTypeOutsideTheTable) {
  const auto cases =
      CasesOf(Reject("because: no other dtype, each: [rstd], is: {dtype: outside}, expect: "
                     "ACLNN_ERR_PARAM_INVALID"));
  // 27 types, of which only float32 fits beside a float32 mean.
  EXPECT_EQ(cases.size(), 26U);
  for (const Case& the_case : cases) {
    EXPECT_EQ(ViolationOf(the_case)->kind, Violation::Kind::kDType) << the_case.Id();
  }
}

TEST(Reject, AsksUnsupportedProductsWithoutALegalCallToFollow) {
  const auto cases = CasesOf(
      "operator: layer_norm_backward\nproducts: atlas-200i-a2\ndims: {A: 4, R: 8}\n"
      "reject: [{because: unsupported, expect: refused}]\n");
  ASSERT_EQ(cases.size(), 1U);
  EXPECT_EQ(cases[0].legal, nullptr);
  EXPECT_EQ(ViolationOf(cases[0])->kind, Violation::Kind::kProduct);
}

TEST(Reject, CanBeAcceptance) {
  const auto cases = CasesOf(Reject("because: fine, masks: '000', expect: ACLNN_SUCCESS"));
  ASSERT_EQ(cases.size(), 1U);
  EXPECT_EQ(cases[0].expectation->status, 0);
  EXPECT_EQ(ViolationOf(cases[0]), std::nullopt);
}

TEST(Reject, IsAskedNothingButTheContract) {
  const TemporaryFolder folder;
  const std::string path =
      folder.Write("s.yaml", Reject("because: b, with: {mean: null}, expect: refused"));
  Selection selection;
  selection.checks = {"contract", "memory"};
  EXPECT_THAT(LoadSweeps({path}, selection).cases.at(0).checks, ElementsAre("contract"));
  selection.checks = {"memory"};
  EXPECT_EQ(ErrorOf([&] { LoadSweeps({path}, selection); }),
            "no case is left: none can be asked for memory");
}

struct Mistake {
  const char* name;
  std::string entry;
  std::string message;
};

void PrintTo(const Mistake& mistake, std::ostream* out) { *out << mistake.name; }

class RejectError : public testing::TestWithParam<Mistake> {};

TEST_P(RejectError, SaysWhereAndWhatIsWrong) {
  EXPECT_EQ(MistakeIn(Reject(GetParam().entry)), GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    Entries, RejectError,
    testing::Values(
        Mistake{"NoReason", "expect: refused",
                "s.yaml:5:5: because is missing: expected the rule under test, in words"},
        Mistake{"NoExpectation", "because: b",
                "s.yaml:5:5: expect is missing: expected a status such as "
                "ACLNN_ERR_PARAM_INVALID, or refused"},
        Mistake{"Status", "because: b, expect: ACLNN_ERR",
                "s.yaml:5:26: unknown status 'ACLNN_ERR': expected the name of an aclnn status, "
                "ACLNN_SUCCESS or refused"},
        Mistake{"Argument", "because: b, expect: refused, with: {gradOt: null}",
                "s.yaml:5:42: unknown argument 'gradOt' of layer_norm_backward: did you mean "
                "'gradOut'?"},
        Mistake{"Change", "because: b, expect: refused, with: {mean: {value: 3}}",
                "s.yaml:5:49: unknown change 'value': expected one of shape, dtype, format"},
        Mistake{"NoChange", "because: b, expect: refused, with: {mean: 3}",
                "s.yaml:5:48: the change of mean is '3': expected null or a map with shape, dtype, "
                "format"},
        Mistake{"DType", "because: b, expect: refused, with: {mean: {dtype: float}}",
                "s.yaml:5:56: unknown dtype 'float': expected one of float32, float16, int8, "
                "int32, uint8, int16, uint16, uint32, int64, uint64, float64, bool, string, "
                "complex64, complex128, bfloat16, int4, uint1, complex32, hifloat8, float8_e5m2, "
                "float8_e4m3fn, float8_e8m0, float6_e3m2, float6_e2m3, float4_e2m1, float4_e1m2"},
        Mistake{"Bits", "because: b, expect: refused, with: {outputMask: {mask: 12}}",
                "s.yaml:5:61: mask is '12': expected any number of 0 and 1"},
        Mistake{"Number", "because: b, expect: refused, with: {normalizedShape: {elements: [x]}}",
                "s.yaml:5:71: 'x' is no whole number of 64 bits"},
        Mistake{"EachAlone", "because: b, expect: refused, each: [mean]",
                "s.yaml:5:5: each and is belong together"},
        Mistake{"WithAndEach",
                "because: b, expect: refused, each: [mean], is: null, with: {rstd: null}",
                "s.yaml:5:5: expected with, or each and is, not both"},
        Mistake{"Pointer", "because: b, expect: refused, with: {executor: {value: 1}}",
                "s.yaml:5:52: expected null: nothing else can be wrong about this pointer"},
        Mistake{"Key", "because: b, expect: refused, fills: normal",
                "s.yaml:5:35: unknown key 'fills': expected one of operator, products, rows, dims, "
                "masks, because, with, each, is, expect"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(RejectError, WantsALegalCallToStartFrom) {
  EXPECT_EQ(MistakeIn("operator: layer_norm_backward\nproducts: atlas-a2\ndims: {A: 0, R: 8}\n"
                      "reject: [{because: b, expect: refused}]\n"),
            "s.yaml:4:10: the call to start from is not legal on atlas-a2: violates \"no tensor is "
            "empty\" (A=[0], R=[8]): expected dims at the top of the file that are");
}

TEST(RejectError, KnowsThatANumberIsNeverNull) {
  EXPECT_EQ(MistakeIn("operator: group_norm_backward\nproducts: atlas-a2\n"
                      "dims: {N: 2, C: 6, G: 3, S: 4}\n"
                      "reject: [{because: b, expect: refused, with: {HxW: null}}]\n"),
            "s.yaml:4:47: HxW is a number: it cannot be null");
}

}  // namespace
}  // namespace normgrad
