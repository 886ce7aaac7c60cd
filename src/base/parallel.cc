// SPDX-License-Identifier: Apache-2.0
#include "base/parallel.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace normgrad {
namespace {

/// Threads that wait for work: to start one takes longer than a small case.
class Helpers {
 public:
  ~Helpers() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    work_there_.notify_all();
  }

  /// Calls `work` here and on up to `count` other threads at the same time; those that come when it
  /// is done here are not waited for. Only here while the helpers are busy for somebody else.
  void Run(std::size_t count, const std::function<void()>& work) {
    if (count == 0 || busy_.test_and_set()) {
      work();
      return;
    }
    {
      const std::lock_guard lock(mutex_);
      while (threads_.size() < count) threads_.emplace_back([this] { Serve(); });
      work_ = &work;
      wanted_ = count;
    }
    work_there_.notify_all();
    work();
    {
      std::unique_lock lock(mutex_);
      wanted_ = 0;
      work_done_.wait(lock, [this] { return working_ == 0; });
    }
    busy_.clear();
  }

 private:
  void Serve() {
    std::unique_lock lock(mutex_);
    for (;;) {
      work_there_.wait(lock, [this] { return stop_ || wanted_ > 0; });
      if (stop_) return;
      --wanted_, ++working_;
      const std::function<void()>& work = *work_;
      lock.unlock();
      work();
      lock.lock();
      if (--working_ == 0) work_done_.notify_one();
    }
  }

  std::atomic_flag busy_;
  std::mutex mutex_;  // guards what follows, but for threads_, which the one that is busy owns
  std::condition_variable work_there_, work_done_;
  const std::function<void()>* work_ = nullptr;
  std::size_t wanted_ = 0, working_ = 0;  // threads
  bool stop_ = false;
  std::vector<std::jthread> threads_;
};

Helpers& TheHelpers() {
  static Helpers helpers;
  return helpers;
}

/// The way from who makes things to who uses them.
class Belt {
 public:
  explicit Belt(const std::function<void(std::size_t)>& use) : use_(use) {}

  /// Waits for the place of thing `i`, and uses others meanwhile.
  void WaitForPlace(std::size_t i) {
    std::unique_lock lock(mutex_);
    while (taken_place_[i % kPlaces]) {
      if (!UseOne(lock)) place_free_.wait(lock);
    }
    taken_place_[i % kPlaces] = true;
  }

  void Made() {
    {
      const std::lock_guard lock(mutex_);
      ++made_;
    }
    thing_there_.notify_one();
  }

  void End() {
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
    }
    thing_there_.notify_all();
  }

  /// Uses things until there are no more to come.
  void UseAll() {
    std::unique_lock lock(mutex_);
    for (;;) {
      if (UseOne(lock)) continue;
      if (ended_) return;
      thing_there_.wait(lock);
    }
  }

 private:
  /// Whether there was one to use.
  bool UseOne(std::unique_lock<std::mutex>& lock) {
    if (used_ == made_) return false;
    const std::size_t i = used_++;
    lock.unlock();
    use_(i);
    lock.lock();
    taken_place_[i % kPlaces] = false;
    place_free_.notify_one();
    return true;
  }

  const std::function<void(std::size_t)>& use_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable thing_there_, place_free_;
  std::size_t made_ = 0, used_ = 0;  // things; those in use are used
  std::array<bool, kPlaces> taken_place_{};
  bool ended_ = false;
};

}  // namespace

void ParallelFor(std::size_t count, unsigned threads,
                 const std::function<void(std::size_t)>& body) {
  std::atomic<std::size_t> next = 0;
  std::exception_ptr failure;
  std::mutex failure_mutex;
  const auto work = [&] {
    try {
      for (std::size_t i = next++; i < count; i = next++) body(i);
    } catch (...) {
      const std::lock_guard lock(failure_mutex);
      if (!failure) failure = std::current_exception();
      next = count;
    }
  };
  const std::size_t all = std::min<std::size_t>(std::max(threads, 1U), count);
  TheHelpers().Run(all > 0 ? all - 1 : 0, work);
  if (failure) std::rethrow_exception(failure);
}

void MakeAndUse(std::size_t count, unsigned threads, const std::function<bool(std::size_t)>& make,
                const std::function<void(std::size_t)>& use) {
  Belt belt(use);
  std::exception_ptr failure;
  const auto work = [&, maker = std::this_thread::get_id()] {
    if (std::this_thread::get_id() == maker) {
      try {
        for (std::size_t i = 0; i < count; ++i) {
          belt.WaitForPlace(i);
          if (!make(i)) break;
          belt.Made();
        }
      } catch (...) {
        failure = std::current_exception();
      }
      belt.End();
    }
    belt.UseAll();
  };
  const std::size_t all = std::min<std::size_t>(std::max(threads, 1U), count);
  TheHelpers().Run(all > 0 ? all - 1 : 0, work);
  if (failure) std::rethrow_exception(failure);
}

}  // namespace normgrad
