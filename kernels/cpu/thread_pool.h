// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

namespace normgrad::cpu {

/// Threads that outlive the calls they work for, because starting one costs more than a small call.
///
/// Which thread runs which part is not fixed, so results must depend on the part alone.
class ThreadPool {
 public:
  /// `threads` in all, the caller of Run() included; 0 means one per core this process may use.
  explicit ThreadPool(unsigned threads);
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  ~ThreadPool();

  /// Threads in all, the caller of Run() included.
  std::size_t Size() const { return workers_.size() + 1; }

  /// Calls body(0) … body(parts - 1), each once, and returns when all have returned. Rethrows the
  /// first exception a body throws. May be called from any thread at any time: while the workers
  /// serve one call, others run on their callers alone. A thread takes adjacent parts one after the
  /// other as long as it can, so that what a part leaves in a cache is of use to the next one.
  template <typename Body>
  void Run(std::size_t parts, Body&& body) {
    using Object = std::remove_reference_t<Body>;
    RunErased(
        parts, [](void* object, std::size_t part) { (*static_cast<Object*>(object))(part); },
        const_cast<std::remove_const_t<Object>*>(std::addressof(body)));
  }

 private:
  using Invoke = void (*)(void* object, std::size_t part);

  void Stop();
  void RunErased(std::size_t parts, Invoke invoke, void* object);
  void Work(std::size_t thread);
  void Serve(std::size_t thread);

  /// Adjacent parts, which one thread begins with and the others help with at last.
  struct alignas(64) Share {
    std::atomic<std::size_t> next = 0;
    std::size_t end = 0;
  };

  std::mutex caller_;  // held by the Run() the workers serve

  // The call being served. Written by its caller before the gate opens.
  Invoke invoke_ = nullptr;
  void* object_ = nullptr;
  std::vector<Share> shares_;    // one for each thread
  std::size_t used_shares_ = 0;  // as many of them as there are parts, if that is less
  std::exception_ptr failure_;
  std::mutex failure_mutex_;

  // A worker takes part in a call only if it gets through the gate in time, so that a call never
  // waits for a worker that is still waking up.
  std::atomic<std::uint32_t> gate_ = 0;   // kOpen bit, and the number of workers inside
  std::atomic<std::uint32_t> calls_ = 0;  // what idle workers wait on
  std::atomic<bool> stop_ = false;
  std::vector<std::jthread> workers_;
};

/// The pool every kernel of this library works on. Hold the pointer for as long as it is used.
std::shared_ptr<ThreadPool> Threads();

/// Replaces the pool by one of `threads` threads, 0 meaning one per core. Calls that are running
/// finish on the old one.
void SetThreads(unsigned threads);

}  // namespace normgrad::cpu
