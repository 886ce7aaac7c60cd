// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/thread_pool.h"

#include <algorithm>
#include <utility>

#include <hwy/cache_control.h>

namespace normgrad::cpu {
namespace {

constexpr std::uint32_t kOpen = 1U << 31;

// An idle worker polls about as long as waking it up would take (tens of microseconds), because
// calls come in bursts: the phases of one kernel, the iterations of a benchmark.
constexpr int kPolls = 1000;

/// Returns when `value` is no longer `old`.
void AwaitChange(const std::atomic<std::uint32_t>& value, std::uint32_t old) {
  for (int poll = 0; poll < kPolls; ++poll) {
    if (value.load(std::memory_order_acquire) != old) return;
    hwy::Pause();
  }
  value.wait(old, std::memory_order_acquire);
}

struct SharedPool {
  std::mutex mutex;
  std::shared_ptr<ThreadPool> pool;
};

SharedPool& Shared() {
  static auto& shared = *new SharedPool;  // queues work until the process ends
  return shared;
}

}  // namespace

ThreadPool::ThreadPool(unsigned threads)
    : shares_(threads > 0 ? threads : std::max(1U, std::thread::hardware_concurrency())) {
  workers_.reserve(shares_.size() - 1);
  try {
    for (std::size_t i = 1; i < shares_.size(); ++i) workers_.emplace_back([this, i] { Serve(i); });
  } catch (...) {
    Stop();  // those that did start, which are joined on the way out
    throw;
  }
}

ThreadPool::~ThreadPool() { Stop(); }

void ThreadPool::Stop() {
  stop_ = true;
  ++calls_;
  calls_.notify_all();
}

void ThreadPool::RunErased(std::size_t parts, Invoke invoke, void* object) {
  std::unique_lock<std::mutex> served(caller_, std::defer_lock);
  if (parts <= 1 || workers_.empty() || !served.try_lock()) {
    for (std::size_t part = 0; part < parts; ++part) invoke(object, part);
    return;
  }
  invoke_ = invoke;
  object_ = object;
  used_shares_ = std::min(parts, shares_.size());
  for (std::size_t i = 0; i < used_shares_; ++i) {
    shares_[i].next.store(parts * i / used_shares_, std::memory_order_relaxed);
    shares_[i].end = parts * (i + 1) / used_shares_;
  }
  gate_.store(kOpen, std::memory_order_release);
  calls_.fetch_add(1, std::memory_order_release);
  calls_.notify_all();
  Work(0);
  // Every part has been taken: close the gate and wait for the workers that are inside.
  std::uint32_t inside = gate_.fetch_and(~kOpen, std::memory_order_acq_rel) & ~kOpen;
  while (inside != 0) {
    AwaitChange(gate_, inside);
    inside = gate_.load(std::memory_order_acquire);
  }
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void ThreadPool::Work(std::size_t thread) {
  try {
    for (std::size_t i = 0; i < used_shares_; ++i) {
      Share& share = shares_[(thread + i) % used_shares_];
      for (std::size_t part = share.next++; part < share.end; part = share.next++) {
        invoke_(object_, part);
      }
    }
  } catch (...) {
    const std::lock_guard lock(failure_mutex_);
    if (!failure_) failure_ = std::current_exception();
    // The parts nobody has taken yet are not worth doing.
    for (std::size_t i = 0; i < used_shares_; ++i) shares_[i].next = shares_[i].end;
  }
}

void ThreadPool::Serve(std::size_t thread) {
  std::uint32_t seen = 0;
  for (;;) {
    AwaitChange(calls_, seen);
    seen = calls_.load(std::memory_order_acquire);
    if (stop_) return;
    std::uint32_t gate = gate_.load(std::memory_order_relaxed);
    while ((gate & kOpen) != 0 &&
           !gate_.compare_exchange_weak(gate, gate + 1, std::memory_order_acq_rel)) {
    }
    if ((gate & kOpen) == 0) continue;
    Work(thread);
    gate_.fetch_sub(1, std::memory_order_acq_rel);
    gate_.notify_all();
  }
}

std::shared_ptr<ThreadPool> Threads() {
  SharedPool& shared = Shared();
  const std::lock_guard lock(shared.mutex);
  if (!shared.pool) shared.pool = std::make_shared<ThreadPool>(0);
  return shared.pool;
}

void SetThreads(unsigned threads) {
  auto pool = std::make_shared<ThreadPool>(threads);
  SharedPool& shared = Shared();
  const std::lock_guard lock(shared.mutex);
  shared.pool.swap(pool);
}

}  // namespace normgrad::cpu
