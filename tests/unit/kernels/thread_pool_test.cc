// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <stdexcept>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/cpu/copy.h"

namespace normgrad::cpu {
namespace {

TEST(ThreadPool, RunsEveryPartOnce) {
  ThreadPool pool(3);
  for (const std::size_t parts : {0, 1, 2, 3, 1000}) {
    std::vector<std::atomic<int>> runs(parts);
    pool.Run(parts, [&](std::size_t part) { ++runs[part]; });
    EXPECT_TRUE(std::ranges::all_of(runs, [](const auto& count) { return count == 1; })) << parts;
  }
}

TEST(ThreadPool, ServesSeveralCallersAtOnce) {
  ThreadPool pool(3);
  constexpr std::size_t kCalls = 200, kParts = 17;
  std::atomic<std::size_t> sum = 0;
  {
    std::vector<std::jthread> callers;
    callers.reserve(4);
    for (int caller = 0; caller < 4; ++caller) {
      callers.emplace_back([&] {
        for (std::size_t call = 0; call < kCalls; ++call) {
          pool.Run(kParts, [&](std::size_t part) { sum += part; });
        }
      });
    }
  }
  EXPECT_EQ(sum, 4 * kCalls * (kParts * (kParts - 1) / 2));
}

TEST(ThreadPool, RethrowsWhatAPartThrowsAndGoesOn) {
  ThreadPool pool(2);
  const auto fail = [](std::size_t part) {
    if (part == 5) throw std::runtime_error("part 5");
  };
  EXPECT_THROW(pool.Run(10, fail), std::runtime_error);
  EXPECT_NO_THROW(pool.Run(5, fail));
}

TEST(ThreadPool, MayBeReplacedDuringACall) {
  std::atomic<int> parts = 0;
  std::jthread caller([&] {
    for (int call = 0; call < 50; ++call) Threads()->Run(8, [&](std::size_t) { ++parts; });
  });
  for (const unsigned threads : {1, 2, 3, 2, 0}) SetThreads(threads);
  caller.join();
  EXPECT_EQ(parts, 400);
}

TEST(StreamingCopy, CopiesEveryByteAtEveryAlignmentAndNoOther) {
  constexpr std::size_t kRoom = 2 * 64 + 3000000;
  std::vector<unsigned char> from(kRoom);
  for (std::size_t i = 0; i < kRoom; ++i) from[i] = static_cast<unsigned char>(i * 7 + i / 256);
  for (const std::size_t bytes : {0, 1, 63, 64, 257, 3000000}) {
    for (const std::size_t shift : {0, 1, 31, 63}) {
      std::vector<unsigned char> to(kRoom, 0xEE);
      StreamingCopy(to.data() + shift, from.data() + 5, bytes);
      EXPECT_EQ(std::memcmp(to.data() + shift, from.data() + 5, bytes), 0) << bytes << " " << shift;
      const auto untouched = [](unsigned char byte) { return byte == 0xEE; };
      const auto first = to.begin() + static_cast<std::ptrdiff_t>(shift);
      EXPECT_TRUE(std::all_of(to.begin(), first, untouched));
      EXPECT_TRUE(std::all_of(first + static_cast<std::ptrdiff_t>(bytes), to.end(), untouched));
    }
  }
}

}  // namespace
}  // namespace normgrad::cpu
