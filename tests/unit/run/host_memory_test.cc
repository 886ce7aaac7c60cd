// SPDX-License-Identifier: Apache-2.0
// How much memory of the host a case takes beside the device's own: every byte that the tool
// allocates or maps is counted, what it keeps for the next case too.
#include <atomic>
#include <cstdlib>
#include <new>

#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/mman.h>

#include "base/bytes.h"
#include "base/sanitized.h"
#include "cpu_device.h"
#include "ops/operators.h"
#include "run/executor.h"
#include "run/plan.h"

namespace {

std::atomic<std::size_t> live_bytes = 0, most_bytes = 0;

void Count(std::size_t bytes) {
  const std::size_t live = live_bytes += bytes;
  for (std::size_t most = most_bytes; most < live;) {
    if (most_bytes.compare_exchange_weak(most, live)) break;
  }
}

void* Counted(void* address) {
  if (address == nullptr) throw std::bad_alloc();
  Count(malloc_usable_size(address));
  return address;
}

void Discard(void* address) {
  if (address != nullptr) live_bytes -= malloc_usable_size(address);
  std::free(address);
}

}  // namespace

// The linker leads what this program calls, and no library that it loads, here: the memory of large
// tensors, unless a sanitizer is on, and not that of the CPU device.
// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming): the linker's names
extern "C" {
void* __real_mmap(void* address, std::size_t bytes, int protection, int flags, int file, off_t at);
void* __wrap_mmap(void* address, std::size_t bytes, int protection, int flags, int file, off_t at) {
  void* const mapped = __real_mmap(address, bytes, protection, flags, file, at);
  if (mapped != MAP_FAILED) Count(bytes);
  return mapped;
}
int __real_munmap(void* address, std::size_t bytes);
int __wrap_munmap(void* address, std::size_t bytes) {
  live_bytes -= bytes;
  return __real_munmap(address, bytes);
}
}
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)

void* operator new(std::size_t bytes) { return Counted(std::malloc(bytes)); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  const auto align = static_cast<std::size_t>(alignment);
  return Counted(std::aligned_alloc(align, (bytes + align - 1) / align * align));
}
void operator delete(void* address) noexcept { Discard(address); }
void operator delete(void* address, std::size_t) noexcept { Discard(address); }
void operator delete(void* address, std::align_val_t) noexcept { Discard(address); }
void operator delete(void* address, std::size_t, std::align_val_t) noexcept { Discard(address); }

namespace normgrad {
namespace {

/// Of cases before: no memory that is kept is as large as this.
void GiveBackWhatIsKept() {
  constexpr std::size_t kMore = std::size_t{1} << 30;
  if (!kSanitized) GiveTensorMemory(TakeTensorMemory(kMore), kMore);
}

/// The most host bytes at a time while the checks of `the_case` are answered.
std::size_t MostBytes(const Case& the_case) {
  GiveBackWhatIsKept();
  const std::size_t before = live_bytes;
  most_bytes = before;
  CheckOptions options;
  options.threads = 2;
  const Result result = InProcessExecutor(CpuDevice(), options, [](const Case&, std::string_view) {
                        }).Execute(the_case);
  EXPECT_EQ(result.outcome, Outcome::kPassed) << result.reason;
  return most_bytes - before;
}

Case CaseOf(DType data, LayoutKind layout) {
  Case the_case;
  the_case.op = &kRmsNormGrad;
  the_case.product = "atlas-a2";
  the_case.dims = {{"A", {1024}}, {"R", {4096}}};
  the_case.dtypes = {data, DType::kFloat32, DType::kFloat32, DType::kFloat32};
  the_case.checks = {"accuracy", "memory"};
  the_case.layout = layout;
  return the_case;
}

// What does not grow with the tensors: pieces, tiles and sums.
constexpr std::size_t kScratchBytes = std::size_t{8} << 20;

TEST(HostMemory, IsLittleMoreThanTheTensors) {
  for (const DType data : {DType::kFloat32, DType::kFloat16}) {
    const Case the_case = CaseOf(data, LayoutKind::kContiguous);
    EXPECT_LE(HostBytes(the_case), StorageBytes(the_case)) << "nothing is kept twice";
    EXPECT_LE(MostBytes(the_case), HostBytes(the_case) + kScratchBytes);
  }
}

TEST(HostMemory, IsBoundedForStridedTensorsToo) {
  const Case the_case = CaseOf(DType::kFloat32, LayoutKind::kStrided);
  EXPECT_LE(MostBytes(the_case), HostBytes(the_case) + kScratchBytes);
}

// Checks that compare launches with each other keep some of what they compare.
TEST(HostMemory, OfOtherChecksIsWhatThePlanSays) {
  for (const char* const check : {"determinism", "batch", "invariants"}) {
    for (const DType data : {DType::kFloat32, DType::kFloat16}) {
      Case the_case = CaseOf(data, LayoutKind::kContiguous);
      the_case.checks = {check};
      EXPECT_LE(MostBytes(the_case), HostBytesFor(the_case) + kScratchBytes) << check;
    }
  }
}

}  // namespace
}  // namespace normgrad
