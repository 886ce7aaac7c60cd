// SPDX-License-Identifier: Apache-2.0
#include "report/journal.h"

#include <filesystem>
#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/random.h"
#include "report/json.h"
#include "tests/unit/report/expected_text.h"
#include "tests/unit/report/sample_run.h"

namespace normgrad {
namespace {

const std::vector<std::string> kIds = {"first", "second", "third", "other shard's"};

/// The plan of a journal of shard 1 of 2, which answers all cases but the last.
std::vector<PlannedCase> SamplePlan() {
  std::vector<PlannedCase> plan;
  plan.reserve(kIds.size());
  for (const std::string& id : kIds) {
    plan.push_back({id, "0x1" + id, {"accuracy", "memory"}, id == kIds.back() ? 2U : 1U});
  }
  return plan;
}

JournalHeader SampleHeader() {
  std::vector<std::uint64_t> questions;
  for (const PlannedCase& planned : SamplePlan()) questions.push_back(HashText(planned.question));
  return {.run = {.plan_hash = PlanHash(questions),
                  .shard = 1,
                  .shards = 2,
                  .planned_cases = 3,
                  .planned_checks = 6},
          .args = {"normgrad-bench", "run", "a.yaml"},
          .formats = {"csv"}};
}

Result Answer(const std::string& id, Outcome outcome = Outcome::kPassed) {
  return {.case_id = id,
          .outcome = outcome,
          .checks = {{.check = "accuracy", .outcome = outcome},
                     {.check = "memory", .outcome = outcome}}};
}

/// Header and plan.
std::vector<JournalRecord> Begun() {
  std::vector<JournalRecord> records = {SampleHeader()};
  for (const PlannedCase& planned : SamplePlan()) records.emplace_back(planned);
  return records;
}

/// The lines of a journal that begins as Begun() does, and goes on with `more`.
std::vector<std::string> Lines(const std::vector<JournalRecord>& more,
                               std::vector<JournalRecord> records = Begun()) {
  records.insert(records.end(), more.begin(), more.end());
  std::vector<std::string> lines;
  lines.reserve(records.size());
  std::uint64_t hash = kJournalHashSeed;
  for (const JournalRecord& record : records) lines.push_back(JournalLine(record, &hash));
  return lines;
}

std::string Joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line;
  return text;
}

/// A whole run, out of order, interrupted once.
std::vector<std::string> WholeRun() {
  return Lines({CaseStarted{"second"}, Answer("second", Outcome::kFailed), CaseStarted{"first"},
                RunIncident{"a worker ended"}, Answer("third", Outcome::kNotRun),
                RunFinished{"noon"}, RunResumed{"one", {}}, CaseStarted{"first"}, Answer("first"),
                CaseStarted{"third"}, Answer("third"), RunFinished{"two"}});
}

std::string Refusal(const std::string& text) {
  try {
    ReadJournal(text, "out/journal.jsonl");
    return "accepted";
  } catch (const Error& error) {
    return error.what();
  }
}

std::string Refusal(const std::vector<JournalRecord>& more,
                    const std::vector<JournalRecord>& begun = Begun()) {
  return Refusal(Joined(Lines(more, begun)));
}

TEST(JournalRecord, KeepsEveryKindWhole) {
  const std::vector<JournalRecord> records = {
      JournalHeader{.run = SampleInfo(), .args = {"a", "b c"}, .formats = {"md"}},
      PlannedCase{"id", "0x1", {"memory"}, 3},
      CaseStarted{"id"},
      SampleResults()[0],
      RunIncident{"the device is lost"},
      RunResumed{"now", {"host x"}},
      RunFinished{"now"}};
  ASSERT_EQ(records.size(), std::variant_size_v<JournalRecord>);
  for (const JournalRecord& record : records) {
    EXPECT_EQ(RecordFromJson(RecordToJson(record)), record) << RecordToJson(record);
  }
}

TEST(JournalLine, IsALineOfJsonWithAHashThatGoesOn) {
  std::uint64_t hash = kJournalHashSeed;
  EXPECT_EQ(JournalLine(CaseStarted{"a"}, &hash),
            "{\"started\":{\"case_id\":\"a\"},\"hash\":\"7b9b161269fc8758\"}\n");
  EXPECT_NE(JournalLine(CaseStarted{"a"}, &hash), Lines({}, {CaseStarted{"a"}}).front());
}

TEST(ReadJournal, KnowsWhatBecameOfEveryCase) {
  const auto states = [](const std::vector<JournalRecord>& more) {
    return ReadJournal(Joined(Lines(more)), "x").states;
  };
  using enum CaseState;
  EXPECT_THAT(states({}), testing::ElementsAre(kOpen, kOpen, kOpen, kOpen));
  EXPECT_THAT(states({CaseStarted{"first"}, Answer("first"), CaseStarted{"third"}}),
              testing::ElementsAre(kAnswered, kOpen, kStarted, kOpen));
  EXPECT_THAT(states({Answer("first", Outcome::kNotRun)}),
              testing::ElementsAre(kNotRun, kOpen, kOpen, kOpen));
  EXPECT_THAT(states({Answer("first", Outcome::kNotRun), RunResumed{}}),
              testing::ElementsAre(kOpen, kOpen, kOpen, kOpen));
  const JournalContents whole = ReadJournal(Joined(WholeRun()), "x");
  EXPECT_THAT(whole.states, testing::ElementsAre(kAnswered, kAnswered, kAnswered, kOpen));
  EXPECT_TRUE(whole.Complete());
  EXPECT_EQ(whole.finished_utc, "two");
  EXPECT_THAT(whole.incidents, testing::ElementsAre("a worker ended"));
  EXPECT_EQ(whole.header, SampleHeader());
  EXPECT_EQ(whole.planned, SamplePlan());
  EXPECT_EQ(ResultAt(Joined(WholeRun()), whole.results[1]), Answer("second", Outcome::kFailed));
}

TEST(ReadJournal, RunsThatGoOnAreNotFinished) {
  EXPECT_EQ(ReadJournal(Joined(Lines({RunFinished{"noon"}, RunResumed{}})), "x").finished_utc, "");
}

TEST(ReadJournal, NotesOnceWhatWasNotAllAlong) {
  const RunResumed resumed{"", {"host b, was a"}};
  const std::string text = Joined(Lines({resumed, resumed, RunResumed{"", {"tool"}}}));
  EXPECT_THAT(ReadJournal(text, "x").header.run.mixed,
              testing::ElementsAre("host b, was a", "tool"));
}

TEST(ReadJournal, SurvivesACutAtEveryByte) {
  const std::vector<std::string> lines = WholeRun();
  const std::string whole = Joined(lines);
  const std::size_t plan = Joined(Lines({})).size();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const std::string cut = whole.substr(0, size);
    if (size < plan) {
      // No run leaves such a file: it has its name only once the plan is in it.
      EXPECT_THAT(Refusal(cut), testing::StartsWith("out/journal.jsonl:")) << size;
      continue;
    }
    const JournalContents contents = ReadJournal(cut, "x");
    // What is whole is kept, and nothing else is.
    EXPECT_EQ(contents.size, cut.rfind('\n') + 1) << size;
    std::uint64_t hash = contents.hash;
    const std::string repaired =
        cut.substr(0, contents.size) + JournalLine(RunResumed{"now", {}}, &hash);
    EXPECT_EQ(ReadJournal(repaired, "x").size, repaired.size()) << size;
  }
}

TEST(ReadJournal, SurvivesGarbageInTheLastLine) {
  const std::vector<std::string> lines = WholeRun();
  const std::string before = Joined({lines.begin(), lines.end() - 1});
  for (const std::string& last : {std::string(5000, '\0'), std::string(500, 'x') + "\n",
                                  lines.back().substr(1), "\n" + std::string()}) {
    EXPECT_EQ(ReadJournal(before + last, "x").size, before.size());
  }
}

TEST(ReadJournal, SeesEveryDamagedByte) {
  const std::vector<std::string> lines = WholeRun();
  const std::string whole = Joined(lines);
  const std::size_t last = whole.size() - lines.back().size();
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x01);
    if (at + 1 >= last) {
      // A byte of the last line, its end included: as if it had not been written. Without the line
      // end before it, there are not two lines but one.
      EXPECT_EQ(ReadJournal(damaged, "x").size,
                at < last ? last - lines[lines.size() - 2].size() : last)
          << at;
      continue;
    }
    const auto line =
        1 + std::count(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(at), '\n');
    EXPECT_THAT(Refusal(damaged), testing::StartsWith("out/journal.jsonl:" + std::to_string(line) +
                                                      ": the line is damaged, and others follow: "))
        << at;
  }
}

TEST(ReadJournal, SeesLinesThatAreLeftOutMovedOrDoubled) {
  const std::vector<std::string> lines = WholeRun();
  for (std::size_t i = 0; i + 2 < lines.size(); ++i) {
    std::vector<std::string> changed = lines;
    changed.erase(changed.begin() + static_cast<std::ptrdiff_t>(i));
    EXPECT_NE(Refusal(Joined(changed)), "accepted") << i;
    changed = lines;
    changed.insert(changed.begin() + static_cast<std::ptrdiff_t>(i), lines[i]);
    EXPECT_NE(Refusal(Joined(changed)), "accepted") << i;
    changed = lines;
    std::swap(changed[i], changed[i + 1]);
    EXPECT_NE(Refusal(Joined(changed)), "accepted") << i;
  }
}

TEST(ReadJournal, RefusesWhatNoRunWrites) {
  using testing::HasSubstr;
  EXPECT_THAT(Refusal(std::string()), HasSubstr(":1: there is no header"));
  EXPECT_THAT(Refusal({}, {CaseStarted{"first"}, CaseStarted{"first"}}),
              HasSubstr(":1: no header"));
  EXPECT_THAT(Refusal({SampleHeader()}), HasSubstr(":6: a second header"));
  EXPECT_THAT(Refusal({CaseStarted{"fourth"}}), HasSubstr(":6: case fourth is not planned"));
  EXPECT_THAT(Refusal({CaseStarted{"other shard's"}}), HasSubstr("is another shard's"));
  EXPECT_THAT(Refusal({Answer("first"), Answer("first")}), HasSubstr(":7: case first is answered"));
  EXPECT_THAT(Refusal({Answer("first"), CaseStarted{"first"}}), HasSubstr("answered twice"));
  EXPECT_THAT(Refusal({CaseStarted{"first"}, SamplePlan()[0]}), HasSubstr("behind the plan"));
  EXPECT_THAT(Refusal({SamplePlan()[0]}), HasSubstr("case first is planned twice"));
  Result other = Answer("first");
  other.checks.pop_back();
  EXPECT_THAT(Refusal({other}), HasSubstr("was asked for accuracy,memory and answers something"));

  const auto changed = [](const std::function<void(JournalHeader&)>& change) {
    std::vector<JournalRecord> begun = Begun();
    change(std::get<JournalHeader>(begun[0]));
    return Refusal({}, begun);
  };
  EXPECT_THAT(changed([](JournalHeader& h) { h.version = 2; }),
              HasSubstr(":1: version 2 of the format: this program reads 1"));
  EXPECT_THAT(changed([](JournalHeader& h) { h.run.plan_hash = "0x1"; }), HasSubstr("plan hash"));
  EXPECT_THAT(changed([](JournalHeader& h) { h.run.planned_cases = 4; }),
              HasSubstr("3 cases and 6 checks are planned above, 4 and 6 in the header"));
  EXPECT_THAT(changed([](JournalHeader& h) { h.run.shard = 3; }), HasSubstr("shard 3 of 2"));
  EXPECT_THAT(changed([](JournalHeader& h) { h.run.shards = 1; }), HasSubstr("a case of shard 2"));
}

TEST(ReadJournal, RefusesRecordsThatAreNone) {
  const auto refusal = [](const std::string& record) {
    std::uint64_t hash = kJournalHashSeed;
    std::string text;
    for (const JournalRecord& begun : Begun()) text += JournalLine(begun, &hash);
    const std::string line = record.substr(0, record.size() - 1);
    hash = HashText(line, hash);
    return Refusal(text + line + fmt::format(",\"hash\":\"{:016x}\"}}\n", hash));
  };
  using testing::HasSubstr;
  EXPECT_THAT(refusal(R"({"lost":{}})"),
              HasSubstr(":6: a record of kind 'lost': expected one of "));
  EXPECT_THAT(refusal(R"({"started":{}})"), HasSubstr("started has no 'case_id'"));
  EXPECT_THAT(refusal(R"({"started":1,"result":2})"), HasSubstr("not a JSON object with one"));
  EXPECT_THAT(refusal(R"({"started":{"case_id":"\xff"}})"), HasSubstr("not a JSON object"));
  EXPECT_THAT(refusal("{\"started\":" + std::string(100000, '[') + "}"), HasSubstr("not a JSON"));
  EXPECT_THAT(refusal(R"({"result":{"case_id":1}})"), HasSubstr("case_id is 1: expected a string"));
}

TEST(PlanHash, IsOfTheQuestionsInAnyOrder) {
  EXPECT_EQ(PlanHash({1, 2, 3}), PlanHash({3, 1, 2}));
  EXPECT_NE(PlanHash({1, 2, 3}), PlanHash({1, 2}));
  EXPECT_NE(PlanHash({1, 2, 3}), PlanHash({1, 2, 3, 3}));
}

TEST(WriteReports, TellsCasesInTheOrderOfThePlan) {
  std::string name = testing::TempDir() + "normgrad_journal_XXXXXX";
  const std::filesystem::path folder = ::mkdtemp(name.data());
  const std::string text = Joined(WholeRun());
  const JournalContents contents = ReadJournal(text, "x");
  ReportFiles reports(folder, contents.header.formats, contents.header.run);
  WriteReports(contents, text, &reports);
  EXPECT_EQ(reports.overview().finished_utc(), "two");
  EXPECT_THAT(reports.overview().incidents(), testing::ElementsAre("a worker ended"));
  const std::string csv = ReadFile(folder / "report.csv");
  EXPECT_LT(csv.find("\nfirst,"), csv.find("\nsecond,"));
  EXPECT_LT(csv.find("\nsecond,"), csv.find("\nthird,"));
  EXPECT_EQ(std::ranges::count(csv, '\r'), 4);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace normgrad
