// SPDX-License-Identifier: Apache-2.0
#include "run/run.h"

#include <atomic>
#include <stdexcept>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ops/operators.h"
#include "run/pulse.h"

namespace normgrad {
namespace {

std::vector<Case> Cases(std::size_t count) {
  std::vector<Case> cases(count);
  for (std::size_t i = 0; i < count; ++i) {
    cases[i].op = &kRmsNormGrad;
    cases[i].product = "atlas-a2";
    cases[i].seed = i + 2;
    cases[i].checks = {"memory"};
  }
  return cases;
}

class CountingExecutor final : public Executor {
 public:
  /// Its device is lost after `lives` cases.
  explicit CountingExecutor(int lives = 1'000'000) : lives_(lives) {}

  Result Execute(const Case& the_case) override {
    ++executed;
    Result result = Unanswered(the_case);
    result.outcome = Outcome::kPassed;
    return result;
  }
  bool lost() const override { return executed >= lives_; }
  void Finish() override { ++finished; }

  std::atomic<int> executed = 0;
  int finished = 0;

 private:
  int lives_;
};

bool Never() { return false; }

TEST(RunCases, AccountsForCasesAfterAnInterruption) {
  const std::vector<Case> cases = Cases(3);
  CountingExecutor executor;
  std::vector<Outcome> outcomes;
  int asked = 0;
  RunCases(cases, executor,
           {.interrupted = [&] { return ++asked > 1; },
            .on_result = [&](const Result& result) { outcomes.push_back(result.outcome); }});
  EXPECT_EQ(executor.executed, 1);
  EXPECT_EQ(executor.finished, 1);
  EXPECT_EQ(outcomes, (std::vector{Outcome::kPassed, Outcome::kNotRun, Outcome::kNotRun}));
}

TEST(RunCases, StartsNothingOnceItsTimeIsUp) {
  const std::vector<Case> cases = Cases(2);
  CountingExecutor executor;
  std::vector<std::string> reasons;
  RunCases(cases, executor,
           {.interrupted = Never,
            .on_result = [&](const Result& result) { reasons.push_back(result.reason); }},
           MonotonicSeconds());
  EXPECT_EQ(executor.executed, 0);
  EXPECT_THAT(reasons, testing::Each("the time of the run was up before it"));
}

TEST(RunCases, GivesEveryCaseToOneOfSeveralExecutors) {
  const std::vector<Case> cases = Cases(500);
  CountingExecutor first, second, third;
  Executor* const executors[] = {&first, &second, &third};
  std::vector<std::string> started, finished;
  RunCases(cases, executors,
           {.interrupted = Never,
            .on_start = [&](const Case& the_case) { started.push_back(the_case.Id()); },
            .on_result =
                [&](const Result& result) {
                  EXPECT_THAT(started, testing::Contains(result.case_id));
                  finished.push_back(result.case_id);
                }});
  EXPECT_EQ(first.executed + second.executed + third.executed, 500);
  EXPECT_EQ(finished.size(), 500U);
  for (std::size_t i = 0; i < cases.size(); ++i) EXPECT_EQ(started[i], cases[i].Id());
  std::ranges::sort(started);
  std::ranges::sort(finished);
  EXPECT_EQ(started, finished);
}

TEST(RunCases, RunsWhatIsTimedAlone) {
  std::vector<Case> cases = Cases(200);
  for (std::size_t i = 0; i < cases.size(); i += 3) cases[i].checks = {"throughput"};
  CountingExecutor first, second;
  Executor* const executors[] = {&first, &second};
  int running = 0, timed = 0;
  RunCases(cases, executors,
           {.interrupted = Never,
            .on_start =
                [&](const Case& the_case) {
                  ++running;
                  if (the_case.checks.back() == "throughput") ++timed;
                  EXPECT_TRUE(timed == 0 || running == 1);
                },
            .on_result =
                [&](const Result& result) {
                  --running;
                  if (result.checks.front().check == "throughput") --timed;
                }});
  EXPECT_EQ(first.executed + second.executed, 200);
}

TEST(RunCases, LeavesTheRestToExecutorsThatAreNotLost) {
  const std::vector<Case> cases = Cases(50);
  CountingExecutor mortal(3), immortal;
  Executor* const executors[] = {&mortal, &immortal};
  std::size_t results = 0;
  RunCases(cases, executors, {.interrupted = Never, .on_result = [&](const Result& result) {
                                EXPECT_EQ(result.outcome, Outcome::kPassed);
                                ++results;
                              }});
  EXPECT_LE(mortal.executed, 3);
  EXPECT_EQ(results, 50U);
}

TEST(RunCases, AccountsForCasesOfALostDevice) {
  const std::vector<Case> cases = Cases(3);
  CountingExecutor mortal(1);
  std::vector<std::string> reasons;
  RunCases(cases, mortal, {.interrupted = Never, .on_result = [&](const Result& result) {
                             reasons.push_back(result.reason);
                           }});
  EXPECT_THAT(reasons, testing::ElementsAre("", "device lost", "device lost"));
}

TEST(RunCases, ThrowsWhatAnObserverThrows) {
  const std::vector<Case> cases = Cases(20);
  CountingExecutor first, second;
  Executor* const executors[] = {&first, &second};
  EXPECT_THROW(RunCases(cases, executors,
                        {.interrupted = Never,
                         .on_result = [](const Result&) { throw std::runtime_error("full"); }}),
               std::runtime_error);
}

}  // namespace
}  // namespace normgrad
