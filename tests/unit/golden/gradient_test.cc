// SPDX-License-Identifier: Apache-2.0
// Every oracle's backward pass is the derivative of its own forward pass: the two are written from
// different formulas, so a mistake in one does not hide in the other.
#include <cmath>

#include <gtest/gtest.h>

#include "golden/self_check.h"
#include "ops/operators.h"

namespace normgrad {
namespace {

TEST(Gradient, OfEveryOracleIsTheCentralDifferenceOfItsForwardPass) {
  for (const Operator* op : AllOperators()) {
    const auto elements = CompareWithForward(*op);
    ASSERT_FALSE(elements.empty()) << op->name;
    for (const GradientElement& element : elements) {
      EXPECT_NEAR(element.reference, element.difference, 1e-6)
          << op->name << " " << element.output << "[" << element.index << "]";
      EXPECT_GT(std::fabs(element.reference), 1e-6) << "shows nothing: choose other data";
    }
    EXPECT_LT(GradientError(*op), kMostGradientError) << op->name;
    EXPECT_GT(GradientError(*op), 0) << op->name << ": a difference has an error";
  }
}

}  // namespace
}  // namespace normgrad
