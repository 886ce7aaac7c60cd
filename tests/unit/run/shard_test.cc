// SPDX-License-Identifier: Apache-2.0
#include "run/shard.h"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace normgrad {
namespace {

using Variables = std::map<std::string, std::string>;

std::string Parsed(const std::string& text, const Variables& variables = {}) {
  try {
    const Shard shard = ParseShard(text, [&](const char* name) {
      const auto found = variables.find(name);
      return found == variables.end() ? nullptr : found->second.c_str();
    });
    return fmt::format("{} of {}", shard.index, shard.count);
  } catch (const Error& error) {
    return error.what();
  }
}

const Variables kGoogleTest = {{"GTEST_SHARD_INDEX", "2"}, {"GTEST_TOTAL_SHARDS", "4"}};
const Variables kBazel = {{"TEST_SHARD_INDEX", "0"}, {"TEST_TOTAL_SHARDS", "4"}};

Variables Slurm(const std::string& id, const std::string& first, const std::string& last,
                const std::string& step, const std::string& count) {
  return {{"SLURM_ARRAY_TASK_ID", id},
          {"SLURM_ARRAY_TASK_MIN", first},
          {"SLURM_ARRAY_TASK_MAX", last},
          {"SLURM_ARRAY_TASK_STEP", step},
          {"SLURM_ARRAY_TASK_COUNT", count}};
}

TEST(ParseShard, CountsFromOne) {
  EXPECT_EQ(Parsed("1/4"), "1 of 4");
  EXPECT_EQ(Parsed("4/4"), "4 of 4");
  EXPECT_EQ(Parsed("1/1"), "1 of 1");
}

TEST(ParseShard, RefusesWhatIsNoShard) {
  for (const char* text : {"0/4", "5/4", "0/0", "1/100001"}) {
    EXPECT_THAT(Parsed(text), testing::HasSubstr(": expected a shard from 1 to the number of "))
        << text;
  }
  for (const char* text : {"", "1", "1/", "/4", "-1/4", "1/4/2", "a/b", "1 / 4", "environment",
                           "env/", "env/x", "env/0", "18446744073709551616/2"}) {
    EXPECT_THAT(Parsed(text, kGoogleTest), testing::HasSubstr(": expected <which>/<how many>"))
        << text;
  }
}

TEST(ParseShard, ReadsWhatSchedulersSay) {
  EXPECT_EQ(Parsed("env", kGoogleTest), "3 of 4");
  EXPECT_EQ(Parsed("env", kBazel), "1 of 4");
  EXPECT_EQ(Parsed("env", Slurm("1", "1", "4", "1", "4")), "1 of 4");
  EXPECT_EQ(Parsed("env", Slurm("0", "0", "3", "1", "4")), "1 of 4");
  EXPECT_EQ(Parsed("env", Slurm("14", "10", "16", "2", "4")), "3 of 4");
  EXPECT_EQ(Parsed("env/4", {{"PARALLEL_SEQ", "4"}}), "4 of 4");
  EXPECT_EQ(Parsed("env/4", kGoogleTest), "3 of 4");
}

TEST(ParseShard, TakesTheEnvironmentOnlyWhenAsked) { EXPECT_EQ(Parsed("1/2", kBazel), "1 of 2"); }

TEST(ParseShard, GuessesNothing) {
  EXPECT_THAT(Parsed("env"), testing::HasSubstr("no scheduler says which shard this is"));
  EXPECT_THAT(Parsed("env", {{"PARALLEL_SEQ", "1"}}),
              testing::HasSubstr("PARALLEL_SEQ does not say how many shards there are"));
  EXPECT_THAT(Parsed("env/4", {{"PARALLEL_SEQ", "5"}}), testing::HasSubstr("5 of 4: expected"));
  EXPECT_THAT(Parsed("env/5", kGoogleTest), testing::HasSubstr("says 3 of 4"));
  EXPECT_THAT(Parsed("env", {{"GTEST_TOTAL_SHARDS", "4"}}),
              testing::HasSubstr("GTEST_SHARD_INDEX is not set: expected a whole number"));
  EXPECT_THAT(Parsed("env", {{"TEST_TOTAL_SHARDS", "x"}, {"TEST_SHARD_INDEX", "1"}}),
              testing::HasSubstr("TEST_TOTAL_SHARDS is 'x'"));
  EXPECT_THAT(Parsed("env", Slurm("5", "1", "7", "1", "4")), testing::HasSubstr("without holes"));
  EXPECT_THAT(Parsed("env", Slurm("2", "1", "7", "2", "4")), testing::HasSubstr("without holes"));
  EXPECT_THAT(Parsed("env", Slurm("2", "1", "7", "0", "4")), testing::HasSubstr("without holes"));
}

TEST(ParseShard, RefusesTwoThatDisagree) {
  Variables both = kGoogleTest;
  both.insert(kBazel.begin(), kBazel.end());
  EXPECT_THAT(Parsed("env", both), testing::HasSubstr("GTEST_SHARD_INDEX says 3 of 4 and "
                                                      "TEST_SHARD_INDEX says 1 of 4: name the"));
  both["TEST_SHARD_INDEX"] = "2";
  EXPECT_EQ(Parsed("env", both), "3 of 4");
}

}  // namespace
}  // namespace normgrad
