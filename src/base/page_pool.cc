// SPDX-License-Identifier: Apache-2.0
#include "base/page_pool.h"

#include <algorithm>
#include <memory>

#include <sys/mman.h>

namespace normgrad {
namespace {

void* Map(std::size_t bytes) {
  constexpr std::size_t kPage = PagePool::kPageBytes;
  const std::size_t padded = bytes + kPage;
  void* const mapped =
      ::mmap(nullptr, padded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  auto* const first = static_cast<std::byte*>(mapped);
  void* aligned = mapped;
  std::size_t space = padded;
  std::align(kPage, bytes, aligned, space);
  const auto before = static_cast<std::size_t>(static_cast<std::byte*>(aligned) - first);
  if (before > 0) ::munmap(mapped, before);
  ::munmap(static_cast<std::byte*>(aligned) + bytes, padded - before - bytes);
  ::madvise(aligned, bytes, MADV_HUGEPAGE);  // a wish; without it everything works, slower
  return aligned;
}

}  // namespace

void* PagePool::Take(std::size_t bytes) {
  {
    const std::lock_guard lock(mutex_);
    // The one given last is the likeliest to be in a cache.
    const auto found = std::ranges::find(kept_.rbegin(), kept_.rend(), bytes, &Block::bytes);
    if (found != kept_.rend()) {
      void* const address = found->address;
      kept_.erase(std::next(found).base());
      kept_bytes_ -= bytes;
      return address;
    }
  }
  Release();
  return Map(bytes);
}

void PagePool::Give(void* address, std::size_t bytes) {
  if (bytes > most_kept_) {
    ::munmap(address, bytes);
    return;
  }
  const std::lock_guard lock(mutex_);
  while (kept_bytes_ + bytes > most_kept_) {
    ::munmap(kept_.front().address, kept_.front().bytes);
    kept_bytes_ -= kept_.front().bytes;
    kept_.pop_front();
  }
  kept_.push_back({address, bytes});
  kept_bytes_ += bytes;
}

void PagePool::Release() {
  const std::lock_guard lock(mutex_);
  for (const Block& block : kept_) ::munmap(block.address, block.bytes);
  kept_.clear();
  kept_bytes_ = 0;
}

}  // namespace normgrad
