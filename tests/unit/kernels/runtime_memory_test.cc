// SPDX-License-Identifier: Apache-2.0
// Device and host memory of the CPU device library.
#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>
#include <numeric>

#include "tests/unit/kernels/runtime_fixture.h"

namespace normgrad {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::Eq;
using testing::HasSubstr;

constexpr std::size_t kMebibyte = std::size_t{1} << 20;

class MemoryTest : public RuntimeTest {
 protected:
  std::size_t FreeBytes() {
    std::size_t free = 0, total = 0;
    EXPECT_EQ(aclrtGetMemInfo(ACL_HBM_MEM, &free, &total), ACL_SUCCESS);
    EXPECT_LE(free, total);
    return free;
  }
};

TEST_F(MemoryTest, AllocationsAreAlignedAndWritableToTheLastByte) {
  for (const std::size_t bytes :
       {std::size_t{1}, std::size_t{65}, kMebibyte, 2 * kMebibyte, 5 * kMebibyte + 3}) {
    for (const auto policy : {ACL_MEM_MALLOC_HUGE_FIRST, ACL_MEM_MALLOC_NORMAL_ONLY,
                              std::bit_cast<aclrtMemMallocPolicy>(99)}) {
      void* memory = nullptr;
      ASSERT_EQ(aclrtMalloc(&memory, bytes, policy), ACL_SUCCESS);
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory) % 64, 0U);
      EXPECT_EQ(aclrtMemset(memory, bytes, 0x1FF, bytes), ACL_SUCCESS);
      EXPECT_EQ(static_cast<std::uint8_t*>(memory)[bytes - 1], 0xFF);  // the low byte of the value
      EXPECT_EQ(aclrtFree(memory), ACL_SUCCESS);
    }
  }
}

TEST_F(MemoryTest, EveryMallocOfTheFamilyIsFreedByFree) {
  void* memory = nullptr;
  EXPECT_EQ(aclrtMallocAlign32(&memory, 100, ACL_MEM_MALLOC_HUGE_FIRST), ACL_SUCCESS);
  EXPECT_EQ(aclrtFree(memory), ACL_SUCCESS);
  EXPECT_EQ(aclrtMallocCached(&memory, 100, ACL_MEM_MALLOC_HUGE_FIRST), ACL_SUCCESS);
  EXPECT_EQ(aclrtMemFlush(memory, 100), ACL_SUCCESS);
  EXPECT_EQ(aclrtMemInvalidate(memory, 100), ACL_SUCCESS);
  EXPECT_EQ(aclrtMemInvalidate(memory, 101), 107000);
  EXPECT_EQ(aclrtMemFlush(memory, 0), 100000);
  EXPECT_EQ(aclrtMemFlush(nullptr, 1), 100000);
  EXPECT_EQ(aclrtFree(memory), ACL_SUCCESS);
  EXPECT_EQ(aclrtMallocWithCfg(&memory, 100, ACL_MEM_MALLOC_HUGE_FIRST, nullptr), ACL_SUCCESS);
  EXPECT_EQ(aclrtFree(memory), ACL_SUCCESS);
}

TEST_F(MemoryTest, AccountingFollowsEveryAllocation) {
  const std::size_t before = FreeBytes();
  void* const small = Malloc(1000);
  void* const large = Malloc(3 * kMebibyte);
  EXPECT_EQ(FreeBytes(), before - 1024 - 4 * kMebibyte);  // steps of 32 bytes, pages of 2 MiB
  EXPECT_EQ(aclrtFree(small), ACL_SUCCESS);
  EXPECT_EQ(FreeBytes(), before - 4 * kMebibyte);
  EXPECT_EQ(aclrtFree(large), ACL_SUCCESS);
  EXPECT_EQ(FreeBytes(), before);
}

TEST_F(MemoryTest, SeparatePoolsThereAreNone) {
  std::size_t free = 1, total = 1;
  EXPECT_EQ(aclrtGetMemInfo(ACL_HBM_MEM_HUGE1G, &free, &total), ACL_SUCCESS);
  EXPECT_EQ(free, 0U);
  EXPECT_EQ(total, 0U);
  EXPECT_EQ(aclrtGetMemInfo(ACL_DDR_MEM, nullptr, &total), 100000);
}

TEST_F(MemoryTest, MoreThanThereIsIsRefused) {
  void* memory = nullptr;
  EXPECT_EQ(aclrtMalloc(&memory, FreeBytes() + 1, ACL_MEM_MALLOC_HUGE_FIRST), 207001);
  EXPECT_THAT(ErrorText(), HasSubstr("free"));
  EXPECT_EQ(
      aclrtMalloc(&memory, std::numeric_limits<std::size_t>::max(), ACL_MEM_MALLOC_NORMAL_ONLY),
      207001);
  EXPECT_EQ(memory, nullptr);
}

TEST_F(MemoryTest, BadArgumentsAreRefused) {
  void* memory = nullptr;
  EXPECT_EQ(aclrtMalloc(&memory, 0, ACL_MEM_MALLOC_HUGE_FIRST), 100000);
  EXPECT_EQ(aclrtMalloc(nullptr, 1, ACL_MEM_MALLOC_HUGE_FIRST), 100000);
  EXPECT_EQ(aclrtMallocHost(&memory, 0), 100000);
  EXPECT_EQ(aclrtMallocHost(nullptr, 1), 100000);
  EXPECT_EQ(aclrtFree(nullptr), 100000);
  EXPECT_EQ(aclrtFreeHost(nullptr), 100000);
}

TEST_F(MemoryTest, TheHostReadsItInPlace) {
  std::uint8_t* memory = nullptr;
  ASSERT_EQ(aclrtMalloc(reinterpret_cast<void**>(&memory), 100, ACL_MEM_MALLOC_HUGE_FIRST),
            ACL_SUCCESS);
  ASSERT_EQ(aclrtMemset(memory, 100, 7, 100), ACL_SUCCESS);
  const void* host = nullptr;
  ASSERT_EQ(normgradHostView(memory + 90, &host), ACL_SUCCESS);
  EXPECT_EQ(static_cast<const std::uint8_t*>(host)[9], 7);
  EXPECT_EQ(normgradHostView(memory + 100, &host), 100000);
  EXPECT_THAT(ErrorText(), HasSubstr("is not within an allocation of aclrtMalloc"));
  EXPECT_EQ(normgradHostView(nullptr, &host), 100000);
  EXPECT_EQ(normgradHostView(memory, nullptr), 100000);
  EXPECT_THAT(ErrorText(), HasSubstr("normgradHostView: host is null"));
  EXPECT_EQ(aclrtFree(memory), ACL_SUCCESS);
}

TEST_F(MemoryTest, OnlyLiveAllocationsCanBeFreed) {
  int on_stack = 0;
  auto* const memory = static_cast<std::byte*>(Malloc(128));
  EXPECT_EQ(aclrtFree(memory + 64), 207002);
  EXPECT_EQ(aclrtFree(&on_stack), 207002);
  EXPECT_EQ(aclrtFreeHost(memory), 207002);
  EXPECT_EQ(aclrtFree(memory), ACL_SUCCESS);
  EXPECT_EQ(aclrtFree(memory), 207002);
  EXPECT_THAT(ErrorText(), HasSubstr("is not an address of aclrtMalloc, or was freed"));
  void* host = nullptr;
  ASSERT_EQ(aclrtMallocHost(&host, 3 * kMebibyte), ACL_SUCCESS);
  EXPECT_EQ(aclrtFree(host), 207002);
  EXPECT_EQ(aclrtFreeHost(host), ACL_SUCCESS);
}

TEST_F(MemoryTest, TheDeviceTakesItsMemoryWithIt) {
  void* const memory = Malloc(128);
  ASSERT_EQ(aclrtResetDevice(0), ACL_SUCCESS);
  ASSERT_EQ(aclrtSetDevice(0), ACL_SUCCESS);
  EXPECT_EQ(aclrtFree(memory), 207002);
}

TEST_F(MemoryTest, CopiesCheckRoomPointersAndKind) {
  std::uint8_t from[4] = {1, 2, 3, 4}, to[4] = {};
  EXPECT_EQ(aclrtMemcpy(to, 3, from, 4, ACL_MEMCPY_HOST_TO_HOST), 107000);
  EXPECT_THAT(ErrorText(), HasSubstr("4 bytes do not fit into 3"));
  EXPECT_EQ(aclrtMemcpy(nullptr, 4, from, 4, ACL_MEMCPY_HOST_TO_HOST), 100000);
  EXPECT_EQ(aclrtMemcpy(to, 4, nullptr, 4, ACL_MEMCPY_HOST_TO_HOST), 100000);
  EXPECT_EQ(aclrtMemcpy(to, 4, from, 4, std::bit_cast<aclrtMemcpyKind>(77)), 100000);
  EXPECT_EQ(aclrtMemcpy(to, 4, from, 4, ACL_MEMCPY_INNER_DEVICE_TO_DEVICE), 100000);
  EXPECT_EQ(aclrtMemcpy(nullptr, 0, nullptr, 0, ACL_MEMCPY_HOST_TO_HOST), ACL_SUCCESS);
  EXPECT_THAT(to, Each(Eq(0)));
  EXPECT_EQ(aclrtMemcpy(to, 4, to, 4, ACL_MEMCPY_HOST_TO_HOST), ACL_SUCCESS);
  EXPECT_EQ(aclrtMemcpy(to, 4, from, 3, ACL_MEMCPY_HOST_TO_HOST), ACL_SUCCESS);
  EXPECT_THAT(to, ElementsAre(1, 2, 3, 0));
}

TEST_F(MemoryTest, FillsCheckRoomAndPointer) {
  auto* const memory = static_cast<std::uint8_t*>(Upload(std::vector<std::uint8_t>{1, 2, 3}));
  EXPECT_EQ(aclrtMemset(memory, 2, 7, 3), 107000);
  EXPECT_EQ(aclrtMemset(nullptr, 3, 7, 3), 100000);
  EXPECT_EQ(aclrtMemset(nullptr, 0, 7, 0), ACL_SUCCESS);
  EXPECT_EQ(aclrtMemsetAsync(memory, 2, 7, 3, stream_), 107000);
  EXPECT_EQ(aclrtMemset(memory, 3, 7, 2), ACL_SUCCESS);
  EXPECT_THAT(Download<std::uint8_t>(memory, 3), ElementsAre(7, 7, 3));
}

TEST_F(MemoryTest, DeviceRangesLieWithinAnAllocation) {
  std::uint8_t host[128] = {};
  auto* const memory = static_cast<std::uint8_t*>(Malloc(100));
  ASSERT_EQ(aclrtMemset(memory, 100, 1, 100), ACL_SUCCESS);
  EXPECT_EQ(aclrtMemset(memory, 101, 2, 101), 107000);
  EXPECT_THAT(ErrorText(), HasSubstr("101 bytes on is not within an allocation"));
  EXPECT_EQ(aclrtMemset(memory - 1, 3, 2, 3), 107000);  // begins before it and reaches into it
  EXPECT_EQ(aclrtMemsetAsync(memory + 50, 51, 2, 51, stream_), 107000);
  EXPECT_EQ(aclrtMemcpy(memory, 101, host, 101, ACL_MEMCPY_HOST_TO_DEVICE), 107000);
  EXPECT_EQ(aclrtMemcpy(host, 128, memory, 101, ACL_MEMCPY_DEVICE_TO_HOST), 107000);
  EXPECT_EQ(aclrtMemcpyAsync(host, 128, memory + 99, 2, ACL_MEMCPY_DEVICE_TO_HOST, stream_),
            107000);
  EXPECT_THAT(Download<std::uint8_t>(memory, 100), Each(Eq(1)));
  EXPECT_EQ(aclrtMemset(host, 128, 3, 128), ACL_SUCCESS);  // the host's may be set, too
  EXPECT_EQ(host[127], 3);
}

TEST_F(MemoryTest, AsynchronousCopiesGoTheWayTheirKindSays) {
  std::uint8_t host[8] = {};
  void* const memory = Malloc(8);
  void* const other = Malloc(8);
  const auto copy = [&](void* to, const void* from, aclrtMemcpyKind kind) {
    return aclrtMemcpyAsync(to, 8, from, 8, kind, stream_);
  };
  EXPECT_EQ(copy(host, memory, ACL_MEMCPY_HOST_TO_DEVICE), 107000);
  EXPECT_THAT(ErrorText(),
              HasSubstr("kind 1 copies host to device, the pointers are device to host"));
  EXPECT_EQ(copy(memory, host, ACL_MEMCPY_DEVICE_TO_HOST), 107000);
  EXPECT_EQ(copy(memory, host, ACL_MEMCPY_DEVICE_TO_DEVICE), 107000);
  EXPECT_EQ(copy(memory, other, ACL_MEMCPY_HOST_TO_BUF_TO_DEVICE), 107000);
  EXPECT_EQ(copy(memory, host, ACL_MEMCPY_HOST_TO_BUF_TO_DEVICE), ACL_SUCCESS);
  EXPECT_EQ(copy(memory, other, ACL_MEMCPY_INNER_DEVICE_TO_DEVICE), ACL_SUCCESS);
  EXPECT_EQ(copy(host, memory, ACL_MEMCPY_DEFAULT), ACL_SUCCESS);
  EXPECT_EQ(aclrtSynchronizeStream(stream_), ACL_SUCCESS);
}

TEST_F(MemoryTest, LargeCopiesAreExactAtAnyAlignment) {
  std::vector<std::uint8_t> values(3 * kMebibyte + 5);
  std::iota(values.begin(), values.end(), std::uint8_t{0});
  auto* const from = static_cast<std::uint8_t*>(Upload(values));
  auto* const to = static_cast<std::uint8_t*>(Malloc(values.size()));
  const std::size_t count = values.size() - 2;
  ASSERT_EQ(aclrtMemset(to, values.size(), 0, values.size()), ACL_SUCCESS);
  ASSERT_EQ(aclrtMemcpyAsync(to + 1, count, from + 2, count, ACL_MEMCPY_DEVICE_TO_DEVICE, stream_),
            ACL_SUCCESS);
  ASSERT_EQ(aclrtSynchronizeStream(stream_), ACL_SUCCESS);
  const auto copied = Download<std::uint8_t>(to, values.size());
  EXPECT_EQ(copied.front(), 0);
  EXPECT_EQ(copied.back(), 0);
  EXPECT_TRUE(std::equal(copied.begin() + 1, copied.end() - 1, values.begin() + 2));
}

TEST_F(MemoryTest, CopiesThatOverlapMoveTheBytes) {
  std::vector<std::uint8_t> values(2 * kMebibyte);
  std::iota(values.begin(), values.end(), std::uint8_t{0});
  auto* const memory = static_cast<std::uint8_t*>(Upload(values));
  const std::size_t count = values.size() - 1;
  ASSERT_EQ(aclrtMemcpy(memory + 1, count, memory, count, ACL_MEMCPY_DEVICE_TO_DEVICE),
            ACL_SUCCESS);
  EXPECT_TRUE(std::equal(values.begin(), values.end() - 1, memory + 1));
}

TEST_F(MemoryTest, AsynchronousCopiesOfPageableMemoryAreDoneOnReturn) {
  std::vector<std::uint8_t> values(16, 3);
  void* const memory = Malloc(16);
  ASSERT_EQ(aclrtMemcpyAsync(memory, 16, values.data(), 16, ACL_MEMCPY_HOST_TO_DEVICE, stream_),
            ACL_SUCCESS);
  EXPECT_THAT(Download<std::uint8_t>(memory, 16), Each(Eq(3)));
  EXPECT_EQ(
      aclrtMemcpyAsync(values.data(), 16, values.data() + 8, 8, ACL_MEMCPY_HOST_TO_HOST, stream_),
      207000);
  EXPECT_EQ(
      aclrtMemcpyAsync(memory, 16, values.data(), 16, std::bit_cast<aclrtMemcpyKind>(8), stream_),
      100000);
  EXPECT_EQ(aclrtMemcpyAsync(memory, 15, values.data(), 16, ACL_MEMCPY_HOST_TO_DEVICE, stream_),
            107000);
}

TEST_F(MemoryTest, AsynchronousCopiesOfPinnedMemoryWaitForTheStream) {
  void* host = nullptr;
  ASSERT_EQ(aclrtMallocHost(&host, 16), ACL_SUCCESS);
  void* const memory = Upload(std::vector<std::uint8_t>(16, 1));
  const aclrtEvent gate = NewEvent();
  ASSERT_EQ(aclrtStreamWaitEvent(stream_, gate), ACL_SUCCESS);
  ASSERT_EQ(aclrtMemset(host, 16, 2, 16), ACL_SUCCESS);
  ASSERT_EQ(aclrtMemcpyAsync(memory, 16, host, 16, ACL_MEMCPY_HOST_TO_DEVICE, stream_),
            ACL_SUCCESS);
  EXPECT_THAT(Download<std::uint8_t>(memory, 16), Each(Eq(1)));
  ASSERT_EQ(aclrtRecordEvent(gate, nullptr), ACL_SUCCESS);
  ASSERT_EQ(aclrtSynchronizeStream(stream_), ACL_SUCCESS);
  EXPECT_THAT(Download<std::uint8_t>(memory, 16), Each(Eq(2)));
  EXPECT_EQ(aclrtFreeHost(host), ACL_SUCCESS);
}

}  // namespace
}  // namespace normgrad
