// SPDX-License-Identifier: Apache-2.0
// What the command line overrides or narrows.
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sweep/sweep.h"
#include "tests/unit/sweep/temporary_folder.h"

namespace normgrad {
namespace {

using testing::ElementsAre;

// 2 products with float32 rows only, 3 shapes, 2 seeds.
constexpr std::string_view kText =
    "operator: rms_norm_grad\n"
    "products: [atlas-a2, atlas-a3]\n"
    "rows: [float32-float32-float32-float32]\n"
    "seeds: [1, 2]\n"
    "sweep:\n"
    "  - dims: {A: [4], R: [8, 16, 160]}\n";

Sweep Select(const Selection& selection) {
  const TemporaryFolder folder;
  return LoadSweeps({folder.Write("s.yaml", kText)}, selection);
}

std::vector<std::string> Ids(const Sweep& sweep) {
  std::vector<std::string> ids;
  for (const Case& the_case : sweep.cases) ids.push_back(the_case.Id());
  return ids;
}

std::string Id(const std::string& product, const std::string& shape) {
  return "rms_norm_grad/" + product + "/" + shape + "/float32-float32-float32-float32";
}

TEST(Selection, KeepsEverythingWhenEmpty) { EXPECT_EQ(Select({}).cases.size(), 12U); }

TEST(Selection, KeepsTheProductsNamed) {
  Selection selection;
  selection.products = {"atlas-a3"};
  const Sweep sweep = Select(selection);
  EXPECT_EQ(sweep.cases.size(), 6U);
  EXPECT_EQ(sweep.combinations, 6U);
  for (const Case& the_case : sweep.cases) EXPECT_EQ(the_case.product, "atlas-a3");
}

TEST(Selection, ReplacesTheChecksOfEveryCaseInTheOrderTheyRun) {
  Selection selection;
  selection.checks = {"throughput", "memory"};
  const Sweep sweep = Select(selection);
  EXPECT_EQ(sweep.cases.size(), 12U);
  for (const Case& the_case : sweep.cases) {
    EXPECT_THAT(the_case.checks, ElementsAre("memory", "throughput"));
  }
}

TEST(Selection, ReplacesTheSeedOfEveryCase) {
  Selection selection;
  selection.seed = 7;
  const Sweep sweep = Select(selection);
  EXPECT_EQ(sweep.cases.size(), 6U) << "two seeds have become one";
  EXPECT_TRUE(sweep.drops.empty());
  for (const Case& the_case : sweep.cases) EXPECT_EQ(the_case.seed, 7U);
}

TEST(Selection, MatchesAGlobWithTheWholeId) {
  Selection selection;
  selection.case_globs = {"*/atlas-a2/*R=16/*32"};
  EXPECT_THAT(Ids(Select(selection)), ElementsAre(Id("atlas-a2", "A=4,R=16")));
}

TEST(Selection, FindsAPatternWithoutAGlobAnywhereInTheId) {
  Selection selection;
  selection.case_globs = {"a3/A=4,R=16"};
  EXPECT_THAT(Ids(Select(selection)),
              ElementsAre(Id("atlas-a3", "A=4,R=16"), Id("atlas-a3", "A=4,R=16") + "/seed=2",
                          Id("atlas-a3", "A=4,R=160"), Id("atlas-a3", "A=4,R=160") + "/seed=2"));
}

TEST(Selection, TakesACompleteIdForItsCaseAlone) {
  Selection selection;
  selection.case_globs = {Id("atlas-a3", "A=4,R=8")};
  EXPECT_THAT(Ids(Select(selection)), ElementsAre(Id("atlas-a3", "A=4,R=8")));
}

TEST(Selection, KeepsWhatAnyPatternMatchesInTheOrderOfTheSweep) {
  Selection selection;
  selection.case_globs = {"R=160/", "*a2*R=8/*seed=2"};
  const Sweep sweep = Select(selection);
  EXPECT_THAT(Ids(sweep),
              ElementsAre(Id("atlas-a2", "A=4,R=8") + "/seed=2", Id("atlas-a2", "A=4,R=160"),
                          Id("atlas-a2", "A=4,R=160") + "/seed=2", Id("atlas-a3", "A=4,R=160"),
                          Id("atlas-a3", "A=4,R=160") + "/seed=2"));
  EXPECT_EQ(sweep.combinations, 5U);
}

TEST(Selection, SaysHowManyCasesThereWereWhenNoneIsLeft) {
  Selection selection;
  selection.products = {"atlas-training", "ascend-950"};
  EXPECT_EQ(ErrorOf([&] { Select(selection); }),
            "no case is left: none is for product atlas-training or ascend-950");
}

TEST(Selection, NamesThePatternThatMatchesNothing) {
  Selection selection;
  selection.case_globs = {"R=160/", "foo"};
  EXPECT_EQ(ErrorOf([&] { Select(selection); }),
            "--case 'foo': matches no case: normgrad-bench plan shows the ids");
  selection.case_globs = {"foo*", "R=160/"};
  EXPECT_EQ(ErrorOf([&] { Select(selection); }),
            "--case 'foo*': matches no case: normgrad-bench plan shows the ids");
  selection.case_globs = {"R=8/*"};
  EXPECT_EQ(ErrorOf([&] { Select(selection); }),
            "--case 'R=8/*': matches no case: a pattern with * or ? must match the whole id: did "
            "you mean '*R=8/**'?");
  selection.case_globs = {"R=160/", ""};
  EXPECT_EQ(ErrorOf([&] { Select(selection); }),
            "--case '': the pattern is empty: expected an id, a part of one, or a glob");
}

TEST(Selection, CountsNoDropsOfWhatItLeavesOut) {
  const TemporaryFolder folder;
  const std::string path =
      folder.Write("s.yaml", std::string(kText) + "    layouts: [contiguous, transposed]\n");
  Selection selection;
  selection.case_globs = {Id("atlas-a2", "A=4,R=8")};
  const Sweep sweep = LoadSweeps({path, path}, selection);
  EXPECT_THAT(Ids(sweep), ElementsAre(Id("atlas-a2", "A=4,R=8")));
  EXPECT_EQ(sweep.combinations, 1U);
  EXPECT_TRUE(sweep.drops.empty());
}

TEST(Selection, CountsTheDropsOfWhatItKeeps) {
  const TemporaryFolder folder;
  const std::string text(kText);
  const std::string path = folder.Write("s.yaml", text + text.substr(text.find("  - dims")));
  Selection selection;
  selection.case_globs = {"R=160/"};
  const Sweep sweep = LoadSweeps({path}, selection);
  EXPECT_EQ(sweep.cases.size(), 4U);
  EXPECT_EQ(sweep.combinations, 8U);
  ASSERT_EQ(sweep.drops.size(), 1U);
  EXPECT_EQ(sweep.drops[0].count, 4U);
}

TEST(Selection, RefusesNamesNobodyKnows) {
  Selection selection;
  selection.products = {"atlas-a4"};
  EXPECT_EQ(ErrorOf([&] { Select(selection); }),
            "unknown product 'atlas-a4': did you mean 'atlas-a3'?");
  selection = {};
  selection.checks = {"speed"};
  EXPECT_EQ(ErrorOf([&] { Select(selection); }),
            "unknown check 'speed': expected one of contract, accuracy, memory, determinism, "
            "batch, invariants, throughput");
}

}  // namespace
}  // namespace normgrad
