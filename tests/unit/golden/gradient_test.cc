// SPDX-License-Identifier: Apache-2.0
// Every oracle's backward pass is the derivative of its own forward pass: the two are written from
// different formulas, so a mistake in one does not hide in the other.
#include <cmath>

#include <gtest/gtest.h>

#include "golden/oracle.h"
#include "ops/operators.h"
#include "tests/unit/golden/tensor_set.h"

namespace normgrad {
namespace {

constexpr double kEps = 1e-3, kStep = 1e-4;

// Small extents for every symbol of the operator's patterns; groups of two channels.
Dims SmallDims(const Operator& op) {
  Dims dims{{"G", {2}}};
  for (const Param& param : op.params) {
    for (const PatternAxis& axis : ParsePattern(param.pattern)) {
      dims.emplace(axis.symbol, axis.kind == PatternAxis::Kind::kSingle ? Shape{4} : Shape{2, 3});
    }
  }
  return dims;
}

// A call in which all there is to count is there.
TensorSet RandomSet(const Operator& op) {
  TensorSet set(op, SmallDims(op), DTypesOf(op, DType::kFloat64));
  set.FillRandom(kEps);
  for (const Param& param : op.params) {
    if (param.role != Role::kCount) continue;
    const auto elements = static_cast<double>(set.CountOf(op.params[0].name));
    const double counted = elements / static_cast<double>(Count("C", set.BoundDims()));
    const auto counters = static_cast<double>(set.CountOf(param.name));
    set.Fill(param.name, [=](std::size_t) { return counted / counters; });
    set.FillStatistics(kEps);
  }
  return set;
}

// The gradient of y is the activation that nothing is the gradient of.
std::string_view UpstreamOf(const Operator& op, const Oracle& oracle) {
  for (const Param& param : op.params) {
    const bool differentiated =
        std::ranges::any_of(oracle.gradients, [&](auto pair) { return pair.second == param.name; });
    if (param.kind == Param::Kind::kInput && param.role == Role::kData && !differentiated) {
      return param.name;
    }
  }
  throw std::logic_error("no upstream gradient");
}

std::vector<double> ReferenceOf(const Oracle& oracle, const TensorSet& set,
                                std::string_view output) {
  std::vector<double> values(set.CountOf(output));
  oracle.reference(set.BoundDims(), set.All(), Profile::kExpanded, 1,
                   [&](const ReferenceBlock& block) {
                     if (block.param == set.IndexOf(output)) {
                       std::ranges::copy(block.value, values.data() + block.first);
                     }
                   });
  return values;
}

double Loss(const Oracle& oracle, const TensorSet& set, std::string_view upstream) {
  const std::vector<double> y = oracle.forward(set.BoundDims(), kEps, set.All());
  double loss = 0;
  for (std::size_t i = 0; i < y.size(); ++i) loss += y[i] * set.Get(upstream, i);
  return loss;
}

TEST(Gradient, OfEveryOracleIsTheCentralDifferenceOfItsForwardPass) {
  for (const Operator* op : AllOperators()) {
    const Oracle& oracle = OracleOf(*op);
    const std::string_view upstream = UpstreamOf(*op, oracle);
    TensorSet set = RandomSet(*op);
    ASSERT_FALSE(oracle.gradients.empty()) << op->name;
    for (const auto& [output, input] : oracle.gradients) {
      const std::vector<double> gradient = ReferenceOf(oracle, set, output);
      for (std::size_t i = 0; i < gradient.size(); ++i) {
        const double value = set.Get(input, i);
        set.Set(input, i, value + kStep);
        const double above = Loss(oracle, set, upstream);
        set.Set(input, i, value - kStep);
        const double below = Loss(oracle, set, upstream);
        set.Set(input, i, value);
        EXPECT_NEAR(gradient[i], (above - below) / (2 * kStep), 1e-6)
            << op->name << " " << output << "[" << i << "]";
        EXPECT_GT(std::fabs(gradient[i]), 1e-4) << "shows nothing: choose other data";
      }
    }
  }
}

}  // namespace
}  // namespace normgrad
