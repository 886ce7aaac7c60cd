// SPDX-License-Identifier: Apache-2.0
#include "golden/self_check.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "base/random.h"

namespace normgrad {
namespace {

constexpr double kEps = 1e-3, kStep = 1e-4;

/// A small call in float64: every symbol two or four, groups of two channels.
class SmallCall {
 public:
  explicit SmallCall(const Operator& op) : op_(op), oracle_(OracleOf(op)) {
    dims_.emplace("G", Shape{2});
    for (const Param& param : op.params) {
      for (const PatternAxis& axis : ParsePattern(param.pattern)) {
        dims_.emplace(axis.symbol,
                      axis.kind == PatternAxis::Kind::kSingle ? Shape{4} : Shape{2, 3});
      }
    }
    std::size_t elements = 0;  // of x
    for (const Param& param : op.params) {
      std::vector<double>& values = values_.emplace_back();
      if (!param.IsTensor()) continue;
      values.resize(Count(param.pattern, dims_));
      if (elements == 0) elements = values.size();
      const RandomStream random(HashText(param.name, 1));
      for (std::size_t i = 0; i < values.size(); ++i) values[i] = 1.25 + random.Normal(i);
    }
    for (std::size_t i = 0; i < op.params.size(); ++i) {
      const Param& param = op.params[i];
      // The call is all there is to count.
      if (param.role == Role::kCount) {
        const std::size_t counted = elements / Count("C", dims_);
        std::ranges::fill(values_[i],
                          static_cast<double>(counted) / static_cast<double>(values_[i].size()));
      }
      tensors_.push_back(param.IsTensor()
                             ? HostTensor{DType::kFloat64, Expand(param.pattern, dims_),
                                          reinterpret_cast<const std::byte*>(values_[i].data())}
                             : HostTensor{});
    }
    const auto derived = oracle_.statistics(dims_, kEps, tensors_, 1);
    auto next = derived.begin();
    for (std::size_t i = 0; i < op.params.size(); ++i) {
      const Role role = op.params[i].role;
      if (op.params[i].kind != Param::Kind::kInput) continue;
      if (role == Role::kStatistic || role == Role::kChannelSum) values_[i] = *next++;
    }
    // The vectors above were replaced, the tensors point at the old ones.
    for (std::size_t i = 0; i < op.params.size(); ++i) {
      tensors_[i].data = reinterpret_cast<const std::byte*>(values_[i].data());
    }
  }

  std::vector<double>& Values(std::string_view name) {
    return values_[FindParam(op_, name).value()];
  }

  std::vector<double> Reference(std::string_view output) const {
    const std::size_t param = FindParam(op_, output).value();
    std::vector<double> values(values_[param].size());
    oracle_.reference(dims_, tensors_, Profile::kExpanded, 1, [&](const ReferenceBlock& block) {
      if (block.param == param) std::ranges::copy(block.value, values.data() + block.first);
    });
    return values;
  }

  /// sum(gradient of y * y); the gradient of y is the activation that nothing is the gradient of.
  double Loss() const {
    const std::vector<double> y = oracle_.forward(dims_, kEps, tensors_);
    const std::vector<double>& upstream = values_[Upstream()];
    double loss = 0;
    for (std::size_t i = 0; i < y.size(); ++i) loss += y[i] * upstream[i];
    return loss;
  }

 private:
  std::size_t Upstream() const {
    for (std::size_t i = 0; i < op_.params.size(); ++i) {
      const Param& param = op_.params[i];
      const bool differentiated = std::ranges::any_of(
          oracle_.gradients, [&](auto pair) { return pair.second == param.name; });
      if (param.kind == Param::Kind::kInput && param.role == Role::kData && !differentiated) {
        return i;
      }
    }
    throw std::logic_error("the operator has no gradient of y");
  }

  const Operator& op_;
  const Oracle& oracle_;
  Dims dims_;
  std::vector<std::vector<double>> values_;
  std::vector<HostTensor> tensors_;
};

}  // namespace

std::vector<GradientElement> CompareWithForward(const Operator& op) {
  SmallCall call(op);
  std::vector<GradientElement> elements;
  for (const auto& [output, input] : OracleOf(op).gradients) {
    const std::vector<double> reference = call.Reference(output);
    for (std::size_t i = 0; i < reference.size(); ++i) {
      double& value = call.Values(input)[i];
      const double before = value;
      value = before + kStep;
      const double above = call.Loss();
      value = before - kStep;
      const double below = call.Loss();
      value = before;
      elements.push_back({std::string(output), i, reference[i], (above - below) / (2 * kStep)});
    }
  }
  return elements;
}

double GradientError(const Operator& op) {
  const auto elements = CompareWithForward(op);
  double worst = 0;
  for (const GradientElement& element : elements) {
    double largest = 0;
    for (const GradientElement& other : elements) {
      if (other.output == element.output) largest = std::max(largest, std::fabs(other.reference));
    }
    const double error = std::fabs(element.reference - element.difference) / largest;
    if (!(error <= worst)) worst = error;  // NaN, too
  }
  return worst;
}

}  // namespace normgrad
