// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace normgrad {

/// One of several parts of a plan, each answered by a process of its own.
struct Shard {
  std::uint64_t index = 1;  // from 1
  std::uint64_t count = 1;

  bool operator==(const Shard&) const = default;
};

/// The value of an environment variable; null if it is not set.
using Environment = std::function<const char*(const char* name)>;

/// Reads what `--shard` was given: "2/4", the second of four; "env", what a scheduler's environment
/// says; "env/4", the same where it does not say how many there are.
///
/// Variables: those of GoogleTest (GTEST_SHARD_INDEX, GTEST_TOTAL_SHARDS), Bazel (TEST_SHARD_INDEX,
/// TEST_TOTAL_SHARDS), Slurm's job arrays (SLURM_ARRAY_TASK_ID with _MIN, _STEP and _COUNT), and
/// PARALLEL_SEQ of GNU parallel, which does not say how many. Throws Error for anything else,
/// where no scheduler says anything, and where two disagree.
Shard ParseShard(std::string_view text, const Environment& environment);

/// Creates the file by which Bazel learns that a test shards itself, if there is to be one. Throws
/// Error if it cannot be written.
void TellBazel(const Environment& environment);

}  // namespace normgrad
