// SPDX-License-Identifier: Apache-2.0
// The host as a device: its memory, its cores, and one worker thread per queue.
#include "kernels/api/backend.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <unistd.h>

#include "base/page_pool.h"
#include "kernels/cpu/backend_queue.h"
#include "kernels/cpu/caches.h"
#include "kernels/cpu/copy.h"
#include "kernels/cpu/instruction_set.h"
#include "kernels/cpu/move.h"
#include "kernels/cpu/thread_pool.h"

namespace normgrad::backend {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kSizeStep = 32;  // CANN's
// Below this, starting the other threads costs more than they bring.
constexpr std::size_t kStreamingBytes = std::size_t{1} << 20;

std::uint64_t Sysconf(int name) {
  const auto value = sysconf(name);
  return value < 0 ? 0 : static_cast<std::uint64_t>(value);
}

std::uint64_t MemoryBytes() {
  std::uint64_t bytes = Sysconf(_SC_PHYS_PAGES) * Sysconf(_SC_PAGESIZE);
  // A container's share, where there is one; the file says "max" where there is not.
  std::uint64_t share = 0;
  if (std::ifstream("/sys/fs/cgroup/memory.max") >> share) bytes = std::min(bytes, share);
  return bytes;
}

bool IsHuge(std::size_t bytes, bool huge_pages) {
  return huge_pages && bytes >= PagePool::kPageBytes;
}

/// Programs allocate tensors of the same sizes again and again.
PagePool& Pages() {
  constexpr std::size_t kMostKept = std::size_t{512} << 20;
  static auto& pool = *new PagePool(kMostKept);  // serves until the process ends
  return pool;
}

}  // namespace

const Facts& DeviceFacts() {
  static const Facts kFacts = {
      std::max(1U, std::thread::hardware_concurrency()),
      MemoryBytes(),
      cpu::LastLevelCacheBytes(),
  };
  return kFacts;
}

std::uint64_t FreeBytes() {
  std::ifstream meminfo("/proc/meminfo");
  for (std::string key; meminfo >> key;) {
    std::uint64_t kibibytes = 0;
    if (key == "MemAvailable:" && meminfo >> kibibytes) return kibibytes * 1024;
    meminfo.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return Sysconf(_SC_AVPHYS_PAGES) * Sysconf(_SC_PAGESIZE);
}

std::size_t TakenBytes(std::size_t bytes, bool huge_pages) {
  const std::size_t step = IsHuge(bytes, huge_pages) ? PagePool::kPageBytes : kSizeStep;
  return (bytes + step - 1) / step * step;
}

void* Allocate(std::size_t bytes, bool huge_pages) {
  if (IsHuge(bytes, huge_pages)) return Pages().Take(TakenBytes(bytes, huge_pages));
  // posix_memalign takes any size: AddressSanitizer sees the first byte behind the allocation.
  void* address = nullptr;
  return posix_memalign(&address, kAlignment, bytes) == 0 ? address : nullptr;
}

void Free(void* address, std::size_t bytes, bool huge_pages) {
  if (IsHuge(bytes, huge_pages)) {
    Pages().Give(address, TakenBytes(bytes, huge_pages));
  } else {
    std::free(address);
  }
}

const void* HostView(const void* device) { return device; }

void Copy(void* to, const void* from, std::size_t bytes) {
  const std::less<const void*> before;
  const bool apart =
      !before(static_cast<std::byte*>(to), static_cast<const std::byte*>(from) + bytes) ||
      !before(from, static_cast<std::byte*>(to) + bytes);
  if (apart && bytes >= kStreamingBytes) {
    cpu::StreamingCopy(to, from, bytes);
  } else {
    std::memmove(to, from, bytes);
  }
}

void Fill(void* to, std::uint8_t value, std::size_t bytes) { std::memset(to, value, bytes); }

std::unique_ptr<Queue> MakeQueue() { return std::make_unique<cpu::HostQueue>(); }
std::shared_ptr<Mark> MakeMark() { return std::make_shared<cpu::HostMark>(); }

void SetThreads(std::uint32_t threads) { cpu::SetThreads(threads); }

std::vector<std::string> InstructionSets() { return cpu::InstructionSets(); }

bool SetInstructionSet(std::string_view name) { return cpu::SetInstructionSet(name); }

void Move(normgradMotion motion, void* to, const void* a, const void* b, std::size_t bytes,
          std::uint32_t times) {
  switch (motion) {
    case NORMGRAD_READ: {
      const std::uint64_t sum = cpu::Sum(a, bytes, times);
      std::memcpy(to, &sum, sizeof sum);
      return;
    }
    case NORMGRAD_COPY: cpu::CachedCopy(to, a, bytes, times); return;
    case NORMGRAD_STREAMING_COPY: cpu::RepeatedStreamingCopy(to, a, bytes, times); return;
    case NORMGRAD_STREAMING_TRIAD: cpu::StreamingTriad(to, a, b, bytes, times); return;
  }
}

}  // namespace normgrad::backend
