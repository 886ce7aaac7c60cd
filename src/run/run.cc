// SPDX-License-Identifier: Apache-2.0
#include "run/run.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "run/pulse.h"

namespace normgrad {
namespace {

/// Cases handed out in order, and results taken in, one at a time.
class Counter {
 public:
  Counter(std::span<const Case> cases, const RunObserver& observer, double ends_at)
      : cases_(cases), observer_(observer), ends_at_(ends_at) {}

  /// Answers cases until none is left, the run is stopped, or the executor's device is lost.
  void Serve(Executor& executor) {
    try {
      while (const Case* the_case = Take()) {
        Result result = executor.Execute(*the_case);
        GiveBack(std::move(result));
        if (executor.lost()) break;
      }
      executor.Finish();
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (failure_ == nullptr) failure_ = std::current_exception();
      running_ = 0;
      changed_.notify_all();
    }
  }

  /// Accounts for the cases that nobody took. After all Serve() have returned.
  void Finish() {
    if (failure_ != nullptr) std::rethrow_exception(failure_);
    for (; next_ < cases_.size(); ++next_) {
      Result result = Unanswered(cases_[next_]);
      result.reason = stopped_.empty() ? "device lost" : stopped_;
      observer_.on_result(std::move(result));
    }
  }

 private:
  static bool RunsAlone(const Case& the_case) {
    return std::ranges::find(the_case.checks, "throughput") != the_case.checks.end();
  }

  const Case* Take() {
    std::unique_lock lock(mutex_);
    for (;;) {
      if (failure_ != nullptr || next_ == cases_.size()) return nullptr;
      if (stopped_.empty() && observer_.interrupted())
        stopped_ = "the run was interrupted before it";
      if (stopped_.empty() && ends_at_ > 0 && MonotonicSeconds() >= ends_at_) {
        stopped_ = "the time of the run was up before it";
      }
      if (!stopped_.empty()) return nullptr;
      const bool alone = RunsAlone(cases_[next_]);
      if (running_ == 0 || (!alone && !one_runs_alone_)) {
        ++running_;
        one_runs_alone_ = alone;
        break;
      }
      changed_.wait(lock);
    }
    const Case& the_case = cases_[next_++];
    if (observer_.on_start) observer_.on_start(the_case);
    return &the_case;
  }

  void GiveBack(Result result) {
    const std::lock_guard lock(mutex_);
    if (running_ > 0) --running_;
    one_runs_alone_ = false;
    observer_.on_result(std::move(result));
    changed_.notify_all();
  }

  std::span<const Case> cases_;
  const RunObserver& observer_;
  double ends_at_;
  std::mutex mutex_;  // of what follows, and of the observer's calls
  std::condition_variable changed_;
  std::size_t next_ = 0;
  std::size_t running_ = 0;
  bool one_runs_alone_ = false;
  std::string stopped_;  // why no more cases are handed out
  std::exception_ptr failure_;
};

}  // namespace

void RunCases(std::span<const Case> cases, std::span<Executor* const> executors,
              const RunObserver& observer, double ends_at) {
  Counter counter(cases, observer, ends_at);
  {
    std::vector<std::jthread> threads;
    for (Executor* executor : executors.subspan(1)) {
      threads.emplace_back([&counter, executor] { counter.Serve(*executor); });
    }
    counter.Serve(*executors.front());
  }
  counter.Finish();
}

void RunCases(std::span<const Case> cases, Executor& executor, const RunObserver& observer,
              double ends_at) {
  Executor* const executors[] = {&executor};
  RunCases(cases, executors, observer, ends_at);
}

}  // namespace normgrad
