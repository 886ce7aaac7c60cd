// SPDX-License-Identifier: Apache-2.0
#include "report/columns.h"

#include <limits>
#include <set>
#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/report/expected_text.h"
#include "tests/unit/report/sample_run.h"

namespace normgrad {
namespace {

std::string Text(std::string_view column, const Result& result) {
  return FindColumn(column).text(result);
}

TEST(Columns, HaveDistinctNames) {
  std::set<std::string_view> names;
  for (const Column& column : Columns()) EXPECT_TRUE(names.insert(column.name).second);
}

TEST(Columns, CarryTheirUnitInTheirName) {
  for (const Column& column : Columns()) {
    if (column.unit == "us") {
      EXPECT_THAT(column.name, testing::EndsWith("_us"));
    }
    if (column.unit == "B") {
      EXPECT_THAT(column.name, testing::EndsWith("_bytes"));
    }
    if (column.unit == "GB/s") {
      EXPECT_THAT(column.name, testing::EndsWith("gb_per_s"));
    }
    if (column.unit == "s") {
      EXPECT_EQ(column.name, "seconds");
    }
  }
}

TEST(Columns, ConvertToTheUnitsTheyName) {
  const Result result = SampleResults()[0];
  EXPECT_EQ(Text("kernel_cold_us", result), "5000");
  EXPECT_EQ(Text("kernel_cold_q1_us", result), "4900");
  EXPECT_EQ(Text("kernel_hot_us", result), "4000");
  EXPECT_EQ(Text("phase_one_us", result), "20");
  EXPECT_EQ(Text("gb_per_s", result), "10");
  EXPECT_EQ(Text("copy_fraction", result), "0.8");
  EXPECT_EQ(Text("seed", result), "18446744073709551615");
  EXPECT_EQ(Text("eps", result), "1e-06");
  EXPECT_EQ(Text("checks", result),
            "accuracy=passed memory=passed determinism=passed throughput=passed");
}

TEST(Columns, ShowTheWorstOfSeveralOutputs) {
  const Result result = SampleResults()[0];
  EXPECT_EQ(Text("margin_max", result), "0.75");
  EXPECT_EQ(Text("margin_output", result), "dgammaOut");
  EXPECT_EQ(Text("margin_index", result), "[9]");
  EXPECT_EQ(Text("elements", result), "8392704");
}

TEST(Columns, TakeANotANumberMarginForTheWorst) {
  Result result = SampleResults()[0];
  result.outputs[0].margin = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(Text("margin_max", result), "nan");
  EXPECT_EQ(Text("margin_output", result), "dxOut");
}

TEST(Columns, KeepTheTwoDeterminismModesApart) {
  Result result = SampleResults()[0];
  result.determinism[0].differing = 2;
  EXPECT_EQ(Text("runs", result), "50");
  EXPECT_EQ(Text("differing_runs", result), "2");
  EXPECT_EQ(Text("deterministic_runs", result), "51");
  EXPECT_EQ(Text("deterministic_differing_runs", result), "0");
  EXPECT_EQ(Text("deterministic_divergence_bound", result), "0.06");
}

TEST(Columns, AreEmptyNotZeroWhereNothingWasMeasured) {
  const Result result;
  for (const std::string_view name :
       {"elements", "violations", "margin_max", "runs", "divergence_bound", "compulsory_bytes",
        "kernel_cold_us", "gb_per_s", "copy_fraction", "copy_gb_per_s", "phase_one_us"}) {
    EXPECT_EQ(Text(name, result), "") << name;
  }
}

// Spreadsheets take 16 digits for a number and round it.
TEST(Columns, ShowAHashThatNobodyTakesForANumber) {
  EXPECT_EQ(Text("hash", SampleResults()[0]), "0x0123456789012345");
}

TEST(Columns, AreFoundByTheirExactName) {
  EXPECT_EQ(FindColumn("case").name, "case");
  EXPECT_THROW(FindColumn("Case"), std::logic_error);
}

TEST(Columns, AreDefinedInTheReadmeAsInTheProgram) {
  const std::string path = "reports/README.md";
  std::string readme = ReadFile(path);
  const std::size_t begin = readme.find("| name | unit | meaning |\n");
  ASSERT_NE(begin, std::string::npos);
  const std::size_t length = readme.find("\n\n", begin) + 1 - begin;
  if (UpdatesExpected()) {
    WriteFile(path, readme.replace(begin, length, ColumnsTable()));
  } else {
    EXPECT_EQ(readme.substr(begin, length), ColumnsTable());
  }
}

}  // namespace
}  // namespace normgrad
