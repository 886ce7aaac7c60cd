// SPDX-License-Identifier: Apache-2.0
#include "run/shard.h"

#include <charconv>
#include <fstream>
#include <optional>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"

namespace normgrad {
namespace {

constexpr std::uint64_t kMostShards = 100000;

std::optional<std::uint64_t> Number(std::string_view text) {
  std::uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && stop == end ? std::optional(number) : std::nullopt;
}

/// The number in variable `name`, `otherwise` if that is not set. Throws Error if it is no number.
std::uint64_t NumberIn(const Environment& environment, const char* name,
                       std::optional<std::uint64_t> otherwise = {}) {
  const char* const text = environment(name);
  if (text == nullptr && otherwise) return *otherwise;
  const auto number = text == nullptr ? std::nullopt : Number(text);
  if (number) return *number;
  throw Error("--shard env: {} is {}: expected a whole number", name,
              text == nullptr ? "not set" : fmt::format("'{}'", text));
}

/// What one scheduler says.
struct Told {
  std::string_view scheduler;
  std::uint64_t index;  // from 1
  std::uint64_t count;  // 0: it does not say
};

std::vector<Told> EverythingTold(const Environment& environment) {
  std::vector<Told> told;
  const auto is_set = [&](const char* name) { return environment(name) != nullptr; };
  if (is_set("GTEST_TOTAL_SHARDS")) {
    told.push_back({"GTEST_SHARD_INDEX", NumberIn(environment, "GTEST_SHARD_INDEX") + 1,
                    NumberIn(environment, "GTEST_TOTAL_SHARDS")});
  }
  if (is_set("TEST_TOTAL_SHARDS")) {
    told.push_back({"TEST_SHARD_INDEX", NumberIn(environment, "TEST_SHARD_INDEX") + 1,
                    NumberIn(environment, "TEST_TOTAL_SHARDS")});
  }
  if (is_set("SLURM_ARRAY_TASK_ID")) {
    const std::uint64_t id = NumberIn(environment, "SLURM_ARRAY_TASK_ID");
    const std::uint64_t first = NumberIn(environment, "SLURM_ARRAY_TASK_MIN");
    const std::uint64_t last = NumberIn(environment, "SLURM_ARRAY_TASK_MAX");
    const std::uint64_t step = NumberIn(environment, "SLURM_ARRAY_TASK_STEP", 1);
    const std::uint64_t count = NumberIn(environment, "SLURM_ARRAY_TASK_COUNT");
    // An array of ids such as 1,5-7 has holes: which part an id is would be a guess.
    if (step == 0 || id < first || id > last || (id - first) % step != 0 ||
        (last - first) / step + 1 != count) {
      throw Error(
          "--shard env: SLURM_ARRAY_TASK_ID is {} of {} from {} to {} by {}: expected an array "
          "without holes, such as --array=1-4",
          id, count, first, last, step);
    }
    told.push_back({"SLURM_ARRAY_TASK_ID", (id - first) / step + 1, count});
  }
  if (is_set("PARALLEL_SEQ")) {
    told.push_back({"PARALLEL_SEQ", NumberIn(environment, "PARALLEL_SEQ"), 0});
  }
  return told;
}

Shard FromEnvironment(std::uint64_t count, const Environment& environment) {
  const std::vector<Told> told = EverythingTold(environment);
  if (told.empty()) {
    throw Error(
        "--shard env: no scheduler says which shard this is: expected GTEST_SHARD_INDEX, "
        "TEST_SHARD_INDEX, SLURM_ARRAY_TASK_ID or PARALLEL_SEQ in the environment");
  }
  Shard shard{told.front().index, count};
  for (const Told& one : told) {
    if (shard.count == 0) shard.count = one.count;
    if (one.index != shard.index || (one.count != 0 && one.count != shard.count)) {
      throw Error("--shard env: {} says {} of {} and {} says {} of {}: name the shard, as in 1/4",
                  told.front().scheduler, told.front().index, shard.count, one.scheduler, one.index,
                  one.count == 0 ? shard.count : one.count);
    }
  }
  if (shard.count == 0) {
    throw Error(
        "--shard env: {} does not say how many shards there are: expected --shard env/<how many>",
        told.front().scheduler);
  }
  return shard;
}

}  // namespace

Shard ParseShard(std::string_view text, const Environment& environment) {
  const std::size_t slash = text.find('/');
  const std::string_view which = text.substr(0, slash);
  std::optional<std::uint64_t> count;
  if (slash != std::string_view::npos) count = Number(text.substr(slash + 1));
  const auto index = Number(which);
  Shard shard;
  if (text == "env") {
    shard = FromEnvironment(0, environment);
  } else if (which == "env" && count.value_or(0) > 0) {
    shard = FromEnvironment(*count, environment);
  } else if (index && count) {
    shard = {*index, *count};
  } else {
    throw Error("--shard {}: expected <which>/<how many>, as in 2/4, env, or env/<how many>", text);
  }
  if (shard.count < 1 || shard.count > kMostShards || shard.index < 1 ||
      shard.index > shard.count) {
    throw Error("--shard {}: {} of {}: expected a shard from 1 to the number of shards, at most {}",
                text, shard.index, shard.count, kMostShards);
  }
  return shard;
}

void TellBazel(const Environment& environment) {
  const char* const path = environment("TEST_SHARD_STATUS_FILE");
  if (path == nullptr) return;
  if (!std::ofstream(path, std::ios::app)) {
    throw Error("{}: cannot be written, though TEST_SHARD_STATUS_FILE names it", path);
  }
}

}  // namespace normgrad
