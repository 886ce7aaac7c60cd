// SPDX-License-Identifier: Apache-2.0
#include "sweep/sweep.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/sweep/temporary_folder.h"

namespace normgrad {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// One dtype row of one product, so that what a test varies is all there is.
constexpr std::string_view kPlain =
    "operator: rms_norm_grad\n"
    "products: atlas-a2\n"
    "rows: float32-float32-float32-float32\n";

Sweep Load(const TemporaryFolder& folder, const std::string& name) {
  Sweep sweep = LoadSweeps({folder.Path(name)}, {});
  for (std::string& file : sweep.files) file = folder.Relative(file);
  for (Case& the_case : sweep.cases) the_case.source = folder.Relative(the_case.source);
  for (Drop& drop : sweep.drops) {
    drop.source = folder.Relative(drop.source);
    drop.reason = folder.Relative(drop.reason);
  }
  return sweep;
}

Sweep LoadText(const std::string& text) {
  const TemporaryFolder folder;
  folder.Write("s.yaml", text);
  return Load(folder, "s.yaml");
}

Sweep LoadPlain(const std::string& text) { return LoadText(std::string(kPlain) + text); }

/// Ids without what every plain case has in common.
std::vector<std::string> ShortIds(const Sweep& sweep) {
  std::vector<std::string> ids;
  for (const Case& the_case : sweep.cases) {
    std::string id = the_case.Id();
    for (const std::string_view common :
         {"rms_norm_grad/atlas-a2/", "/float32-float32-float32-float32"}) {
      const auto at = id.find(common);
      if (at != std::string::npos) id.erase(at, common.size());
    }
    ids.push_back(std::move(id));
  }
  return ids;
}

TEST(LoadSweeps, CrossesTheAlternativesOfDimsTheLastFastest) {
  const Sweep sweep = LoadPlain(
      "sweep:\n"
      "  - dims: {R: [31, [2, 3]], A: [[], [1], [4, 8]]}\n");
  EXPECT_THAT(ShortIds(sweep), ElementsAre("A=,R=31", "A=,R=2x3", "A=1,R=31", "A=1,R=2x3",
                                           "A=4x8,R=31", "A=4x8,R=2x3"));
  EXPECT_EQ(sweep.combinations, 6U);
  EXPECT_THAT(sweep.drops, IsEmpty());
}

TEST(LoadSweeps, AddsListedShapesAfterThoseOfDims) {
  const Sweep sweep = LoadPlain(
      "sweep:\n"
      "  - dims: {A: [2], R: [8]}\n"
      "    shapes: [{A: [], R: 5}, {A: [1, 2], R: [3]}]\n");
  EXPECT_THAT(ShortIds(sweep), ElementsAre("A=2,R=8", "A=,R=5", "A=1x2,R=3"));
}

TEST(LoadSweeps, CrossesLayoutsFillsEpsAndSeeds) {
  const Sweep sweep = LoadPlain(
      "layouts: [contiguous, {dy: transposed, dxOut: strided}]\n"
      "fills: [normal, wide]\n"
      "eps: [1e-6, 0]\n"
      "seeds: [1, 9]\n"
      "sweep:\n"
      "  - shapes: [{A: 2, R: 3}]\n");
  EXPECT_THAT(ShortIds(sweep),
              ElementsAre("A=2,R=3", "A=2,R=3/seed=9", "A=2,R=3/eps=0", "A=2,R=3/eps=0/seed=9",
                          "A=2,R=3/wide", "A=2,R=3/wide/seed=9", "A=2,R=3/wide/eps=0",
                          "A=2,R=3/wide/eps=0/seed=9", "A=2,R=3/dy:transposed,dxOut:strided",
                          "A=2,R=3/dy:transposed,dxOut:strided/seed=9",
                          "A=2,R=3/dy:transposed,dxOut:strided/eps=0",
                          "A=2,R=3/dy:transposed,dxOut:strided/eps=0/seed=9",
                          "A=2,R=3/dy:transposed,dxOut:strided/wide",
                          "A=2,R=3/dy:transposed,dxOut:strided/wide/seed=9",
                          "A=2,R=3/dy:transposed,dxOut:strided/wide/eps=0",
                          "A=2,R=3/dy:transposed,dxOut:strided/wide/eps=0/seed=9"));
}

TEST(LoadSweeps, TakesEveryDocumentedRowOfEverySupportingProductByDefault) {
  const Sweep sweep = LoadText(
      "operator: rms_norm_grad\n"
      "sweep:\n"
      "  - shapes: [{A: 4, R: 64}]\n");
  EXPECT_EQ(sweep.cases.size(), 17U);
  EXPECT_EQ(sweep.cases.front().Id(),
            "rms_norm_grad/ascend-950/A=4,R=64/float16-float32-float32-float32");
  EXPECT_EQ(sweep.cases.back().Id(),
            "rms_norm_grad/atlas-inference/A=4,R=64/float32-float32-float32-float32");
  EXPECT_THAT(sweep.cases.front().checks,
              ElementsAre("contract", "accuracy", "memory", "determinism"));
  EXPECT_EQ(sweep.cases.front().source, "s.yaml:3:5");
  EXPECT_EQ(LoadText("operator: rms_norm_grad\n"
                     "products: all\n"
                     "sweep:\n"
                     "  - shapes: [{A: 4, R: 64}]\n")
                .cases.size(),
            17U);
}

TEST(LoadSweeps, LetsAnEntryOverrideWhatItInherits) {
  const Sweep sweep = LoadPlain(
      "checks: [determinism, accuracy]\n"
      "fills: tiny\n"
      "sweep:\n"
      "  - shapes: [{A: 4, R: 8}]\n"
      "  - shapes: [{A: 4, R: 8}]\n"
      "    name: another\n"
      "    operator: rms_norm_grad\n"
      "    products: [atlas-a3]\n"
      "    rows: [float16-float32-float16-float32]\n"
      "    checks: throughput\n"
      "    fills: [wide]\n"
      "    layouts: [offset]\n"
      "    eps: 0.5\n"
      "    seeds: 3\n");
  EXPECT_THAT(ShortIds(sweep),
              ElementsAre("A=4,R=8/tiny",
                          "rms_norm_grad/atlas-a3/A=4,R=8/float16-float32-float16-float32/offset/"
                          "wide/eps=0.5/seed=3"));
  EXPECT_THAT(sweep.cases[0].checks, ElementsAre("accuracy", "determinism"));
  EXPECT_THAT(sweep.cases[1].checks, ElementsAre("throughput"));
}

TEST(LoadSweeps, NeedsAnOperatorOnlyWhereAnEntryUsesIt) {
  const Sweep sweep = LoadText(
      "products: atlas-a2\n"
      "sweep:\n"
      "  - operator: rms_norm_grad\n"
      "    shapes: [{A: 4, R: 64}]\n");
  EXPECT_EQ(sweep.cases.size(), 5U);
}

TEST(LoadSweeps, ReadsADTypeTableBesideTheFile) {
  const TemporaryFolder folder;
  folder.Write("sub/table.csv",
               "product,data,statistic,scale,scale_grad\n"
               "atlas-a2,float32,float32,float32,float32\n"
               "atlas-a2,float16,float16,float16,float16\n");
  folder.Write("s.yaml",
               "operator: rms_norm_grad\n"
               "products: [atlas-a2, atlas-a3]\n"
               "dtypes: sub/../sub/table.csv\n"
               "sweep:\n"
               "  - dims: {A: [4, 5], R: [8]}\n");
  const Sweep sweep = Load(folder, "s.yaml");
  EXPECT_THAT(ShortIds(sweep), ElementsAre("A=4,R=8", "A=5,R=8"));
  ASSERT_EQ(sweep.drops.size(), 2U);
  EXPECT_EQ(sweep.drops[0].reason,
            "the document of aclnnRmsNormGrad has no row float16-float16-float16-float16 for "
            "atlas-a2");
  EXPECT_EQ(sweep.drops[0].count, 2U);
  EXPECT_EQ(sweep.drops[1].reason, "sub/table.csv has no row for atlas-a3");
  EXPECT_EQ(sweep.drops[1].count, 2U);
  EXPECT_EQ(sweep.drops[1].example, "rms_norm_grad/atlas-a3/A=4,R=8");
  EXPECT_EQ(sweep.combinations, 6U);
}

TEST(LoadSweeps, DropsWhatTheContractForbidsAndCountsItByEntryAndReason) {
  const Sweep sweep = LoadText(
      "operator: rms_norm_grad\n"
      "products: [atlas-training, atlas-inference]\n"
      "rows: [float32-float32-float32-float32, bfloat16-float32-bfloat16-float32]\n"
      "seeds: [1, 2]\n"
      "sweep:\n"
      "  - dims: {A: [4], R: [7, 8]}\n"
      "  - shapes: [{A: [1, 1, 1, 1, 1, 1, 1, 1], R: 8}, {A: [4], R: []}]\n"
      "    products: atlas-inference\n"
      "    rows: float32-float32-float32-float32\n"
      "    layouts: [contiguous, offset]\n");
  ASSERT_EQ(sweep.drops.size(), 5U);
  EXPECT_EQ(sweep.drops[0].source, "s.yaml:6:5");
  EXPECT_EQ(sweep.drops[0].reason, "atlas-training does not support aclnnRmsNormGrad");
  EXPECT_EQ(sweep.drops[0].count, 8U);  // 2 extents of R, 2 rows, 2 seeds
  EXPECT_EQ(sweep.drops[0].example,
            "rms_norm_grad/atlas-training/A=4,R=7/float32-float32-float32-float32");
  EXPECT_EQ(sweep.drops[1].reason,
            "violates \"on atlas-inference the last axis of x, dy and gamma is at least 32 "
            "bytes, or empty\"");
  EXPECT_EQ(sweep.drops[1].count, 2U);
  EXPECT_EQ(sweep.drops[2].reason,
            "the document of aclnnRmsNormGrad has no row bfloat16-float32-bfloat16-float32 for "
            "atlas-inference");
  EXPECT_EQ(sweep.drops[2].count, 4U);
  EXPECT_EQ(sweep.drops[3].source, "s.yaml:7:5");
  EXPECT_EQ(sweep.drops[3].reason, "violates \"dy has at most 8 axes\"");
  EXPECT_EQ(sweep.drops[3].count, 4U);
  EXPECT_EQ(sweep.drops[4].reason, "violates \"gamma has at least 1 axis\"");
  EXPECT_EQ(sweep.drops[4].count, 4U);
  EXPECT_EQ(sweep.cases.size(), 2U);
  EXPECT_EQ(sweep.combinations, 24U);
}

TEST(LoadSweeps, DropsALayoutThatMovesNothing) {
  const Sweep sweep = LoadPlain(
      "layouts: [transposed, offset, {rstd: transposed}, {dy: transposed, rstd: padded}]\n"
      "sweep:\n"
      "  - shapes:\n"
      "      - {A: [], R: 64}\n"
      "      - {A: 4, R: 64}\n"
      "      - {A: 1, R: [1, 64]}\n");
  EXPECT_THAT(
      ShortIds(sweep),
      ElementsAre("A=,R=64/offset", "A=,R=64/dy:transposed,rstd:padded", "A=4,R=64/transposed",
                  "A=4,R=64/offset", "A=4,R=64/dy:transposed,rstd:padded", "A=1,R=1x64/offset",
                  "A=1,R=1x64/dy:transposed,rstd:padded"));
  ASSERT_EQ(sweep.drops.size(), 2U);
  EXPECT_EQ(sweep.drops[0].reason, "layout transposed is contiguous for this shape");
  EXPECT_EQ(sweep.drops[0].count, 2U);
  EXPECT_EQ(sweep.drops[1].reason, "layout rstd:transposed is contiguous for this shape");
  EXPECT_EQ(sweep.drops[1].count, 3U);
}

TEST(LoadSweeps, MergesEqualCasesAndUnitesTheirChecks) {
  const Sweep sweep = LoadPlain(
      "sweep:\n"
      "  - dims: {A: [4, 4], R: [8]}\n"
      "    checks: throughput\n"
      "  - dims: {A: [4, 5], R: [8]}\n"
      "    checks: [memory, accuracy]\n");
  EXPECT_THAT(ShortIds(sweep), ElementsAre("A=4,R=8", "A=5,R=8"));
  EXPECT_EQ(sweep.cases[0].source, "s.yaml:5:5");
  EXPECT_THAT(sweep.cases[0].checks, ElementsAre("accuracy", "memory", "throughput"));
  EXPECT_THAT(sweep.cases[1].checks, ElementsAre("accuracy", "memory"));
  ASSERT_EQ(sweep.drops.size(), 2U);
  EXPECT_EQ(sweep.drops[0].source, "s.yaml:5:5");
  EXPECT_EQ(sweep.drops[0].reason, "same case as s.yaml:5:5");
  EXPECT_EQ(sweep.drops[1].source, "s.yaml:7:5");
  EXPECT_EQ(sweep.drops[1].reason, "same case as s.yaml:5:5");
  EXPECT_EQ(sweep.combinations, 4U);
}

TEST(LoadSweeps, ReadsIncludesFirstAndEveryFileOnce) {
  const TemporaryFolder folder;
  const std::string plain(kPlain);
  folder.Write("sub/deep.yaml", plain + "sweep: [{shapes: [{A: 1, R: 1}]}]\n");
  folder.Write("sub/left.yaml",
               "include: deep.yaml\n" + plain + "sweep: [{shapes: [{A: 2, R: 2}]}]\n");
  folder.Write("right.yaml", plain +
                                 "include: [sub/deep.yaml]\n"
                                 "sweep: [{shapes: [{A: 3, R: 3}]}]\n");
  folder.Write("suite.yaml", "include: [sub/left.yaml, right.yaml, ./right.yaml]\n");
  const Sweep sweep = Load(folder, "suite.yaml");
  EXPECT_THAT(ShortIds(sweep), ElementsAre("A=1,R=1", "A=2,R=2", "A=3,R=3"));
  EXPECT_THAT(sweep.files,
              ElementsAre("sub/deep.yaml", "sub/left.yaml", "right.yaml", "suite.yaml"));
  EXPECT_THAT(sweep.drops, IsEmpty());
  EXPECT_EQ(sweep.cases[0].source, "sub/deep.yaml:4:9");
}

TEST(LoadSweeps, ReadsSeveralFilesInTheOrderGiven) {
  const TemporaryFolder folder;
  const std::string b =
      folder.Write("b.yaml", std::string(kPlain) + "sweep: [{shapes: [{A: 1, R: 1}]}]\n");
  const std::string a =
      folder.Write("a.yaml", std::string(kPlain) + "sweep: [{shapes: [{A: 2, R: 2}]}]\n");
  EXPECT_THAT(ShortIds(LoadSweeps({b, a, b}, {})), ElementsAre("A=1,R=1", "A=2,R=2"));
}

TEST(LoadSweeps, ReadsNumbersAsYamlWritesThem) {
  const Sweep sweep =
      LoadPlain("eps: [+1e-4, 1E-4, 4.9e-324]\nsweep: [{shapes: [{A: 1, R: 1}]}]\n");
  EXPECT_THAT(ShortIds(sweep), ElementsAre("A=1,R=1/eps=0.0001", "A=1,R=1/eps=5e-324"));
}

TEST(LoadSweeps, TakesAllProductsFromAListToo) {
  const std::string sweep = "sweep: [{shapes: [{A: 1, R: 64}]}]\n";
  const std::string op = "operator: rms_norm_grad\n";
  const std::size_t all = LoadText(op + sweep).cases.size();
  EXPECT_EQ(LoadText(op + "products: all\n" + sweep).cases.size(), all);
  EXPECT_EQ(LoadText(op + "products: [all]\n" + sweep).cases.size(), all);
}

TEST(LoadSweeps, TakesTheLargestExtentsAndTensorsItDocuments) {
  const Sweep sweep = LoadPlain(
      "sweep:\n"
      "  - shapes: [{A: 2147483647, R: 512}, {A: [1048576, 1048576], R: 1}, {A: -0, R: 1}]\n");
  EXPECT_THAT(ShortIds(sweep),
              ElementsAre("A=2147483647,R=512", "A=1048576x1048576,R=1", "A=0,R=1"));
}

}  // namespace
}  // namespace normgrad
