// SPDX-License-Identifier: Apache-2.0
// This program starts itself as the worker that a test asks for: what main() was told to do.
#include "run/worker_process.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <variant>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "run/worker.h"

namespace normgrad {
namespace {

using testing::StartsWith;

constexpr Limits kLimits = {.timeout_seconds = 1, .case_seconds = 60};

/// What a worker that does `task` has to say to one request.
std::variant<Frame, Fault> AnswerOf(const std::string& task, const Limits& limits = kLimits) {
  WorkerProcess worker({task});
  return worker.Ask(Message::kProbeCopy, "question", 0, limits);
}

Fault FaultOf(const std::string& task, const Limits& limits = kLimits) {
  const auto answer = AnswerOf(task, limits);
  const auto* fault = std::get_if<Fault>(&answer);
  if (fault == nullptr) return {Outcome::kPassed, "it answered"};
  return *fault;
}

TEST(WorkerProcess, GivesTheAnswer) {
  const auto answer = AnswerOf("answer");
  ASSERT_TRUE(std::holds_alternative<Frame>(answer)) << std::get<Fault>(answer).what;
  EXPECT_EQ(std::get<Frame>(answer).payload, "question");
}

TEST(WorkerProcess, GivesAnAnswerThatIsLongerThanAPipeHolds) {
  const auto answer = AnswerOf("answer much");
  ASSERT_TRUE(std::holds_alternative<Frame>(answer)) << std::get<Fault>(answer).what;
  EXPECT_EQ(std::get<Frame>(answer).payload.size(), std::size_t{8} << 20);
}

TEST(WorkerProcess, GivesAnAnswerThatCameBeforeTheEnd) {
  EXPECT_TRUE(std::holds_alternative<Frame>(AnswerOf("answer and die")));
}

TEST(WorkerProcess, NamesTheSignalThePhaseAndTheLastWords) {
  const Fault fault = FaultOf("die");
  EXPECT_EQ(fault.outcome, Outcome::kCrashed);
  EXPECT_EQ(fault.what, "signal 15 (SIGTERM) in phase 2; the device's last words: oh no");
}

TEST(WorkerProcess, PrefersWhatTheLibrarySaidToWhatItPrinted) {
  EXPECT_EQ(FaultOf("complain and die").what,
            "signal 15 (SIGTERM) in phase 2; the device's last words: broken \u241b[31m");
}

TEST(WorkerProcess, NamesAnExitCode) {
  EXPECT_THAT(FaultOf("exit").what, StartsWith("exit code 5 in "));
}

TEST(WorkerProcess, StopsAPhaseThatTakesTooLong) {
  const Fault fault = FaultOf("hang");
  EXPECT_EQ(fault.outcome, Outcome::kTimedOut);
  EXPECT_EQ(fault.what, "phase 1 took longer than 1 s");
}

TEST(WorkerProcess, StopsACaseThatTakesTooLong) {
  const Fault fault = FaultOf("keep busy", {.timeout_seconds = 1, .case_seconds = 0.3});
  EXPECT_EQ(fault.outcome, Outcome::kTimedOut);
  EXPECT_THAT(fault.what, StartsWith("the case took longer than 0.3 s: stopped in "));
}

TEST(WorkerProcess, StopsWhenTheRunIsOver) {
  const Fault fault = FaultOf("hang", {.timeout_seconds = 60, .run_ends_at = 1});
  EXPECT_EQ(fault.outcome, Outcome::kNotRun);
}

TEST(WorkerProcess, StopsAProcessThatTakesTooMuchMemory) {
  const Fault fault =
      FaultOf("leak", {.timeout_seconds = 60, .memory_bytes = std::uint64_t{600} << 20});
  EXPECT_EQ(fault.outcome, Outcome::kCrashed);
  EXPECT_THAT(fault.what, StartsWith("out of memory: the process had taken "));
}

TEST(WorkerProcess, KnowsNonsense) {
  for (const char* task : {"noise", "answer another", "half an answer"}) {
    const Fault fault = FaultOf(task);
    EXPECT_EQ(fault.outcome, Outcome::kCrashed);
    EXPECT_THAT(fault.what, testing::AnyOf(StartsWith("the worker talks nonsense: "),
                                           StartsWith("exit code 0 in ")))
        << task;
  }
}

TEST(WorkerProcess, IsNotHeldUpByACopyThatKeepsThePipeOpen) {
  EXPECT_THAT(FaultOf("fork and exit").what, StartsWith("exit code 5 in "));
}

TEST(WorkerProcess, TellsAClosedPipe) {
  EXPECT_THAT(FaultOf("close the pipe").what, StartsWith("it closed the pipe to the tool in "));
}

TEST(WorkerProcess, EndsWhenAskedTo) {
  WorkerProcess worker({"answer"});
  EXPECT_EQ(worker.End(kLimits), std::nullopt);
}

TEST(WorkerProcess, TellsOfAnEndThatIsNone) {
  WorkerProcess worker({"answer, never end"});
  const auto fault = worker.End(kLimits);
  ASSERT_TRUE(fault.has_value());
  EXPECT_THAT(fault->what, StartsWith("closing the device took longer than "));
}

TEST(WorkerProcess, TellsOfAnEndBetweenTwoRequests) {
  WorkerProcess worker({"die at once"});
  ASSERT_TRUE(std::holds_alternative<Fault>(worker.Greeting(kLimits)));
  EXPECT_TRUE(worker.Idle().has_value());
}

TEST(MostSeconds, GrowsWithTheTensors) {
  const Limits limits = {.timeout_seconds = 10};
  EXPECT_EQ(MostSeconds(Phase::kPhaseOne, 0, limits), 10);
  EXPECT_EQ(MostSeconds(Phase::kPhaseOne, 100'000'000, limits), 12);
  EXPECT_EQ(MostSeconds(Phase::kSynchronize, 0, limits), 10 + 10 + 30);
  EXPECT_EQ(MostSeconds(Phase::kOwnWork, 0, limits), 120);
  EXPECT_EQ(MostSeconds(Phase::kOpen, 0, limits), 60);
  EXPECT_EQ(MostSeconds(Phase::kDestroy, 0, {.timeout_seconds = 0.1}), 1);
}

/// What this program does when a test above has started it with `task`.
int DoTask(const std::string& task) {
  EndWithParent();
  WorkerChannel channel(kWorkerChannel);
  Pulse pulse(kWorkerPulse);
  if (task == "die at once") std::raise(SIGTERM);
  const auto request = channel.Receive();
  if (!request) return 0;
  const auto answer = [&](std::string text) {
    channel.Send({Message::kProbed, request->request, std::move(text)});
  };
  const auto write = [](std::string_view bytes) {
    static_cast<void>(::send(kWorkerChannel, bytes.data(), bytes.size(), 0) == 0);
  };
  if (request->message == Message::kEnd) {
    if (task != "answer, never end") return 0;
    pulse.OnPhase(Phase::kClose);
    ::pause();
  }
  if (task == "answer") answer(request->payload);
  if (task == "answer much") answer(std::string(std::size_t{8} << 20, 'x'));
  if (task == "answer and die") {
    answer("");
    std::raise(SIGTERM);
  }
  if (task == "die" || task == "complain and die") {
    pulse.OnPhase(Phase::kPhaseTwo);
    if (task != "die") pulse.OnMessage("broken \x1b[31m");
    std::fputs("first\noh no\n\n", stderr);
    std::raise(SIGTERM);
  }
  if (task == "exit") return 5;
  if (task == "hang") {
    pulse.OnPhase(Phase::kPhaseOne);
    ::pause();
  }
  if (task == "keep busy") {
    for (;;) {
      pulse.OnPhase(Phase::kPhaseOne);
      ::usleep(1000);
    }
  }
  if (task == "leak") {
    for (;;) {
      constexpr std::size_t kChunk = std::size_t{8} << 20;
      if (void* const memory = std::malloc(kChunk)) std::memset(memory, 1, kChunk);
      ::usleep(1000);
    }
  }
  if (task == "noise") {
    write("noise");
    ::pause();
  }
  if (task == "answer another") channel.Send({Message::kProbed, request->request + 1, ""});
  if (task == "half an answer") {
    write(EncodeFrame({Message::kProbed, request->request, "text"}).substr(0, 34));
  }
  if (task == "fork and exit") {
    if (::fork() == 0) ::pause();
    return 5;
  }
  if (task == "close the pipe") {
    ::close(kWorkerChannel);
    ::pause();
  }
  return 0;
}

}  // namespace
}  // namespace normgrad

int main(int argc, char** argv) {
  if (argc > 1 && std::strncmp(argv[1], "--", 2) != 0) return normgrad::DoTask(argv[1]);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
