// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/instruction_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace normgrad::cpu {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;

TEST(InstructionSet, IsTheOnlyOneThatKernelsCanChoose) {
  const std::vector<std::string> all = InstructionSets();
  ASSERT_THAT(all, Not(IsEmpty()));
  for (const std::string& name : all) {
    ASSERT_TRUE(SetInstructionSet(name)) << name;
    EXPECT_THAT(InstructionSets(), ElementsAre(name));
    SetInstructionSet("");
  }
  ASSERT_TRUE(SetInstructionSet(all.back()));
  EXPECT_FALSE(SetInstructionSet("avx9"));
  EXPECT_EQ(InstructionSets(), all) << "behind a name that is unknown, all";
}

}  // namespace
}  // namespace normgrad::cpu
