// SPDX-License-Identifier: Apache-2.0
#include "kernels/api/per_thread.h"

#include <atomic>
#include <thread>

#include <gtest/gtest.h>

namespace normgrad {
namespace {

std::atomic<int> live = 0;

struct Counted {
  Counted() { ++live; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  ~Counted() { --live; }

  int value = 0;
};

PerThread<Counted>& Objects() {
  static auto& objects = *new PerThread<Counted>;
  return objects;
}

TEST(PerThread, IsOneObjectForEachThreadAndEndsWithIt) {
  Objects().Get().value = 7;
  EXPECT_EQ(&Objects().Get(), &Objects().Get());
  EXPECT_EQ(live, 1);
  for (int i = 0; i < 3; ++i) {
    std::thread([] {
      EXPECT_EQ(Objects().Get().value, 0);  // nothing of a thread that is gone
      Objects().Get().value = 8;
      EXPECT_EQ(live, 2);
    }).join();
    EXPECT_EQ(live, 1);
  }
  EXPECT_EQ(Objects().Get().value, 7);
}

}  // namespace
}  // namespace normgrad
