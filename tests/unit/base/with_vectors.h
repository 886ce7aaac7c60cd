// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include "base/lanes.h"

namespace normgrad {

/// Every test with every kind of vectors that this processor has.
class WithVectors : public testing::TestWithParam<Vectors> {
 protected:
  void SetUp() override {
    LimitVectors(GetParam());
    if (WidestVectors() != GetParam()) GTEST_SKIP() << "this processor does not have them";
  }
  void TearDown() override { LimitVectors(Vectors::kAvx512); }
};

inline const auto kAllVectors =
    testing::Values(Vectors::kBaseline, Vectors::kAvx2, Vectors::kAvx512);

}  // namespace normgrad
