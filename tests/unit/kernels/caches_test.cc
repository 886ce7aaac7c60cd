// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/caches.h"

#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

namespace normgrad::cpu {
namespace {

TEST(CacheBytes, AreWhatTheSystemSaysOrUnknown) {
  const std::string path = testing::TempDir() + "/cache_size";
  std::ofstream(path) << "32768K\n";
  EXPECT_EQ(ReadCacheBytes(path.c_str()), std::size_t{32} << 20);
  std::filesystem::remove(path);
  EXPECT_EQ(ReadCacheBytes(path.c_str()), 0U);
}

TEST(CacheBytes, AreWhatIsAssumedUntilNothingIs) {
  const std::size_t first_level = FirstLevelCacheBytes(), last_level = LastLevelCacheBytes();
  AssumeFirstLevelCache(std::size_t{48} << 10);
  AssumeLastLevelCache(1);
  EXPECT_EQ(FirstLevelCacheBytes(), std::size_t{48} << 10);
  EXPECT_EQ(LastLevelCacheBytes(), 1U);
  AssumeFirstLevelCache({});
  AssumeLastLevelCache({});
  EXPECT_EQ(FirstLevelCacheBytes(), first_level);
  EXPECT_EQ(LastLevelCacheBytes(), last_level);
}

TEST(FirstLevelCache, IsLargeFrom48KibibytesOn) {
  for (const std::size_t kibibytes : {0, 32, 47}) {
    AssumeFirstLevelCache(kibibytes << 10);
    EXPECT_FALSE(HasLargeFirstLevelCache()) << kibibytes;
  }
  AssumeFirstLevelCache(std::size_t{48} << 10);
  EXPECT_TRUE(HasLargeFirstLevelCache());
  AssumeFirstLevelCache({});
}

TEST(ExceedsCaches, FromHalfOfTheLastLevelOnOfACommonOneWhereItIsUnknown) {
  for (const std::size_t bytes : {std::size_t{8} << 20, std::size_t{0}}) {
    AssumeLastLevelCache(bytes);
    const std::size_t half = bytes > 0 ? bytes / 2 : std::size_t{16} << 20;
    EXPECT_FALSE(ExceedsCaches(half));
    EXPECT_TRUE(ExceedsCaches(half + 1));
  }
  AssumeLastLevelCache({});
}

}  // namespace
}  // namespace normgrad::cpu
