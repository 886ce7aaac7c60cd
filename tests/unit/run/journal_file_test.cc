// SPDX-License-Identifier: Apache-2.0
#include "run/journal_file.h"

#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/random.h"
#include "run/recorder.h"
#include "tests/unit/report/disk_space.h"
#include "tests/unit/report/expected_text.h"

namespace normgrad {
namespace {

namespace fs = std::filesystem;

const std::vector<PlannedCase> kPlan = {{"first", "0x1", {"memory"}, 1},
                                        {"second", "0x2", {"memory"}, 1},
                                        {"third", "0x3", {"memory"}, 1}};

JournalHeader Header() {
  return {.run = {.plan_hash = PlanHash({HashText("0x1"), HashText("0x2"), HashText("0x3")}),
                  .planned_cases = 3,
                  .planned_checks = 3},
          .formats = {"csv", "json", "md"}};
}

Result AnswerTo(const std::string& id, Outcome outcome = Outcome::kPassed) {
  return {.case_id = id, .outcome = outcome, .checks = {{.check = "memory", .outcome = outcome}}};
}

class JournalFileTest : public testing::Test {
 protected:
  JournalFileTest() {
    std::string name = testing::TempDir() + "normgrad_journal_XXXXXX";
    folder_ = ::mkdtemp(name.data());
  }
  ~JournalFileTest() override { fs::remove_all(folder_); }

  std::unique_ptr<Recorder> Begin() const {
    return std::make_unique<Recorder>(folder_, IfFolderExists::kReplaceReports, Header(), kPlan);
  }
  std::unique_ptr<Recorder> GoOn() const {
    return std::make_unique<Recorder>(EarlierJournal(folder_), RunResumed{"later", {}});
  }
  std::string Read(std::string_view name) const { return ReadFile(folder_ / name); }
  std::string Journal() const { return Read(kJournalName); }
  JournalContents Contents() const {
    std::string text;
    return ReadJournalIn(folder_, &text);
  }
  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_)) {
      names.push_back(entry.path().filename());
    }
    return names;
  }

  /// The reports, byte by byte.
  void ExpectReportsAsRebuilt() const {
    std::vector<std::string> before;
    for (const std::string& format : Header().formats) before.push_back(Read("report." + format));
    std::string text;
    const JournalContents contents = ReadJournalIn(folder_, &text);
    ReportFiles reports(folder_, contents.header.formats, contents.header.run);
    WriteReports(contents, text, &reports);
    for (std::size_t i = 0; i < before.size(); ++i) {
      EXPECT_EQ(Read("report." + Header().formats[i]), before[i]);
    }
  }

  fs::path folder_;
};

TEST_F(JournalFileTest, HasItsNameOnlyOnceItsPlanIsThere) {
  JournalFile file(folder_, Header(), kPlan);
  EXPECT_FALSE(fs::exists(folder_ / kJournalName));
  file.Publish(nullptr);
  EXPECT_EQ(Contents().planned, kPlan);
  EXPECT_THAT(Names(), testing::ElementsAre(kJournalName));
}

TEST_F(JournalFileTest, LeavesNothingBehindWithoutPublication) {
  { const JournalFile file(folder_, Header(), kPlan); }
  EXPECT_THAT(Names(), testing::IsEmpty());
}

TEST_F(JournalFileTest, OfTwoNewOnesOneGetsTheName) {
  JournalFile first(folder_, Header(), kPlan), second(folder_, Header(), kPlan);
  first.Publish(nullptr);
  EXPECT_THROW(second.Publish(nullptr), Error);
}

TEST_F(JournalFileTest, AppendsWhatCanBeReadBack) {
  JournalFile file(folder_, Header(), kPlan);
  file.Publish(nullptr);
  file.Append(CaseStarted{"second"});
  const RecordPlace place = file.Append(AnswerTo("second"));
  const std::string line = file.Read(place);
  EXPECT_EQ(ResultAt(line, {0, line.size()}), AnswerTo("second"));
  EXPECT_EQ(Contents().states[1], CaseState::kAnswered);
}

TEST_F(JournalFileTest, StaysWholeWhereverTheDiskIsFull) {
  JournalFile file(folder_, Header(), kPlan);
  file.Publish(nullptr);
  const std::string before = Journal();
  std::uint64_t hash = Contents().hash;
  const std::size_t size = JournalLine(AnswerTo("first"), &hash).size();
  for (std::size_t room = 0; room < size; ++room) {
    const DiskSpace full(before.size() + room);
    try {
      file.Append(AnswerTo("first"));
      FAIL() << "wrote more than there was room for";
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr("journal.jsonl: File too large: the journal "
                                                   "ends before this record; make room and go on "
                                                   "with normgrad-bench run --resume "));
    }
    ASSERT_EQ(Journal(), before) << room;
  }
  // With room again, it goes on where it ended.
  file.Append(AnswerTo("first"));
  EXPECT_EQ(Contents().states[0], CaseState::kAnswered);
}

TEST_F(JournalFileTest, AFullDiskAtTheStartLeavesNothing) {
  const DiskSpace full(100);
  EXPECT_THROW(Begin(), Error);
  EXPECT_THAT(Names(), testing::IsEmpty());
}

TEST_F(JournalFileTest, CutsOffAPieceOfALineAndNothingElse) {
  Begin()->Add(AnswerTo("first"));
  const std::string whole = Journal();
  WriteFile(folder_ / kJournalName, whole + "{\"result\":{\"case_id\":\"sec");
  GoOn();
  EXPECT_THAT(Journal(), testing::StartsWith(whole + "{\"resumed\""));
}

TEST_F(JournalFileTest, OneAtATime) {
  const auto recorder = Begin();
  EXPECT_THROW(EarlierJournal earlier(folder_), Error);
  EXPECT_THROW(Begin(), Error);
  EXPECT_THROW(RequireNobodyWrites(folder_), Error);
  EXPECT_NO_THROW(Contents());
}

TEST_F(JournalFileTest, ReplacesOnlyARunThatIsWhole) {
  Begin()->Add(AnswerTo("first"));
  const std::string unfinished = Journal();
  EXPECT_THROW(Begin(), Error);
  EXPECT_EQ(Journal(), unfinished);
  const auto recorder = GoOn();
  recorder->Add(AnswerTo("second"));
  recorder->Add(AnswerTo("third", Outcome::kCrashed));
  recorder->Finish("noon", "");
  EXPECT_THROW(Begin(), Error) << "it is still being written";
}

TEST_F(JournalFileTest, ReplacesAWholeRun) {
  for (int run = 0; run < 2; ++run) {
    const auto recorder = Begin();
    for (const PlannedCase& planned : kPlan) recorder->Add(AnswerTo(planned.case_id));
    recorder->Finish("noon", "");
  }
  EXPECT_THAT(Names(), testing::UnorderedElementsAre(kJournalName, "report.csv", "report.json",
                                                     "report.md"));
}

TEST_F(JournalFileTest, ReplacesNoFileItCannotRead) {
  WriteFile(folder_ / kJournalName, "mine");
  EXPECT_THROW(Begin(), Error);
  EXPECT_EQ(Journal(), "mine");
  EXPECT_THAT(Names(), testing::ElementsAre(kJournalName));
}

TEST_F(JournalFileTest, ReportsFollowThePlanWhateverTheOrderOfAnswers) {
  const auto recorder = Begin();
  recorder->Add(AnswerTo("third"));
  EXPECT_EQ(recorder->reports().overview().results(), 0U);
  recorder->Add(AnswerTo("first"));
  EXPECT_EQ(recorder->reports().overview().results(), 1U);
  recorder->Add(AnswerTo("second"));
  EXPECT_EQ(recorder->reports().overview().results(), 3U);
  recorder->Finish("noon", "");
  ExpectReportsAsRebuilt();
}

TEST_F(JournalFileTest, ReportsShowWhatTheJournalHolds) {
  const auto recorder = Begin();
  // In turn, ahead of its turn, and in turn; each with what the journal cannot hold as it is: half
  // a character, of which other writers make two marks, and a NaN with a sign.
  for (const char* id : {"first", "third", "second"}) {
    Result result = AnswerTo(id);
    result.reason = "a\xe8\xaf";
    result.seconds = -std::numeric_limits<double>::quiet_NaN();
    recorder->Add(result);
  }
  recorder->Finish("noon", "");
  EXPECT_THAT(Read("report.csv"), testing::HasSubstr("a\uFFFD,"));
  EXPECT_THAT(Read("report.csv"), testing::Not(testing::HasSubstr("-nan")));
  ExpectReportsAsRebuilt();
}

TEST_F(JournalFileTest, GoesOnWithWhatIsOpen) {
  {
    const auto recorder = Begin();
    recorder->Add(AnswerTo("second"));
    recorder->Add(AnswerTo("third", Outcome::kNotRun));
  }
  const auto recorder = GoOn();
  EXPECT_NE(recorder->FindOpen("first"), nullptr);
  EXPECT_EQ(recorder->FindOpen("second"), nullptr);
  EXPECT_NE(recorder->FindOpen("third"), nullptr);
  EXPECT_EQ(recorder->FindOpen("fourth"), nullptr);
  recorder->Add(AnswerTo("first"));
  EXPECT_EQ(recorder->reports().overview().results(), 2U);
  recorder->Finish("noon", "gone");
  EXPECT_EQ(recorder->reports().overview().unjudged().front().reason, "gone");
}

TEST(Differences, NameWhatWouldMixAnswers) {
  const RunInfo then = {.tool_version = "1",
                        .host = "a",
                        .plan_hash = "0x1",
                        .tool_build = "0x2",
                        .device_build = "0x3"};
  EXPECT_THAT(Differences(then, then), testing::IsEmpty());
  RunInfo now = then;
  now.plan_hash = "0x4";
  now.device_build = "0x5";
  now.started_utc = "later";
  EXPECT_THAT(Differences(then, now),
              testing::ElementsAre("plan 0x4, was 0x1", "device library 0x5, was 0x3"));
}

}  // namespace
}  // namespace normgrad
