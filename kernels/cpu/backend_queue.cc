// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/backend_queue.h"

#include <cfenv>
#include <exception>
#include <utility>

namespace normgrad::cpu {
namespace {

/// The floating-point environment that threads start with, while it lives: a program may have made
/// its own flush subnormal numbers or round upwards.
class DefaultFloats {
 public:
  DefaultFloats() {
    std::fegetenv(&before_);
    std::fesetenv(FE_DFL_ENV);
  }
  DefaultFloats(const DefaultFloats&) = delete;
  DefaultFloats& operator=(const DefaultFloats&) = delete;
  ~DefaultFloats() { std::fesetenv(&before_); }

 private:
  std::fenv_t before_;
};

}  // namespace

bool HostMark::Reached() const {
  const std::lock_guard lock(mutex_);
  return time_.has_value();
}

bool HostMark::Wait(Timeout timeout) {
  std::unique_lock lock(mutex_);
  const auto reached = [this] { return time_.has_value(); };
  if (timeout) return changed_.wait_for(lock, *timeout, reached);
  changed_.wait(lock, reached);
  return true;
}

std::chrono::nanoseconds HostMark::Time() const {
  const std::lock_guard lock(mutex_);
  return time_.value();
}

void HostMark::Reach() {
  // Before the lock: what others do to the mutex is no part of the time.
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  const std::lock_guard lock(mutex_);
  if (!time_) time_ = std::chrono::duration_cast<std::chrono::nanoseconds>(now);
  changed_.notify_all();
}

void HostMark::WaitUnless(const std::atomic<bool>& cancelled) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return time_.has_value() || cancelled; });
}

void HostMark::Nudge() {
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
}

HostQueue::HostQueue() : worker_([this] { Serve(); }) {}

HostQueue::~HostQueue() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  pushed_.notify_one();
  worker_.join();
}

void HostQueue::Submit(Work work) { Push({std::move(work), nullptr, nullptr}); }

void HostQueue::SubmitShort(Work work) {
  Task task{std::move(work), nullptr, nullptr};
  std::unique_lock lock(mutex_);
  if (!tasks_.empty()) {
    lock.unlock();
    Push(std::move(task));
    return;
  }
  PushLocked(std::move(task));
  lent_ = true;
  Task& front = tasks_.front();  // stays where it is while others are added behind it
  lock.unlock();
  std::optional<std::string> failure;
  {
    const DefaultFloats floats;
    failure = Do(front);
  }
  lock.lock();
  lent_ = false;
  Finish(std::move(failure));
  if (!tasks_.empty()) pushed_.notify_one();
}

void HostQueue::Record(std::shared_ptr<Mark> mark) {
  auto host_mark = std::static_pointer_cast<HostMark>(std::move(mark));
  {
    const std::lock_guard lock(mutex_);
    if (tasks_.empty()) {
      host_mark->Reach();
      return;
    }
  }
  Push({{}, std::move(host_mark), nullptr});
}

void HostQueue::WaitFor(std::shared_ptr<Mark> mark) {
  Push({{}, nullptr, std::static_pointer_cast<HostMark>(std::move(mark))});
}

bool HostQueue::Wait(Timeout timeout) {
  std::unique_lock lock(mutex_);
  const auto done = [this, so_far = pushed_tasks_] { return finished_tasks_ >= so_far; };
  if (timeout) return finished_.wait_for(lock, *timeout, done);
  finished_.wait(lock, done);
  return true;
}

bool HostQueue::Idle() const {
  const std::lock_guard lock(mutex_);
  return tasks_.empty();
}

std::optional<std::string> HostQueue::TakeFailure() {
  const std::lock_guard lock(mutex_);
  return std::exchange(failure_, std::nullopt);
}

void HostQueue::Abandon() {
  abandoned_ = true;
  std::shared_ptr<HostMark> awaited;
  {
    const std::lock_guard lock(mutex_);
    if (!tasks_.empty()) awaited = tasks_.front().wait;
  }
  if (awaited) awaited->Nudge();
}

void HostQueue::Push(Task task) {
  {
    const std::lock_guard lock(mutex_);
    PushLocked(std::move(task));
  }
  pushed_.notify_one();
}

void HostQueue::PushLocked(Task task) {
  if (spare_.empty()) spare_.emplace_back();
  spare_.front() = std::move(task);
  tasks_.splice(tasks_.end(), spare_, spare_.begin());
  ++pushed_tasks_;
}

void HostQueue::Serve() {
  std::unique_lock lock(mutex_);
  for (;;) {
    pushed_.wait(lock, [this] { return !lent_ && (closing_ || !tasks_.empty()); });
    if (tasks_.empty()) return;
    Task& task = tasks_.front();  // stays where it is while others are added behind it
    if (task.record) {
      // Under the lock: whoever has waited for the mark must find the queue without it.
      const std::shared_ptr<HostMark> mark = task.record;
      Finish(std::nullopt);
      mark->Reach();
      continue;
    }
    lock.unlock();
    std::optional<std::string> failure = Do(task);
    lock.lock();
    Finish(std::move(failure));
  }
}

void HostQueue::Finish(std::optional<std::string> failure) {
  if (failure && !failure_) failure_ = std::move(failure);
  tasks_.front() = {};
  spare_.splice(spare_.end(), tasks_, tasks_.begin());
  ++finished_tasks_;
  finished_.notify_all();
}

std::optional<std::string> HostQueue::Do(Task& task) try {
  if (task.wait) {
    task.wait->WaitUnless(abandoned_);
  } else if (!abandoned_) {
    task.work();
  }
  return std::nullopt;
} catch (const std::exception& error) {
  return error.what();
} catch (...) {
  return "unknown exception";
}

}  // namespace normgrad::cpu
