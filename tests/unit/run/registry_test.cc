// SPDX-License-Identifier: Apache-2.0
// Every list that must name the same things does. What is missing is named here, not at run time.
#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checks/check.h"
#include "device/entry_points.h"
#include "golden/oracle.h"
#include "ops/operators.h"
#include "run/fill.h"
#include "sweep/case.h"
#include "sweep/sweep.h"

namespace normgrad {
namespace {

template <typename Range, typename Name>
std::vector<std::string_view> NamesOf(const Range& range, Name name) {
  std::vector<std::string_view> names;
  for (const auto& item : range) names.push_back(std::invoke(name, item));
  return names;
}

TEST(Registry, EveryOperatorHasAnEntryPointOfItsArity) {
  ASSERT_EQ(EntryPoints().size(), AllOperators().size());
  for (std::size_t i = 0; i < EntryPoints().size(); ++i) {
    EXPECT_EQ(EntryPoints()[i].api, AllOperators()[i]->api);
    EXPECT_EQ(EntryPoints()[i].arity, AllOperators()[i]->params.size());
  }
}

TEST(Registry, EveryOperatorHasAnOracle) {
  ASSERT_EQ(AllOracles().size(), AllOperators().size());
  for (const Operator* op : AllOperators()) EXPECT_EQ(OracleOf(*op).name, op->name);
}

TEST(Registry, EveryOperatorHasASmokeSweep) {
  for (const Operator* op : AllOperators()) {
    const std::string file = "cases/" + std::string(op->name) + "/smoke.yaml";
    const Sweep sweep = LoadSweeps({file}, {});
    EXPECT_EQ(sweep.cases.front().op, op) << file;
  }
}

TEST(Registry, EveryCheckASweepMayNameExists) {
  EXPECT_TRUE(std::ranges::equal(CheckNames(), NamesOf(Checks(), &Check::name)));
}

TEST(Registry, EveryFillASweepMayNameExists) {
  EXPECT_TRUE(std::ranges::equal(FillNames(), NamesOf(Fills(), &Fill::name)));
}

}  // namespace
}  // namespace normgrad
