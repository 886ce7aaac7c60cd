// SPDX-License-Identifier: Apache-2.0
#include "sweep/case.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ops/operators.h"

namespace normgrad {
namespace {

using testing::ElementsAre;

constexpr DType kF16 = DType::kFloat16, kF32 = DType::kFloat32;

Case SomeCase() {
  Case some;
  some.op = &kRmsNormGrad;
  some.product = "atlas-a2";
  some.dims = {{"A", {4, 512}}, {"R", {4096}}};
  some.dtypes = {kF16, kF32, kF16, kF32};
  return some;
}

const Param& ParamOf(std::string_view name) {
  for (const Param& param : kRmsNormGrad.params) {
    if (param.name == name) return param;
  }
  throw std::logic_error("no such param");
}

TEST(CaseId, NamesOperatorProductExtentsAndDTypes) {
  EXPECT_EQ(SomeCase().Id(),
            "rms_norm_grad/atlas-a2/A=4x512,R=4096/float16-float32-float16-float32");
}

TEST(CaseId, LeavesTheExtentsOfNoAxesEmpty) {
  Case some = SomeCase();
  some.dims = {{"A", {}}, {"R", {7}}};
  EXPECT_EQ(some.Id(), "rms_norm_grad/atlas-a2/A=,R=7/float16-float32-float16-float32");
}

TEST(CaseId, AppendsOnlyWhatDiffersFromTheDefaults) {
  Case some = SomeCase();
  some.dims = {{"A", {2}}, {"R", {7}}};
  some.layout = LayoutKind::kPadded;
  some.fill = "tiny";
  some.eps = 1e-5;
  some.seed = 18446744073709551615U;
  EXPECT_EQ(some.Id(),
            "rms_norm_grad/atlas-a2/A=2,R=7/float16-float32-float16-float32/padded/tiny/eps=1e-05/"
            "seed=18446744073709551615");
}

TEST(CaseId, ShowsEpsInFull) {
  Case some = SomeCase();
  some.eps = 0.1 + 0.2;
  EXPECT_THAT(some.Id(), testing::EndsWith("/eps=0.30000000000000004"));
}

TEST(LayoutText, NamesTensorsThatAreNotContiguousInTheOrderOfTheApi) {
  Case some = SomeCase();
  some.layout_of = {{"x", LayoutKind::kOffset}, {"dy", LayoutKind::kTransposed}};
  EXPECT_EQ(LayoutText(some), "dy:transposed,x:offset");
}

TEST(LayoutText, IsTheSameHoweverALayoutIsWritten) {
  Case by_name = SomeCase();
  for (const Param& param : kRmsNormGrad.params) {
    by_name.layout_of.emplace(param.name, LayoutKind::kStrided);
  }
  Case at_once = SomeCase();
  at_once.layout = LayoutKind::kStrided;
  EXPECT_EQ(LayoutText(by_name), "strided");
  EXPECT_EQ(by_name.Id(), at_once.Id());
  EXPECT_EQ(by_name.Hash(), at_once.Hash());
}

TEST(LayoutText, IsContiguousWhereEveryTensorIs) {
  Case some = SomeCase();
  some.layout_of = {{"x", LayoutKind::kContiguous}};
  EXPECT_EQ(LayoutText(some), "contiguous");
  EXPECT_EQ(some.Id(), SomeCase().Id());
}

TEST(CaseHash, IsStable) {
  // Random data and stored reports depend on it: a change needs a new major release.
  EXPECT_EQ(SomeCase().Hash(), 10643607219369501514U);
}

TEST(CaseHash, DependsOnWhatDeterminesTheCallAndOnNothingElse) {
  const std::uint64_t hash = SomeCase().Hash();
  Case other = SomeCase();
  other.checks = {"memory"};
  other.source = "elsewhere.yaml:1:1";
  EXPECT_EQ(other.Hash(), hash);

  other = SomeCase();
  other.product = "atlas-a3";
  EXPECT_NE(other.Hash(), hash);
  other = SomeCase();
  other.dims = {{"A", {512, 4}}, {"R", {4096}}};
  EXPECT_NE(other.Hash(), hash);
  other = SomeCase();
  other.dtypes = {kF32, kF32, kF32, kF32};
  EXPECT_NE(other.Hash(), hash);
  other = SomeCase();
  other.layout_of = {{"x", LayoutKind::kOffset}};
  EXPECT_NE(other.Hash(), hash);
  other = SomeCase();
  other.fill = "wide";
  EXPECT_NE(other.Hash(), hash);
  other = SomeCase();
  other.eps = 1e-5;
  EXPECT_NE(other.Hash(), hash);
  other = SomeCase();
  other.seed = 2;
  EXPECT_NE(other.Hash(), hash);
}

TEST(Case, GivesEveryTensorItsShapeDTypeAndLayout) {
  Case some = SomeCase();
  some.layout = LayoutKind::kPadded;
  some.layout_of = {{"gamma", LayoutKind::kOffset}};
  EXPECT_THAT(some.ShapeOf(ParamOf("dy")), ElementsAre(4, 512, 4096));
  EXPECT_THAT(some.ShapeOf(ParamOf("rstd")), ElementsAre(4, 512));
  EXPECT_THAT(some.ShapeOf(ParamOf("gamma")), ElementsAre(4096));
  EXPECT_EQ(some.DTypeOf(ParamOf("dxOut")), kF16);
  EXPECT_EQ(some.DTypeOf(ParamOf("rstd")), kF32);
  EXPECT_EQ(some.DTypeOf(ParamOf("gamma")), kF16);
  EXPECT_EQ(some.DTypeOf(ParamOf("dgammaOut")), kF32);
  EXPECT_EQ(some.LayoutOf(ParamOf("dy")), LayoutKind::kPadded);
  EXPECT_EQ(some.LayoutOf(ParamOf("gamma")), LayoutKind::kOffset);
}

TEST(CheckNames, AreInTheOrderTheyRun) {
  EXPECT_THAT(CheckNames(), ElementsAre("contract", "accuracy", "memory", "determinism", "batch",
                                        "invariants", "throughput"));
}

TEST(FillNames, StartWithTheDefault) { EXPECT_EQ(FillNames().front(), Case().fill); }

}  // namespace
}  // namespace normgrad
