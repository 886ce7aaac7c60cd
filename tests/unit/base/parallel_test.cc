// SPDX-License-Identifier: Apache-2.0
#include "base/parallel.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace normgrad {
namespace {

class ParallelForOnThreads : public testing::TestWithParam<unsigned> {};

INSTANTIATE_TEST_SUITE_P(Counts, ParallelForOnThreads, testing::Values(0U, 1U, 2U, 7U));

TEST_P(ParallelForOnThreads, CallsEveryIndexOnce) {
  for (const std::size_t count : {0U, 1U, 3U, 1000U}) {
    std::vector<std::atomic<int>> calls(count);
    ParallelFor(count, GetParam(), [&](std::size_t i) { ++calls[i]; });
    EXPECT_TRUE(std::ranges::all_of(calls, [](const auto& n) { return n == 1; })) << count;
  }
}

TEST_P(ParallelForOnThreads, RethrowsAndStopsHandingOutIndices) {
  std::atomic<std::size_t> calls = 0;
  EXPECT_THAT(
      [&] {
        ParallelFor(1'000'000, GetParam(), [&](std::size_t) {
          ++calls;
          throw std::runtime_error("out of luck");
        });
      },
      testing::ThrowsMessage<std::runtime_error>("out of luck"));
  // Every thread that started a body before the first one failed may have thrown as well.
  EXPECT_LE(calls, std::max(GetParam(), 1U));
}

TEST(ParallelFor, MayBeCalledFromWithinABodyAndFromSeveralThreads) {
  std::vector<std::atomic<int>> calls(64);
  const auto nested = [&] {
    ParallelFor(8, 3, [&](std::size_t i) {
      ParallelFor(8, 3, [&](std::size_t j) { ++calls[8 * i + j]; });
    });
  };
  {
    const std::jthread other(nested);
    for (int i = 0; i < 100; ++i) nested();
  }
  EXPECT_TRUE(std::ranges::all_of(calls, [](const auto& n) { return n == 101; }));
}

TEST_P(ParallelForOnThreads, UsesWhatOneThreadMakesBeforeItsPlaceIsTakenAgain) {
  const auto maker = std::this_thread::get_id();
  std::array<std::size_t, kPlaces> places{};
  std::vector<std::atomic<int>> used(1000);
  const auto make = [&](std::size_t i) {
    EXPECT_EQ(std::this_thread::get_id(), maker);
    places[i % kPlaces] = i;
    return true;
  };
  MakeAndUse(used.size(), GetParam(), make, [&](std::size_t i) {
    if (places[i % kPlaces] == i) ++used[i];
  });
  EXPECT_TRUE(std::ranges::all_of(used, [](const auto& n) { return n == 1; }));
}

TEST_P(ParallelForOnThreads, UsesWhatWasMadeBeforeTheEnd) {
  std::atomic<int> used = 0;
  MakeAndUse(
      1000, GetParam(), [](std::size_t i) { return i < 10; }, [&](std::size_t) { ++used; });
  EXPECT_EQ(used, 10);
  const auto fail = [](std::size_t i) {
    if (i == 10) throw std::runtime_error("out of luck");
    return true;
  };
  EXPECT_THAT([&] { MakeAndUse(1000, GetParam(), fail, [&](std::size_t) { ++used; }); },
              testing::ThrowsMessage<std::runtime_error>("out of luck"));
  EXPECT_EQ(used, 20);
}

TEST(ParallelFor, StaysOnTheCallersThreadWhenAskedForOne) {
  std::thread::id seen;
  ParallelFor(1, 1, [&](std::size_t) { seen = std::this_thread::get_id(); });
  EXPECT_EQ(seen, std::this_thread::get_id());
}

}  // namespace
}  // namespace normgrad
