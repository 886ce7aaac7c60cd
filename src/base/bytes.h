// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

namespace normgrad {

/// Memory for `bytes` bytes that hold anything: from two megabytes on in large pages, which are
/// kept for the next taker (PagePool). Throws std::bad_alloc.
void* TakeTensorMemory(std::size_t bytes);
void GiveTensorMemory(void* address, std::size_t bytes) noexcept;

/// Allocates tensors. Elements that nobody gives a value have none: what is as large as a tensor is
/// not written twice.
template <typename T>
struct TensorAllocator {
  using value_type = T;

  TensorAllocator() = default;
  template <typename U>
  explicit TensorAllocator(const TensorAllocator<U>&) {}

  T* allocate(std::size_t count) { return static_cast<T*>(TakeTensorMemory(count * sizeof(T))); }
  void deallocate(T* address, std::size_t count) noexcept {
    GiveTensorMemory(address, count * sizeof(T));
  }

  template <typename U>
  void construct(U* at) noexcept(std::is_nothrow_default_constructible_v<U>) {
    ::new (static_cast<void*>(at)) U;
  }
  template <typename U, typename... Args>
  void construct(U* at, Args&&... args) {
    std::construct_at(at, std::forward<Args>(args)...);
  }

  template <typename U>
  bool operator==(const TensorAllocator<U>&) const {
    return true;
  }
};

/// The elements of a tensor on the host. Bytes(count) holds anything.
using Bytes = std::vector<std::byte, TensorAllocator<std::byte>>;

/// Asks for the cache lines of `bytes` bytes from `address` on, which need not be anybody's memory.
inline void Prefetch(const std::byte* address, std::size_t bytes) {
  constexpr std::size_t kCacheLine = 64;
  for (std::size_t at = 0; at < bytes; at += kCacheLine) __builtin_prefetch(address + at);
}

}  // namespace normgrad
