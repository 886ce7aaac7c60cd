// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include <hwy/aligned_allocator.h>

namespace normgrad::cpu {

/// Memory for what a thread is doing, aligned for vectors, whose bytes hold anything. The thread
/// keeps it for the next who asks: a call like the one before takes none from the system. Used and
/// destroyed on the thread that made it.
class Scratch {
 public:
  /// None for 0 bytes. Throws std::bad_alloc, std::system_error.
  explicit Scratch(std::size_t bytes);
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch();

  std::byte* data() const { return block_.memory.get(); }

  template <typename T>
  T* As() const {
    return reinterpret_cast<T*>(data());
  }

 private:
  struct Block {
    hwy::AlignedFreeUniquePtr<std::byte[]> memory;
    std::size_t bytes = 0;
  };
  struct Kept;

  Kept* kept_ = nullptr;  // of the thread
  Block block_;
};

}  // namespace normgrad::cpu
