// SPDX-License-Identifier: Apache-2.0
#include "report/report_files.h"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "report/format.h"
#include "tests/unit/report/disk_space.h"
#include "tests/unit/report/expected_text.h"
#include "tests/unit/report/sample_run.h"

namespace normgrad {
namespace {

const std::vector<std::string> kAll = {"json", "csv", "md"};
const std::string kFinished = "2026-11-20T16:20:00Z";

/// A folder for one test, gone afterwards.
class ReportFilesTest : public testing::Test {
 protected:
  ReportFilesTest() {
    std::string name = testing::TempDir() + "normgrad_report_XXXXXX";
    folder_ = ::mkdtemp(name.data());
  }
  ~ReportFilesTest() override { std::filesystem::remove_all(folder_); }

  std::string Read(std::string_view name) const { return ReadFile(folder_ / name); }

  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      names.push_back(entry.path().filename());
    }
    return names;
  }

  std::filesystem::path folder_;
};

/// What Error says when the files cannot be opened.
std::string Refusal(const std::filesystem::path& folder, const std::vector<std::string>& formats) {
  try {
    const ReportFiles files(folder, formats, SampleInfo());
    return "accepted";
  } catch (const Error& error) {
    return error.what();
  }
}

TEST_F(ReportFilesTest, WritesWhatTheFormatsSay) {
  ReportFiles files(folder_, kAll, SampleInfo());
  for (const Result& result : SampleResults()) files.Add(result);
  files.Finish(kFinished);
  for (const Format& format : Formats()) {
    const std::string name = "report." + std::string(format.extension);
    EXPECT_EQ(Read(name), ReadFile("tests/expected/report/" + name));
  }
  EXPECT_THAT(files.paths(), testing::ElementsAre(folder_ / "report.json", folder_ / "report.csv",
                                                  folder_ / "report.md"));
  EXPECT_THAT(Names(), testing::UnorderedElementsAre("report.json", "report.csv", "report.md"));
}

TEST_F(ReportFilesTest, HoldsCompleteFilesAfterEveryCase) {
  ReportFiles files(folder_, kAll, SampleInfo());
  const std::string head = Read("report.csv");
  std::string rows;
  for (std::size_t answered = 0;; ++answered) {
    // What a killed process would leave behind.
    const auto json = nlohmann::json::parse(Read("report.json"));
    EXPECT_EQ(json["results"].size(), answered);
    EXPECT_EQ(json["totals"]["answered_cases"], answered);
    EXPECT_EQ(json["totals"]["exit_code"], 5);  // the crash, or the answers that are missing
    EXPECT_EQ(json["finished"], false);
    EXPECT_EQ(Read("report.csv"), head + rows);
    EXPECT_THAT(Read("report.md"), testing::HasSubstr("\n</details>\n\n## Totals\n"));
    EXPECT_THAT(Read("report.md"),
                testing::HasSubstr(std::to_string(answered) + " of 4 cases and"));
    if (answered == SampleResults().size()) break;
    const Result result = SampleResults()[answered];
    files.Add(result);
    rows += CsvRow(result, answered == 0);
  }
}

TEST_F(ReportFilesTest, LeavesNoRemainsOfALongerTail) {
  ReportFiles files(folder_, kAll, SampleInfo());
  for (Result result : SampleResults()) {
    result.op = "unknown";  // has no document whose coverage would make the tail longer
    files.Add(result);
  }
  const std::string before = Read("report.md");
  files.Finish("now");
  const std::string after = Read("report.md");
  EXPECT_LT(after.size(), before.size()) << "nothing is tested";
  EXPECT_THAT(after, testing::EndsWith(MarkdownTail(files.overview())));
}

TEST_F(ReportFilesTest, LeavesAloneWhatLiesWhereItsDraftsWouldBe) {
  WriteFile(folder_ / "report.json.new", "mine");
  WriteFile(folder_ / "target", "mine");
  std::filesystem::create_symlink("target", folder_ / "report.md.new");
  const ReportFiles files(folder_, kAll, SampleInfo());
  EXPECT_EQ(Read("report.json.new"), "mine");
  EXPECT_EQ(Read("target"), "mine");
  EXPECT_THAT(Names(), testing::UnorderedElementsAre("report.json", "report.csv", "report.md",
                                                     "report.json.new", "report.md.new", "target"));
}

TEST_F(ReportFilesTest, TouchesNothingIfNoFormatIsAskedFor) {
  ReportFiles files(folder_ / "a", {}, SampleInfo());
  files.Add(SampleResults()[0]);
  files.Finish(kFinished);
  EXPECT_EQ(files.overview().results(), 1U);
  EXPECT_THAT(Names(), testing::IsEmpty());
}

TEST_F(ReportFilesTest, ReplacesTheFilesOfAnEarlierRun) {
  WriteFile(folder_ / "report.json", std::string(100000, 'x'));
  const ReportFiles files(folder_, kAll, SampleInfo());
  EXPECT_TRUE(nlohmann::json::accept(Read("report.json")));
}

TEST(ReportFiles, RefusesAFolderThatTakesNoFiles) {
  EXPECT_THAT(Refusal("/proc", kAll),
              testing::StartsWith("/proc/report.json.new: cannot create this file: "));
}

TEST_F(ReportFilesTest, LeavesEverythingAsItWasIfOneFileCannotBeOpened) {
  WriteFile(folder_ / "report.json", "yesterday");
  std::filesystem::create_directory(folder_ / "report.md");
  EXPECT_THAT(Refusal(folder_, kAll), testing::HasSubstr("report.md: a folder is in the way"));
  EXPECT_EQ(Read("report.json"), "yesterday");
  EXPECT_THAT(Names(), testing::UnorderedElementsAre("report.json", "report.md"));
}

TEST_F(ReportFilesTest, RemovesItsDraftsIfTheDiskIsFull) {
  const DiskSpace full(100);
  EXPECT_THAT(Refusal(folder_, kAll), testing::HasSubstr("File too large"));
  EXPECT_THAT(Names(), testing::IsEmpty());
}

TEST_F(ReportFilesTest, RefusesUnknownAndRepeatedFormats) {
  EXPECT_EQ(Refusal(folder_ / "a", {"json", "xml"}),
            "unknown report format 'xml': expected one of json, csv, md");
  EXPECT_EQ(Refusal(folder_ / "a", {"csv", "csv"}),
            "report format 'csv' is given twice: name each format once");
  EXPECT_THAT(Names(), testing::IsEmpty());
}

TEST_F(ReportFilesTest, StaysCompleteWhereverTheDiskIsFull) {
  const Result result = SampleResults()[0];
  for (const std::string& format : kAll) {
    ReportFiles files(folder_, std::vector{format}, SampleInfo());
    files.Add(result);
    const std::string before = Read("report." + format);
    const std::string row = FindFormat(format).row(result, false);
    for (std::size_t room = 0; room < row.size(); room += 97) {
      const DiskSpace full(before.size() + room);
      try {
        files.Add(result);
        FAIL() << format << ": wrote more than there was room for";
      } catch (const Error& error) {
        EXPECT_THAT(error.what(), testing::HasSubstr("report." + format + ": File too large"));
      }
      ASSERT_EQ(Read("report." + format), before) << format << " with room for " << room;
    }
  }
}

TEST_F(ReportFilesTest, WritesTwentyThousandCasesWithoutRewritingThem) {
  // Rewriting the files for every case would be 200 GB, and ctest's time limit ends it.
  RunInfo info = SampleInfo();
  info.planned_cases = 20000;
  ReportFiles files(folder_, kAll, info);
  const Result result = SampleResults()[1];
  for (int i = 0; i < 20000; ++i) files.Add(result);
  files.Finish(kFinished);
  EXPECT_TRUE(nlohmann::json::accept(Read("report.json")));
  EXPECT_EQ(std::ranges::count(Read("report.csv"), '\r'), 20001);
}

}  // namespace
}  // namespace normgrad
