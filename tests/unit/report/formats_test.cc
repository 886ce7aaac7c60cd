// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "report/columns.h"
#include "report/format.h"
#include "tests/unit/report/expected_text.h"
#include "tests/unit/report/sample_run.h"

namespace normgrad {
namespace {

std::string Page(const Format& format, const std::vector<Result>& results,
                 const Overview& overview) {
  std::string text = format.head(overview.info());
  for (std::size_t i = 0; i < results.size(); ++i) text += format.row(results[i], i == 0);
  return text + format.tail(overview);
}

/// A run of `count` cases that all failed and were all timed.
Overview BadRun(std::size_t count) {
  Overview overview({.planned_cases = count});
  Result result = SampleResults()[0];
  result.outcome = Outcome::kFailed;
  for (std::size_t i = 0; i < count; ++i) overview.Add(result);
  return overview;
}

std::size_t CountOf(const std::string& text, std::string_view part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST(Formats, AreFoundByExtension) {
  EXPECT_EQ(FindFormat("json").extension, "json");
  try {
    FindFormat("jsn");
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "unknown report format 'jsn': did you mean 'json'?");
  }
}

TEST(Formats, WriteTheSampleRunAsExpected) {
  const Overview overview = SampleOverview();
  for (const Format& format : Formats()) {
    ExpectText("report." + std::string(format.extension), Page(format, SampleResults(), overview));
  }
}

TEST(Formats, WriteARunWithoutAnyResultAsExpected) {
  const Overview overview({.tool_version = "0.1.0", .planned_cases = 4});
  for (const Format& format : Formats()) {
    ExpectText("empty." + std::string(format.extension), Page(format, {}, overview));
  }
}

TEST(Csv, KeepsTheColumnsInPlaceWhenTheFirstIsEmpty) {
  std::string commas(Columns().size() - 1, ',');
  const std::string row = CsvRow({.outcome = Outcome::kPassed}, true);
  EXPECT_EQ(std::ranges::count(row, ','), std::ranges::count(commas, ','));
}

TEST(Csv, QuotesWhatNeedsIt) {
  EXPECT_THAT(CsvRow({.case_id = "a,b"}, true), testing::StartsWith("\"a,b\","));
  EXPECT_THAT(CsvRow({.case_id = "say \"x\""}, true), testing::StartsWith("\"say \"\"x\"\"\","));
  EXPECT_THAT(CsvRow({.case_id = "a\nb"}, true), testing::StartsWith("\"a\nb\","));
  EXPECT_THAT(CsvRow({.case_id = "a b|c"}, true), testing::StartsWith("a b|c,"));
}

TEST(Markdown, ListsEveryFailureOfAFinishedRun) {
  Overview overview = BadRun(30);
  overview.Finish("2026-11-20T16:20:00Z");
  EXPECT_EQ(CountOf(MarkdownTail(overview), "normgrad-bench run"), 30U);
}

TEST(Markdown, StaysSmallWhileTheRunGoesOnAndSaysWhatItLeavesOut) {
  const std::string tail = MarkdownTail(BadRun(30));
  EXPECT_EQ(CountOf(tail, "normgrad-bench run"), 10U);
  EXPECT_EQ(CountOf(tail, "20 more are not listed here"), 2U);  // failures and timings
  EXPECT_LT(MarkdownTail(BadRun(3000)).size(), tail.size() + 100);
}

TEST(Markdown, PutsWarningsUnderTheTimesTheyAreAbout) {
  EXPECT_THAT(MarkdownTail(SampleOverview()),
              testing::HasSubstr("\nNotes:\n\n- rms_norm_grad/atlas-a2/A=4x512,R=4096/"
                                 "float16-float32-float16-float32: noisy: \\*very\\*\n"));
}

TEST(Markdown, CountsTheFailuresItDoesNotKeep) {
  Overview overview = BadRun(1234);
  overview.Finish("2026-11-20T16:20:00Z");
  EXPECT_THAT(MarkdownTail(overview), testing::HasSubstr("234 more are not listed here"));
}

TEST(Markdown, GivesEveryTableRowAsManyCellsAsItsHead) {
  const std::string page = Page(FindFormat("md"), SampleResults(), SampleOverview());
  std::size_t cells = 0;
  std::size_t rows = 0;
  std::istringstream lines(page);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("|")) {
      cells = 0;
      continue;
    }
    const std::size_t bars = CountOf(line, "|") - CountOf(line, "\\|");
    if (cells == 0) cells = bars;
    EXPECT_EQ(bars, cells) << line;
    ++rows;
  }
  EXPECT_GT(rows, 30U);
}

}  // namespace
}  // namespace normgrad
