// SPDX-License-Identifier: Apache-2.0
#include "base/page_pool.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <thread>

#include <gtest/gtest.h>

#include "base/bytes.h"

namespace normgrad {
namespace {

constexpr std::size_t kPage = PagePool::kPageBytes;

TEST(PagePool, GivesWholePagesThatStartOnOne) {
  PagePool pool(kPage);
  void* const pages = pool.Take(3 * kPage);
  ASSERT_NE(pages, nullptr);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(pages) % kPage, 0U);
  std::memset(pages, 1, 3 * kPage);
  pool.Give(pages, 3 * kPage);
}

TEST(PagePool, KeepsForTheNextTakerOfThatSize) {
  PagePool pool(4 * kPage);
  void* const one = pool.Take(kPage);
  void* const two = pool.Take(2 * kPage);
  std::memset(two, 7, 2 * kPage);
  pool.Give(one, kPage);
  pool.Give(two, 2 * kPage);
  EXPECT_EQ(pool.Take(2 * kPage), two);
  EXPECT_EQ(static_cast<unsigned char*>(two)[2 * kPage - 1], 7) << "kept as it was";
  EXPECT_EQ(pool.Take(kPage), one);
  pool.Give(one, kPage);
  pool.Give(two, 2 * kPage);
}

TEST(PagePool, KeepsNoMoreThanItMayTheOldestGoFirst) {
  PagePool pool(2 * kPage);
  void* const oldest = pool.Take(kPage);
  void* const middle = pool.Take(kPage);
  void* const newest = pool.Take(kPage);
  std::memset(oldest, 7, kPage);
  std::memset(middle, 8, kPage);
  std::memset(newest, 9, kPage);
  pool.Give(oldest, kPage);
  pool.Give(middle, kPage);
  pool.Give(newest, kPage);
  EXPECT_EQ(pool.Take(kPage), newest);
  EXPECT_EQ(pool.Take(kPage), middle);
  auto* const fresh = static_cast<unsigned char*>(pool.Take(kPage));
  EXPECT_EQ(fresh[0], 0) << "from the system, which clears it";
  for (void* const page : {static_cast<void*>(fresh), newest, middle}) pool.Give(page, kPage);
}

TEST(PagePool, GivesBackWhatIsKeptBeforeItAsksForMore) {
  PagePool pool(4 * kPage);
  auto* const page = static_cast<unsigned char*>(pool.Take(kPage));
  page[0] = 7;
  pool.Give(page, kPage);
  void* const other = pool.Take(2 * kPage);
  auto* const again = static_cast<unsigned char*>(pool.Take(kPage));
  EXPECT_EQ(again[0], 0) << "not the one that was kept";
  pool.Give(again, kPage);
  pool.Give(other, 2 * kPage);
}

TEST(PagePool, NeverGivesMoreThanOneTakerTheSame) {
  PagePool pool(8 * kPage);
  const auto work = [&](unsigned char mark) {
    for (int i = 0; i < 200; ++i) {
      auto* const page = static_cast<unsigned char*>(pool.Take(kPage));
      page[0] = mark;
      page[kPage - 1] = mark;
      std::this_thread::yield();
      ASSERT_EQ(page[0], mark);
      ASSERT_EQ(page[kPage - 1], mark);
      pool.Give(page, kPage);
    }
  };
  std::thread other([&] { work(1); });
  work(2);
  other.join();
}

TEST(Bytes, HoldWhatIsPutIntoThem) {
  for (const std::size_t count : {std::size_t{0}, std::size_t{3}, (std::size_t{5} << 20) + 1}) {
    Bytes bytes(count, std::byte{7});
    EXPECT_EQ(bytes.size(), count);
    bytes.push_back(std::byte{8});
    const Bytes copy = bytes;
    EXPECT_EQ(copy, bytes);
    EXPECT_EQ(copy.back(), std::byte{8});
    EXPECT_EQ(std::ranges::count(copy, std::byte{7}), count);
  }
}

}  // namespace
}  // namespace normgrad
