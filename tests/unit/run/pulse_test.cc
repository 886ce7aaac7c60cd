// SPDX-License-Identifier: Apache-2.0
#include "run/pulse.h"

#include <string>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace normgrad {
namespace {

TEST(Pulse, ShowsTheOtherSideWhatIsWritten) {
  const Pulse ours;
  Pulse theirs(::fcntl(ours.descriptor(), F_DUPFD_CLOEXEC, 10));
  const double before = MonotonicSeconds();
  theirs.OnStep("accuracy");
  theirs.OnPhase(Phase::kPhaseTwo);
  theirs.OnMessage("vector core exception");
  const CheckResult skipped = {"batch", Outcome::kSkipped, "one row", SkipReason::kFewRows, 0.5};
  theirs.OnAnswer(skipped);
  EXPECT_EQ(ours.step(), "accuracy");
  EXPECT_EQ(ours.phase(), Phase::kPhaseTwo);
  EXPECT_GE(ours.since_seconds(), before);
  EXPECT_EQ(ours.message(), "vector core exception");
  EXPECT_EQ(ours.answers(), std::vector<CheckResult>{skipped});
}

TEST(Pulse, ForgetsTheLastRequest) {
  Pulse pulse;
  pulse.OnStep("accuracy");
  pulse.OnMessage("text");
  pulse.OnAnswer({.check = "contract", .outcome = Outcome::kPassed});
  pulse.Begin();
  EXPECT_EQ(pulse.step(), "");
  EXPECT_EQ(pulse.message(), "");
  EXPECT_TRUE(pulse.answers().empty());
}

TEST(Pulse, CutsLongTextsAndKeepsTheFirstAnswers) {
  Pulse pulse;
  pulse.OnMessage(std::string(10'000, 'x'));
  EXPECT_EQ(pulse.message().find_first_not_of('x'), std::string::npos);
  EXPECT_LT(pulse.message().size(), 10'000U);
  for (int i = 0; i < 100; ++i) {
    pulse.OnAnswer({.check = std::string(100, 'c'),
                    .outcome = Outcome::kPassed,
                    .reason = std::string(10'000, 'r')});
  }
  EXPECT_LT(pulse.answers().size(), 100U);
}

TEST(Pulse, TrustsNothingThatALibraryMayHaveWritten) {
  const Pulse pulse;
  constexpr std::size_t kMemory = 8192;
  const std::string noise(kMemory, '\xFF');
  const off_t size = ::lseek(pulse.descriptor(), 0, SEEK_END);
  ASSERT_LT(static_cast<std::size_t>(size), 2 * kMemory);
  for (off_t at = 0; at < size; at += kMemory) {
    const auto count = std::min<std::size_t>(kMemory, static_cast<std::size_t>(size - at));
    ASSERT_EQ(::pwrite(pulse.descriptor(), noise.data(), count, at), static_cast<ssize_t>(count));
  }
  EXPECT_EQ(pulse.phase(), Phase::kOwnWork);
  EXPECT_FALSE(pulse.step().empty());
  EXPECT_TRUE(pulse.answers().empty());
}

}  // namespace
}  // namespace normgrad
