// SPDX-License-Identifier: Apache-2.0
// What holds for every oracle.
#include <bit>
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ops/operators.h"
#include "tests/unit/golden/reference_elements.h"

namespace normgrad {
namespace {

using testing::Each;

Dims Matrix(std::int64_t rows, std::int64_t columns) { return {{"A", {rows}}, {"R", {columns}}}; }

Dims Channels(std::int64_t n, std::int64_t c, std::int64_t groups, const Shape& rest) {
  return {{"N", {n}}, {"C", {c}}, {"G", {groups}}, {"S", rest}, {"K", {2}}};
}

// Extents at and around every place where an oracle cuts: 512 columns, 1024 elements and rows.
std::vector<Dims> DimsOf(const Operator& op) {
  if (std::ranges::any_of(op.params, [](const Param& p) { return p.pattern == "*A *R"; })) {
    return {Matrix(1, 1),    Matrix(1, 7),    Matrix(7, 1), Matrix(3, 1024), Matrix(3, 1025),
            Matrix(2, 5000), Matrix(5000, 3), Matrix(0, 4), Matrix(4, 0)};
  }
  return {Channels(1, 1, 1, {}),       Channels(2, 6, 3, {7}),   Channels(3, 4, 4, {}),
          Channels(2, 4, 2, {33, 31}), Channels(1500, 2, 1, {}), Channels(2, 2, 1, {1025}),
          Channels(0, 4, 2, {3}),      Channels(2, 4, 2, {0}),   Channels(700, 40, 20, {})};
}

TensorSet RandomSet(const Operator& op, const Dims& dims, const DTypes& dtypes) {
  TensorSet set(op, dims, dtypes);
  set.FillRandom(1e-5);
  return set;
}

TensorSet RandomSet(const Operator& op, const Dims& dims) {
  return RandomSet(op, dims, DTypesOf(op, DType::kFloat32));
}

bool SameBits(double a, double b) {
  return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}

void ExpectSame(const ReferenceElements& actual, const ReferenceElements& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i) {
    const ReferenceElement &a = actual[i], &b = expected[i];
    ASSERT_TRUE(SameBits(a.value, b.value) && SameBits(a.local, b.local) &&
                SameBits(a.flush, b.flush) && a.may_overflow == b.may_overflow)
        << i;
    ASSERT_EQ(a.sums.size(), b.sums.size());
    for (std::size_t k = 0; k < a.sums.size(); ++k) {
      ASSERT_TRUE(SameBits(a.sums[k].weight, b.sums[k].weight) &&
                  SameBits(a.sums[k].sum.value, b.sums[k].sum.value) &&
                  SameBits(a.sums[k].sum.magnitude, b.sums[k].sum.magnitude) &&
                  SameBits(a.sums[k].sum.energy, b.sums[k].sum.energy))
          << i;
    }
  }
}

TEST(EveryOracle, StreamsEveryElementOfEveryOutputOnce) {
  for (const Operator* op : AllOperators()) {
    for (const Dims& dims : DimsOf(*op)) {
      const auto all = Collect(RandomSet(*op, dims), 3);
      for (std::size_t i = 0; i < all.size(); ++i) {
        const bool is_output = op->params[i].kind == Param::Kind::kOutput;
        EXPECT_THAT(Members(all[i], &ReferenceElement::visits), Each(is_output ? 1 : 0))
            << op->name << " " << op->params[i].name << " " << ToString(dims);
      }
    }
  }
}

TEST(EveryOracle, GivesTheSameBitsOnAnyNumberOfThreads) {
  for (const Operator* op : AllOperators()) {
    for (const Dims& dims : DimsOf(*op)) {
      SCOPED_TRACE(std::string(op->name) + " " + ToString(dims));
      const TensorSet set = RandomSet(*op, dims);
      const auto once = Collect(set);
      for (const unsigned threads : {2U, 7U}) {
        const auto again = Collect(set, threads);
        for (std::size_t i = 0; i < once.size(); ++i) ExpectSame(again[i], once[i]);
      }
    }
  }
}

TEST(EveryOracle, LeavesOutAnOutputNobodyWantsAndNothingElse) {
  for (const Operator* op : AllOperators()) {
    for (const Dims& dims : DimsOf(*op)) {
      const auto all = Collect(RandomSet(*op, dims));
      for (std::size_t dropped = 0; dropped < all.size(); ++dropped) {
        if (op->params[dropped].kind != Param::Kind::kOutput) continue;
        SCOPED_TRACE(std::string(op->params[dropped].name) + " " + ToString(dims));
        TensorSet set = RandomSet(*op, dims);
        set.Drop(op->params[dropped].name);
        const auto rest = Collect(set);
        for (std::size_t i = 0; i < all.size(); ++i) {
          if (i != dropped) ExpectSame(rest[i], all[i]);
        }
      }
    }
  }
}

TEST(EveryOracle, TakesAnInputThatIsNullForOnes) {
  for (const Operator* op : AllOperators()) {
    for (const Param& param : op->params) {
      if (!param.optional) continue;
      for (const Dims& dims : DimsOf(*op)) {
        SCOPED_TRACE(std::string(param.name) + " " + ToString(dims));
        TensorSet set = RandomSet(*op, dims);
        set.Fill(param.name, [](std::size_t) { return 1.0; });
        set.FillStatistics(1e-5);
        const auto ones = Collect(set);
        set.Drop(param.name);
        set.FillStatistics(1e-5);
        const auto null = Collect(set);
        for (std::size_t i = 0; i < ones.size(); ++i) {
          if (i != set.IndexOf(param.name)) ExpectSame(null[i], ones[i]);
        }
      }
    }
  }
}

// x + c and mean + c are exact, so the result must be what it was, however much cancels.
TEST(EveryOracle, LosesNothingToAMeanFarFromZero) {
  constexpr double kFar = 0x1p18;
  for (const Operator* op : AllOperators()) {
    if (!FindParam(*op, "mean")) continue;
    for (const Dims& dims : DimsOf(*op)) {
      SCOPED_TRACE(std::string(op->name) + " " + ToString(dims));
      TensorSet near = RandomSet(*op, dims), far = RandomSet(*op, dims);
      for (const std::string_view name : {"input", "mean"}) {
        const RandomStream random(HashText(name));
        near.Fill(name, [&](std::size_t i) { return std::round(16 * random.Normal(i)) / 16; });
        far.Fill(name, [&](std::size_t i) { return near.Get(name, i) + kFar; });
      }
      const auto expected = Collect(near), actual = Collect(far);
      for (std::size_t output = 0; output < expected.size(); ++output) {
        for (std::size_t i = 0; i < expected[output].size(); ++i) {
          if (op->params[output].kind != Param::Kind::kOutput) continue;
          const double value = expected[output][i].value;
          ASSERT_NEAR(actual[output][i].value, value, 0x1p-48 * std::fabs(value)) << i;
        }
      }
    }
  }
}

TEST(EveryOracle, AllowsMoreToAnExpandedKernelFarFromZeroThanToACentredOne) {
  for (const Operator* op : AllOperators()) {
    if (!FindParam(*op, "mean")) continue;
    TensorSet set = RandomSet(*op, DimsOf(*op)[3]);
    set.Fill("input", [&](std::size_t i) { return set.Get("input", i) + 1000; });
    set.FillStatistics(0);
    const auto first_output = std::ranges::find(op->params, Param::Kind::kOutput, &Param::kind);
    const std::size_t data_grad = set.IndexOf(first_output->name);
    const auto expanded = Collect(set)[data_grad];
    const auto centred = Collect(set, 1, Profile::kCentred)[data_grad];
    for (std::size_t i = 0; i < expanded.size(); ++i) {
      ASSERT_TRUE(SameBits(expanded[i].value, centred[i].value));
      ASSERT_LT(centred[i].local, expanded[i].local);
      if (centred[i].sums.empty()) continue;
      ASSERT_LT(100 * centred[i].sums[0].sum.magnitude, expanded[i].sums[0].sum.magnitude);
      ASSERT_LT(100 * centred[i].sums[0].sum.energy, expanded[i].sums[0].sum.energy);
    }
  }
}

}  // namespace
}  // namespace normgrad
