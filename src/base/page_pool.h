// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <deque>
#include <mutex>

namespace normgrad {

/// Memory in large pages, kept for the next taker: a system clears every page before it gives it
/// away, which may take longer than all that is computed in it. Thread-safe.
///
/// Kept memory serves takers of exactly its size, the sizes of a case like the one before. Where
/// there is none of that size, all that is kept is given back first, so that no more is held than
/// without a pool.
class PagePool {
 public:
  static constexpr std::size_t kPageBytes = std::size_t{2} << 20;

  explicit PagePool(std::size_t most_kept_bytes) : most_kept_(most_kept_bytes) {}
  PagePool(const PagePool&) = delete;
  PagePool& operator=(const PagePool&) = delete;
  ~PagePool() { Release(); }

  /// Whole pages that start on one; `bytes` is a multiple of kPageBytes. They hold anything. Null
  /// where the system has no more.
  void* Take(std::size_t bytes);
  /// What Take(bytes) gave.
  void Give(void* address, std::size_t bytes);
  /// Gives back to the system what is kept.
  void Release();

 private:
  struct Block {
    void* address;
    std::size_t bytes;
  };

  std::mutex mutex_;
  std::deque<Block> kept_;  // the oldest first
  std::size_t kept_bytes_ = 0;
  std::size_t most_kept_;
};

}  // namespace normgrad
