// SPDX-License-Identifier: Apache-2.0
#include "run/fresh_process.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include <gtest/gtest.h>
#include <unistd.h>

namespace normgrad {
namespace {

constexpr double kPatienceSeconds = 60;

TEST(RunSelf, GivesWhatTheProcessPrints) {
  const ProcessOutput output = RunSelf({"say", "two words\n"}, kPatienceSeconds);
  EXPECT_EQ(output.text, "two words\n");
  EXPECT_EQ(output.failure, "");
}

TEST(RunSelf, GivesMoreThanAPipeHolds) {
  const ProcessOutput output = RunSelf({"say much"}, kPatienceSeconds);
  EXPECT_EQ(output.text.size(), std::size_t{1} << 20);
  EXPECT_EQ(output.failure, "");
}

TEST(RunSelf, DropsWhatTheProcessComplainsOf) {
  EXPECT_EQ(RunSelf({"complain"}, kPatienceSeconds).text, "");
}

TEST(RunSelf, TellsAnExitCodeBesideWhatWasPrinted) {
  const ProcessOutput output = RunSelf({"exit with 5"}, kPatienceSeconds);
  EXPECT_EQ(output.text, "before it\n");
  EXPECT_EQ(output.failure, "exit code 5");
}

TEST(RunSelf, TellsASignal) { EXPECT_EQ(RunSelf({"die"}, kPatienceSeconds).failure, "signal 9"); }

TEST(RunSelf, KillsAProcessThatIsSilent) {
  EXPECT_EQ(RunSelf({"wait"}, 0.25).failure, "it was silent for 0.25 s");
}

/// What this program does when a test above has started it with `task`.
int DoTask(const std::string& task, const char* text) {
  if (task == "say") std::fputs(text, stdout);
  if (task == "say much") std::fputs(std::string(std::size_t{1} << 20, 'x').c_str(), stdout);
  if (task == "complain") std::fputs("a complaint\n", stderr);
  if (task == "exit with 5") {
    std::puts("before it");
    return 5;
  }
  if (task == "die") std::raise(SIGKILL);
  if (task == "wait") ::pause();
  return 0;
}

}  // namespace
}  // namespace normgrad

int main(int argc, char** argv) {
  if (argc > 1 && std::strncmp(argv[1], "--", 2) != 0) {
    return normgrad::DoTask(argv[1], argc > 2 ? argv[2] : "");
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
