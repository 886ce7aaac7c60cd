// SPDX-License-Identifier: Apache-2.0
#include "sweep/dtype_file.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ops/operators.h"
#include "sweep/case.h"
#include "tests/unit/sweep/temporary_folder.h"

namespace normgrad {
namespace {

std::string MessageOf(std::string_view csv) {
  const TemporaryFolder folder;
  const std::string path = folder.Write("d.csv", csv);
  return folder.Relative(ErrorOf([&] { LoadDTypeFile(path, kRmsNormGrad); }));
}

TEST(LoadDTypeFile, ReadsColumnsInAnyOrderAndSkipsComments) {
  const TemporaryFolder folder;
  const auto rows = LoadDTypeFile(folder.Write("d.csv",
                                               "# a comment\r\n"
                                               "scale, data ,product,scale_grad,statistic\r\n"
                                               "\r\n"
                                               "  # another, with a comma\r\n"
                                               "bfloat16,float16,atlas-a2, float32 ,int32"),
                                  kRmsNormGrad);
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].product, "atlas-a2");
  EXPECT_EQ(DTypesText(DTypeRow{"", rows[0].cells}.Combinations().front()),
            "float16-int32-bfloat16-float32");
  EXPECT_EQ(rows[0].line, 5);
}

TEST(LoadDTypeFile, ReadsAlternatives) {
  const TemporaryFolder folder;
  const auto rows =
      LoadDTypeFile(folder.Write("d.csv",
                                 "product,data,statistic,scale,scale_grad\n"
                                 "ascend-950,float16,float16|float32,float32|none,float32\n"),
                    kGroupNormBackward);
  ASSERT_EQ(rows.size(), 1U);
  std::vector<std::string> texts;
  for (const DTypes& dtypes : DTypeRow{"", rows[0].cells}.Combinations()) {
    texts.push_back(DTypesText(dtypes));
  }
  EXPECT_THAT(texts, testing::ElementsAre(
                         "float16-float16-float32-float32", "float16-float16-none-float32",
                         "float16-float32-float32-float32", "float16-float32-none-float32"));
}

TEST(LoadDTypeFile, SaysWhatIsWrongAndWhere) {
  const std::string header = "product,data,statistic,scale,scale_grad\n";
  const std::string row = "atlas-a2,float16,float32,float16,float32\n";
  const struct {
    std::string csv;
    std::string message;
  } cases[] = {
      {"",
       "d.csv: the file is empty: expected a header line product,data,statistic,scale,"
       "scale_grad"},
      {"# only this\n",
       "d.csv: the file is empty: expected a header line product,data,statistic,"
       "scale,scale_grad"},
      {header, "d.csv: has no row: expected one per dtype combination"},
      {"product,data,statistics,scale,scale_grad\n",
       "d.csv:1: unknown column 'statistics': did you mean 'statistic'?"},
      {"product,data,data,scale,scale_grad\n", "d.csv:1: column 'data' is given twice"},
      {"product,data,scale,scale_grad\n",
       "d.csv:1: column 'statistic' is missing: expected product,data,statistic,scale,scale_grad"},
      {header + "atlas-a2,float16,float32,float16\n",
       "d.csv:2: 4 cells: expected 5 (product,data,statistic,scale,scale_grad)"},
      {header + "atlas-a2,float16,float32,float16,float32,\n",
       "d.csv:2: 6 cells: expected 5 (product,data,statistic,scale,scale_grad)"},
      {header + "atlas-2,float16,float32,float16,float32\n",
       "d.csv:2: unknown product 'atlas-2': did you mean 'atlas-a2'?"},
      {header + row + "atlas-a2,fp16,float32,float16,float32\n",
       "d.csv:3: unknown dtype 'fp16': expected float32, float16, bfloat16 or int32"},
      {header + "atlas-a2,float16|float32|float16,float32,float16,float32\n",
       "d.csv:2: dtype 'float16' is given twice in a cell"},
      {header + "atlas-a2," + std::string(101, 'x') + ",float32,float16,float32\n",
       "d.csv:2: a cell of 101 bytes: expected at most 100: is this a dtype table?"},
      {header + row + "# comment\n" + row,
       "d.csv:4: the row is given twice: the first is in line 2"},
  };
  for (const auto& [csv, message] : cases) EXPECT_EQ(MessageOf(csv), message) << csv;
}

TEST(LoadDTypeFile, SaysWhyAFileCannotBeRead) {
  const TemporaryFolder folder;
  EXPECT_EQ(folder.Relative(ErrorOf([&] { LoadDTypeFile(folder.Path("no.csv"), kRmsNormGrad); })),
            "no.csv: cannot be read: No such file or directory");
  folder.Write("folder/file", "");
  EXPECT_EQ(folder.Relative(ErrorOf([&] { LoadDTypeFile(folder.Path("folder"), kRmsNormGrad); })),
            "folder: is a directory: expected a CSV file");
}

// The contract embeds the shipped table: both readers must see the same rows.
TEST(LoadDTypeFile, AgreesWithTheEmbeddedTableOfEveryOperator) {
  for (const Operator* op : AllOperators()) {
    const auto rows = LoadDTypeFile("cases/" + std::string(op->name) + "/dtypes.csv", *op);
    const auto documented = DocumentedDTypes(*op);
    ASSERT_EQ(rows.size(), documented.size()) << op->name;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      EXPECT_EQ(rows[i].product, documented[i].product) << op->name << " line " << rows[i].line;
      EXPECT_EQ(rows[i].cells, documented[i].cells) << op->name << " line " << rows[i].line;
    }
  }
}

}  // namespace
}  // namespace normgrad
