// SPDX-License-Identifier: Apache-2.0
#include "base/bytes.h"

#include <cstring>
#include <new>

#include "base/page_pool.h"
#include "base/sanitized.h"

namespace normgrad {
namespace {

// About the tensors of a case that is large enough for the clearing of pages to show.
constexpr std::size_t kMostKept = std::size_t{512} << 20;

PagePool& Pool() {
  static auto& pool = *new PagePool(kMostKept);  // gives and takes until the process ends
  return pool;
}

bool IsLarge(std::size_t bytes) { return !kSanitized && bytes >= PagePool::kPageBytes; }

std::size_t WholePages(std::size_t bytes) {
  return (bytes + PagePool::kPageBytes - 1) / PagePool::kPageBytes * PagePool::kPageBytes;
}

}  // namespace

void* TakeTensorMemory(std::size_t bytes) {
  void* const address = IsLarge(bytes) ? Pool().Take(WholePages(bytes)) : ::operator new(bytes);
  if (address == nullptr) throw std::bad_alloc();
#ifndef NDEBUG
  std::memset(address, 0xCD, bytes);  // whoever counts on zeros is seen to
#endif
  return address;
}

void GiveTensorMemory(void* address, std::size_t bytes) noexcept {
  if (IsLarge(bytes)) {
    Pool().Give(address, WholePages(bytes));
  } else {
    ::operator delete(address);
  }
}

}  // namespace normgrad
