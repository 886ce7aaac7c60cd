// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "kernels/api/backend.h"

namespace normgrad::cpu {

/// A mark that is reached by calling Reach(); its clock is std::chrono::steady_clock.
class HostMark final : public Mark {
 public:
  bool Reached() const override;
  bool Wait(Timeout timeout) override;
  std::chrono::nanoseconds Time() const override;
  void Release() override { Reach(); }

  /// The first call stamps the time.
  void Reach();

  /// Waits until the mark is reached or `cancelled` is true; Nudge() makes it look again.
  void WaitUnless(const std::atomic<bool>& cancelled);
  void Nudge();

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<std::chrono::nanoseconds> time_;
};

/// A queue with one worker thread.
class HostQueue final : public Queue {
 public:
  HostQueue();
  ~HostQueue() override;

  void Submit(Work work) override;
  void SubmitShort(Work work) override;
  void Record(std::shared_ptr<Mark> mark) override;
  void WaitFor(std::shared_ptr<Mark> mark) override;
  bool Idle() const override;
  bool Wait(Timeout timeout) override;
  std::optional<std::string> TakeFailure() override;
  void Abandon() override;

 private:
  // One of the three is set: `work` if neither of the others is.
  struct Task {
    Work work;
    std::shared_ptr<HostMark> record;
    std::shared_ptr<HostMark> wait;
  };

  void Push(Task task);
  void PushLocked(Task task);
  void Serve();
  // Why the task failed, if it did.
  std::optional<std::string> Do(Task& task);
  // Takes the front task away, once it is done.
  void Finish(std::optional<std::string> failure);

  mutable std::mutex mutex_;
  std::condition_variable pushed_, finished_;
  std::list<Task> tasks_;  // the front is the one being done
  std::list<Task> spare_;  // empty ones, for the next
  std::uint64_t pushed_tasks_ = 0, finished_tasks_ = 0;
  bool lent_ = false;  // a thread that submitted short work is doing the front
  std::optional<std::string> failure_;
  bool closing_ = false;
  std::atomic<bool> abandoned_ = false;
  std::thread worker_;  // last: it uses the others
};

}  // namespace normgrad::cpu
