// SPDX-License-Identifier: Apache-2.0
#include "kernels/faulty/float32_model.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/random.h"

namespace normgrad::faulty {
namespace {

constexpr float kSmallestNormal = 0x1p-126F;

float Forward(std::span<const float> terms) {
  return std::accumulate(terms.begin(), terms.end(), 0.0F);
}

float Tree(std::span<const float> terms) {
  if (terms.empty()) return 0;
  if (terms.size() == 1) return terms[0];
  const std::size_t half = terms.size() / 2;
  return Tree(terms.first(half)) + Tree(terms.subspan(half));
}

Floats Lanes(std::span<const float> terms, std::size_t lanes) {
  Floats sums(lanes, 0);
  for (std::size_t i = 0; i < terms.size(); ++i) sums[i % lanes] += terms[i];
  return sums;
}

Floats Blocks(std::span<const float> terms, std::size_t block) {
  Floats sums;
  sums.reserve(terms.size() / block + 1);
  for (std::size_t i = 0; i < terms.size(); i += block) {
    sums.push_back(Forward(terms.subspan(i, std::min(block, terms.size() - i))));
  }
  return sums;
}

float Compensated(std::span<const float> terms) {
  float sum = 0, lost = 0;
  for (const float term : terms) {
    const float corrected = term - lost, next = sum + corrected;
    lost = (next - sum) - corrected;
    sum = next;
  }
  return sum;
}

/// Every launch has its own order of arrival.
void Shuffle(std::uint64_t launches, std::size_t index, Floats* terms) {
  const RandomStream random(launches * 0x9E3779B97F4A7C15ULL + index);
  for (std::size_t i = terms->size(); i > 1; --i) {
    std::swap((*terms)[i - 1], (*terms)[random.Bits(i) % i]);
  }
}

Floats Read(const KernelTensor& tensor) {
  Floats floats(ElementCount(tensor.shape));
  if (tensor.dense) {
    std::vector<double> values(floats.size());
    LoadAll(tensor.dtype, tensor.data, values.size(), values.data());
    std::ranges::transform(values, floats.begin(), [](double v) { return static_cast<float>(v); });
    return floats;
  }
  for (std::size_t i = 0; i < floats.size(); ++i) {
    floats[i] = static_cast<float>(Load(tensor.dtype, ElementOf(tensor, i)));
  }
  return floats;
}

class Computation {
 public:
  Computation(const Recipe& recipe, const Operator& op, const Launch& launch,
              std::uint64_t launches)
      : recipe_(recipe), in_{op, launch, launches} {
    ReadInputs();
    if (recipe.twist.inputs != nullptr) recipe.twist.inputs(in_);
  }

  void Run() {
    const KernelTensor& dx = Output(Role::kData, 0);
    if (dx.present() && !in_.dy.empty()) InputGradient(dx);
    ScaleGradient(SumOf::kScaleGrad, 0);
    ScaleGradient(SumOf::kBiasGrad, 1);
  }

 private:
  const KernelTensor& Tensor(Param::Kind kind, Role role, std::size_t which) const {
    static const KernelTensor kNone;
    for (std::size_t i = 0; i < in_.op.params.size(); ++i) {
      const Param& param = in_.op.params[i];
      if (param.kind == kind && param.role == role && which-- == 0) return in_.launch.tensors[i];
    }
    return kNone;
  }
  const KernelTensor& Output(Role role, std::size_t which) const {
    return Tensor(Param::Kind::kOutput, role, which);
  }

  Floats InputOf(Role role, std::size_t which, std::size_t count, float absent) const {
    const KernelTensor& tensor = Tensor(Param::Kind::kInput, role, which);
    if (!tensor.present()) return Floats(count, absent);
    Floats floats = Read(tensor);
    for (float& value : floats) value = Flushed(value);
    return floats;
  }

  void ReadInputs() {
    const Dims& dims = in_.launch.dims;
    const bool rows = dims.contains("R");
    const KernelTensor& x = Tensor(Param::Kind::kInput, Role::kData, 1);
    const KernelTensor& dx = Output(Role::kData, 0);
    in_.data = dx.present() ? dx.dtype : x.dtype;
    in_.dy = InputOf(Role::kData, 0, 0, 0);
    in_.x = InputOf(Role::kData, 1, 0, 0);
    in_.scales = rows ? Count("*R", dims) : Count("C", dims);
    in_.run = rows ? 1 : Count("*S", dims);
    const bool one_statistic = !FindParam(in_.op, "mean");
    in_.rstd = InputOf(Role::kStatistic, one_statistic ? 0 : 1, 0, 1);
    in_.sets = in_.rstd.size();
    in_.mean = one_statistic ? Floats(in_.sets, 0) : InputOf(Role::kStatistic, 0, 0, 0);
    in_.centred = !one_statistic;
    in_.has_scale = Tensor(Param::Kind::kInput, Role::kScale, 0).present();
    in_.scale = InputOf(Role::kScale, 0, in_.scales, 1);
    in_.sum_dy = InputOf(Role::kChannelSum, 0, 0, 0);
    in_.sum_dy_xmu = InputOf(Role::kChannelSum, 1, 0, 0);
    in_.counter = InputOf(Role::kCount, 0, 0, 0);
    in_.has_sums = !in_.sum_dy.empty();
    in_.set_run = in_.has_sums ? in_.run : in_.dy.size() / std::max<std::size_t>(in_.sets, 1);
  }

  float Flushed(float value) const {
    return recipe_.flush && std::fabs(value) < kSmallestNormal ? 0 : value;
  }

  float Keep(Kept what, float value) const {
    return recipe_.twist.keep == nullptr ? value : recipe_.twist.keep(in_, what, value);
  }

  float P(std::size_t i) const {
    if (in_.has_sums) return Keep(Kept::kProduct, in_.dy[i]);
    return Keep(Kept::kProduct, Flushed(in_.dy[i] * in_.scale[in_.ScaleOf(i)]));
  }

  float Xhat(std::size_t i, float mean, float r) const {
    const float x = in_.x[i];
    return Keep(Kept::kXhat,
                recipe_.arrangement == Arrangement::kExpanded ? x * r - mean * r : (x - mean) * r);
  }

  float Total(Addends sum) const {
    if (recipe_.twist.addends != nullptr) recipe_.twist.addends(in_, sum);
    Floats& terms = sum.terms;
    if (recipe_.twist.add != nullptr) {
      float total = 0;
      for (const float term : terms) total = recipe_.twist.add(in_, sum.what, total, term);
      return total;
    }
    switch (recipe_.twist.order != nullptr ? recipe_.twist.order(in_, sum) : recipe_.order) {
      case Order::kForward: return Flushed(Forward(terms));
      case Order::kReverse: return Forward(Floats(terms.rbegin(), terms.rend()));
      case Order::kLanes8: return Forward(Lanes(terms, 8));
      case Order::kLanes64: return Tree(Lanes(terms, 64));
      case Order::kPairwise: return Tree(terms);
      case Order::kBlocks: return Forward(Blocks(terms, 64));
      case Order::kCompensated: return Compensated(terms);
      case Order::kDouble:
        return static_cast<float>(std::accumulate(terms.begin(), terms.end(), 0.0));
      case Order::kArrival: break;
    }
    Floats blocks = Blocks(terms, 8);
    if (!in_.launch.deterministic || recipe_.despite_option) {
      Shuffle(in_.launches, sum.index, &blocks);
    }
    return Forward(blocks);
  }

  /// The sum over one set of f(element).
  template <typename F>
  float SetSum(SumOf what, std::size_t set, F f) const {
    Addends sum{what, set, Floats(in_.set_run), std::vector<std::size_t>(in_.set_run)};
    std::iota(sum.elements.begin(), sum.elements.end(), set * in_.set_run);
    std::ranges::transform(sum.elements, sum.terms.begin(), f);
    return Total(std::move(sum));
  }

  SetState Reduce(std::size_t set) const {
    SetState state;
    state.r = state.factor = in_.rstd[set];
    state.mean = in_.mean[set];
    const float r = state.r, mean = state.mean;
    if (in_.has_sums) {
      state.count = std::accumulate(in_.counter.begin(), in_.counter.end(), 0.0F);
      state.terms = in_.sum_dy[set];
      state.deviations = in_.sum_dy_xmu[set];
      state.products = r * state.deviations;
      state.linear = state.deviations;
      return state;
    }
    state.count = static_cast<float>(in_.set_run);
    if (in_.centred) state.terms = SetSum(SumOf::kTerms, set, [&](auto i) { return P(i); });
    state.products = SetSum(SumOf::kProducts, set, [&](auto i) { return P(i) * Xhat(i, mean, r); });
    if (recipe_.arrangement == Arrangement::kCubed) {
      state.deviations =
          SetSum(SumOf::kDeviations, set, [&](auto i) { return P(i) * (in_.x[i] - mean); });
    }
    if (recipe_.arrangement == Arrangement::kLinear) {
      state.linear = SetSum(SumOf::kDeviations, set, [&](auto i) { return P(i) * in_.x[i]; }) -
                     state.terms * mean;
    }
    return state;
  }

  float Dx(std::size_t i, const SetState& state) const {
    const float p = P(i), x = in_.x[i], n = state.count, r = state.r, mean = state.mean;
    const float f = in_.has_sums ? state.factor * in_.scale[in_.ScaleOf(i)] : state.factor;
    const float m1 = state.terms / n;
    switch (recipe_.arrangement) {
      case Arrangement::kPlain:
      case Arrangement::kExpanded: return ((p - m1) - Xhat(i, mean, r) * (state.products / n)) * f;
      case Arrangement::kFused: return std::fma(-Xhat(i, mean, r), state.products / n, p - m1) * f;
      case Arrangement::kScaled:
        return ((n * p - state.terms) - Xhat(i, mean, r) * state.products) * (1 / n) * f;
      case Arrangement::kCubed:
        return (p - m1) * f - ((1 / n) * f * r * r * state.deviations) * (x - mean);
      case Arrangement::kLinear: break;
    }
    const float b = -(f * r * r * state.linear / n);
    const float c = -b * mean - state.terms * f / n;
    return f * p + b * x + c;
  }

  void InputGradient(const KernelTensor& dx) const {
    std::vector<SetState> states;
    states.reserve(in_.sets);
    for (std::size_t set = 0; set < in_.sets; ++set) states.push_back(Reduce(set));
    if (recipe_.twist.states != nullptr) recipe_.twist.states(in_, states);
    for (std::size_t i = 0; i < in_.dy.size(); ++i) {
      const std::size_t set =
          recipe_.twist.set_of != nullptr ? recipe_.twist.set_of(in_, i) : in_.SetOf(i);
      Put(dx, i, Dx(i, states[set]));
    }
  }

  void ScaleGradient(SumOf what, std::size_t which) const {
    const KernelTensor& gradient = Output(Role::kScaleGrad, which);
    if (!gradient.present()) return;
    const std::size_t turn = in_.run * in_.scales;
    for (std::size_t scale = 0; scale < in_.scales; ++scale) {
      Addends sum{what, scale, {}, {}};
      const std::size_t count = turn == 0 ? 0 : in_.dy.size() / turn * in_.run;
      sum.terms.reserve(count);
      sum.elements.reserve(count);
      for (std::size_t start = scale * in_.run; start < in_.dy.size(); start += turn) {
        for (std::size_t i = start; i < start + in_.run; ++i) {
          const std::size_t set = in_.SetOf(i);
          sum.elements.push_back(i);
          sum.terms.push_back(what == SumOf::kBiasGrad
                                  ? in_.dy[i]
                                  : in_.dy[i] * Xhat(i, in_.mean[set], in_.rstd[set]));
        }
      }
      Put(gradient, scale, Total(std::move(sum)));
    }
  }

  void Put(const KernelTensor& tensor, std::size_t i, float value) const {
    const auto param = static_cast<std::size_t>(&tensor - in_.launch.tensors.data());
    std::byte* const element = ElementOf(tensor, i);
    if (recipe_.twist.store != nullptr) {
      recipe_.twist.store(in_.op.params[param], tensor.dtype, value, element);
    } else {
      Store(tensor.dtype, double{Flushed(value)}, element);
    }
  }

  const Recipe& recipe_;
  Inputs in_;
};

}  // namespace

std::int64_t Inputs::Extent(std::string_view symbol, std::size_t axis) const {
  return launch.dims.find(symbol)->second.at(axis);
}

DType Inputs::Narrow() const { return SizeOf(data) == 2 ? data : DType::kBFloat16; }

void Compute(const Recipe& recipe, const Operator& op, const Launch& launch,
             std::uint64_t launches) {
  Computation(recipe, op, launch, launches).Run();
}

std::byte* ElementOf(const KernelTensor& tensor, std::size_t flat) {
  std::int64_t position = 0;
  if (tensor.dense) {
    position = static_cast<std::int64_t>(flat);
  } else {
    for (std::size_t axis = tensor.shape.size(); axis-- > 0;) {
      const auto extent = static_cast<std::size_t>(tensor.shape[axis]);
      position += static_cast<std::int64_t>(flat % extent) * tensor.strides[axis];
      flat /= extent;
    }
  }
  return static_cast<std::byte*>(tensor.data) +
         position * static_cast<std::int64_t>(SizeOf(tensor.dtype));
}

}  // namespace normgrad::faulty
