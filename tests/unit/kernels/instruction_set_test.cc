// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/instruction_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hwy/targets.h>

namespace normgrad::cpu {
namespace {

using testing::Contains;
using testing::ElementsAre;

TEST(InstructionSet, IsTheOnlyOneThatKernelsCanChoose) {
  const std::vector<std::string> all = InstructionSets();
  EXPECT_THAT(all, Contains("scalar"));
  for (const std::string& name : all) {
    ASSERT_TRUE(SetInstructionSet(name)) << name;
    EXPECT_THAT(InstructionSets(), ElementsAre(name));
    SetInstructionSet("");
  }
  ASSERT_TRUE(SetInstructionSet("scalar"));
  EXPECT_EQ(hwy::SupportedTargets(), HWY_SCALAR);
  EXPECT_FALSE(SetInstructionSet("avx9"));
  EXPECT_EQ(InstructionSets(), all) << "behind a name that is unknown, all";
}

}  // namespace
}  // namespace normgrad::cpu
