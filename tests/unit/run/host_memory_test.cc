// SPDX-License-Identifier: Apache-2.0
// How much memory of the host a case takes beside the device's own: every byte that the tool
// allocates is counted.
#include <atomic>
#include <cstdlib>
#include <new>

#include <gtest/gtest.h>
#include <malloc.h>

#include "cpu_device.h"
#include "ops/operators.h"
#include "run/executor.h"

namespace {

std::atomic<std::size_t> live_bytes = 0, most_bytes = 0;

void* Counted(void* address) {
  if (address == nullptr) throw std::bad_alloc();
  const std::size_t live = live_bytes += malloc_usable_size(address);
  for (std::size_t most = most_bytes; most < live;) {
    if (most_bytes.compare_exchange_weak(most, live)) break;
  }
  return address;
}

void Discard(void* address) {
  if (address != nullptr) live_bytes -= malloc_usable_size(address);
  std::free(address);
}

}  // namespace

// The CPU device takes the memory of its tensors from the system: it is not counted.
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

/// The most host bytes at a time while the checks of `the_case` are answered.
std::size_t MostBytes(const Case& the_case) {
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

}  // namespace
}  // namespace normgrad
