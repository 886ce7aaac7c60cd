// SPDX-License-Identifier: Apache-2.0
#include "run/orphans.h"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace normgrad {
namespace {

struct Family {
  std::mutex
      mutex;  // held while a worker starts and while orphans are looked for: none is mistaken
  std::vector<pid_t> workers;
  bool adopts = false;
};

Family& OurFamily() {
  static Family family;
  return family;
}

std::vector<pid_t> Children() {
  std::vector<pid_t> children;
  std::error_code gone;  // a thread of ours that has just ended
  for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task", gone)) {
    std::ifstream list(thread.path() / "children");
    for (pid_t child = 0; list >> child;) children.push_back(child);
  }
  return children;
}

void EndOrphans() {
  // The children of an orphan are adopted when it ends. One that a driver holds in the kernel may
  // take for ever: it is left behind.
  constexpr int kMostRounds = 500;
  constexpr useconds_t kRound = 200;
  for (int round = 0; round < kMostRounds; ++round) {
    const std::vector<pid_t> orphans = Children();
    if (orphans.empty()) return;
    for (const pid_t orphan : orphans) {
      ::kill(orphan, SIGKILL);
      ::waitpid(orphan, nullptr, WNOHANG);
    }
    ::usleep(kRound);
  }
}

}  // namespace

void AdoptOrphans() {
  Family& family = OurFamily();
  const std::lock_guard lock(family.mutex);
  family.adopts = ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0;
}

pid_t StartWorker(const std::function<pid_t()>& start) {
  Family& family = OurFamily();
  const std::lock_guard lock(family.mutex);
  const pid_t worker = start();
  if (worker > 0) family.workers.push_back(worker);
  return worker;
}

void EndedWorker(pid_t worker) {
  Family& family = OurFamily();
  const std::lock_guard lock(family.mutex);
  std::erase(family.workers, worker);
  if (family.adopts && family.workers.empty()) EndOrphans();
}

}  // namespace normgrad
