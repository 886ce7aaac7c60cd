// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <vector>

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <pthread.h>

#include "kernels/cpu/copy.h"

namespace {

// How many more threads the system will start.
std::atomic<int> threads_left = std::numeric_limits<int>::max();

}  // namespace

// Stands before the system's: refuses once threads_left is used up.
extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                              void* (*start)(void*), void* argument) noexcept {
  if (threads_left-- <= 0) return EAGAIN;
  static const auto kSystem =
      reinterpret_cast<decltype(&pthread_create)>(dlsym(RTLD_NEXT, "pthread_create"));
  return kSystem(thread, attributes, start, argument);
}

namespace normgrad::cpu {
namespace {

TEST(ThreadPool, EndsTheThreadsItHasWhenTheSystemHasNoMore) {
  threads_left = 2;
  EXPECT_THROW(ThreadPool(8), std::system_error);
  threads_left = std::numeric_limits<int>::max();
}

// Queues may be working while the process exits, so the pool must be there to the very end.
TEST(ThreadPoolDeathTest, IsThereForWhateverRunsAtExit) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";  // a process that has made no pool yet
  const auto exit_after_use = [] {
    std::atexit([] {  // registered first, so run after everything that ends later
      std::atomic<int> parts = 0;
      Threads()->Run(8, [&](std::size_t) { ++parts; });
      std::_Exit(parts);
    });
    Threads()->Run(2, [](std::size_t) {});
    std::exit(0);
  };
  EXPECT_EXIT(exit_after_use(), testing::ExitedWithCode(8), "");
}

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
