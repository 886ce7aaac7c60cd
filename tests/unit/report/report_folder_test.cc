// SPDX-License-Identifier: Apache-2.0
#include "report/report_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/unit/report/expected_text.h"

namespace normgrad {
namespace {

namespace fs = std::filesystem;

/// A folder for one test, gone afterwards.
class ReportFolderTest : public testing::Test {
 protected:
  ReportFolderTest() {
    std::string name = testing::TempDir() + "normgrad_folder_XXXXXX";
    folder_ = ::mkdtemp(name.data());
  }
  ~ReportFolderTest() override { fs::remove_all(folder_); }

  fs::path folder_;
};

std::string Refusal(const fs::path& folder, IfFolderExists if_exists) {
  try {
    const ReportFolder made(folder, if_exists);
    return "accepted";
  } catch (const Error& error) {
    return error.what();
  }
}

TEST_F(ReportFolderTest, IsThereUntilItGoesUnlessKept) {
  {
    const ReportFolder made(folder_ / "a" / "b", IfFolderExists::kReplaceReports);
    EXPECT_TRUE(fs::is_directory(folder_ / "a" / "b"));
  }
  EXPECT_FALSE(fs::exists(folder_ / "a"));
  {
    ReportFolder made(folder_ / "a" / "b", IfFolderExists::kReplaceReports);
    made.Keep();
  }
  EXPECT_TRUE(fs::is_directory(folder_ / "a" / "b"));
}

TEST_F(ReportFolderTest, LeavesAFolderThatIsNotEmpty) {
  {
    const ReportFolder made(folder_ / "a", IfFolderExists::kReplaceReports);
    WriteFile(folder_ / "a" / "file", "mine");
  }
  EXPECT_EQ(ReadFile(folder_ / "a" / "file"), "mine");
}

TEST_F(ReportFolderTest, TakesAnotherWhereOneMustBeNew) {
  const auto make = [&] {
    ReportFolder made(folder_ / "a" / "run", IfFolderExists::kTakeAnother);
    made.Keep();
    return made.path();
  };
  EXPECT_EQ(make(), folder_ / "a" / "run");
  EXPECT_EQ(make(), folder_ / "a" / "run-2");
  EXPECT_EQ(make(), folder_ / "a" / "run-3");
}

TEST_F(ReportFolderTest, RefusesWhatCannotBeMade) {
  WriteFile(folder_ / "file", "mine");
  for (const IfFolderExists if_exists :
       {IfFolderExists::kReplaceReports, IfFolderExists::kTakeAnother}) {
    EXPECT_THAT(Refusal(folder_ / "file" / "below", if_exists),
                testing::HasSubstr(": cannot create this folder: "));
    EXPECT_THAT(Refusal("/proc/normgrad", if_exists),
                testing::StartsWith("/proc/normgrad: cannot create this folder: "));
  }
  EXPECT_THAT(Refusal(folder_ / "file", IfFolderExists::kReplaceReports),
              testing::HasSubstr("file: cannot create this folder: "));
  EXPECT_EQ(ReadFile(folder_ / "file"), "mine");
}

}  // namespace
}  // namespace normgrad
