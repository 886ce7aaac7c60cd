// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/accuracy/float32_kernel.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace normgrad {
namespace {

using Floats = std::vector<float>;

float Forward(std::span<const float> terms) {
  float sum = 0;
  for (const float term : terms) sum += term;
  return sum;
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

// Sum of a[i] * b[i].
float Dot(SumOrder order, const Floats& a, const Floats& b) {
  if (order == SumOrder::kFused) {
    float sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum = std::fma(a[i], b[i], sum);
    return sum;
  }
  Floats terms(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) terms[i] = a[i] * b[i];
  switch (order) {
    case SumOrder::kFused:
    case SumOrder::kForward: return Forward(terms);
    case SumOrder::kReverse: return Forward(Floats(terms.rbegin(), terms.rend()));
    case SumOrder::kLanes8: return Forward(Lanes(terms, 8));
    case SumOrder::kLanes64: return Tree(Lanes(terms, 64));
    case SumOrder::kPairwise: return Tree(terms);
    case SumOrder::kBlocks: break;
  }
  Floats blocks;
  for (std::size_t i = 0; i < terms.size(); i += 256) {
    blocks.push_back(
        Forward(std::span(terms).subspan(i, std::min<std::size_t>(256, terms.size() - i))));
  }
  return Forward(blocks);
}

// The elements of a tensor; `absent` everywhere where it is null.
Floats Read(const TensorSet& set, std::string_view name, std::size_t count, float absent) {
  Floats floats(count, absent);
  if (name.empty() || !set[name].present()) return floats;
  std::vector<double> values(count);
  LoadAll(set[name].dtype, set[name].data, count, values.data());
  std::ranges::transform(values, floats.begin(), [](double v) { return static_cast<float>(v); });
  return floats;
}

// Changes the bits of an element by `by`: one unit in the last place if that is 1 or -1.
void StepBits(DType dtype, std::byte* element, int by) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, element, SizeOf(dtype));
  bits += static_cast<std::uint32_t>(by);
  std::memcpy(element, &bits, SizeOf(dtype));
}

// The names and the shape of an operator: sets of adjacent elements that share statistics, or,
// where sums over channels are inputs, channels.
struct View {
  std::string_view dy, x, mean, rstd, scale, dx, dscale, dbias;
  std::size_t elements = 0, scales = 0;
  std::size_t run = 1;  // adjacent elements of one scale
  std::size_t sets = 0;
};

View ViewOf(const TensorSet& set) {
  const Dims& dims = set.BoundDims();
  const std::string_view name = set.Op().name;
  View view;
  if (name == "rms_norm_grad") {
    view = {"dy", "x", "", "rstd", "gamma", "dxOut", "dgammaOut", ""};
  } else if (name == "layer_norm_backward") {
    view = {"gradOut",        "input",        "mean",          "rstd",
            "weightOptional", "gradInputOut", "gradWeightOut", "gradBiasOut"};
  } else if (name == "group_norm_backward") {
    view = {"gradOut", "input",     "mean",         "rstd",
            "gamma",   "gradInput", "gradGammaOut", "gradBetaOut"};
  } else {
    view = {"gradOut", "input", "mean", "invstd", "weight", "gradInput", "", ""};
  }
  view.elements = set.CountOf(view.x);
  view.sets = set.CountOf(view.rstd);
  const bool rows = dims.contains("R");
  view.scales = rows ? Count("*R", dims) : Count("C", dims);
  view.run = rows ? 1 : Count("*S", dims);
  return view;
}

void TurnLeft(Floats* floats) { std::rotate(floats->begin(), floats->begin() + 1, floats->end()); }

// What dx depends on besides its own element.
struct Shared {
  float r = 0, mean = 0, count = 0;
  float terms = 0;       // sum of p
  float products = 0;    // sum of p * xhat
  float deviations = 0;  // sum of p * (x - mean)
  float linear = 0;      // sum of p * x
};

float Xhat(Arrangement arrangement, float x, float mean, float r) {
  return arrangement == Arrangement::kExpanded ? x * r - mean * r : (x - mean) * r;
}

float Element(const Float32Kernel& kernel, float p, float x, const Shared& shared) {
  const auto [r, mean, count, terms, products, deviations, linear] = shared;
  float m1 = terms / count;
  if (kernel.fault == Fault::kMeanForgotten) m1 = 0;
  if (kernel.fault == Fault::kMeanSubtractedTwice) m1 = 2 * m1;
  const float xhat = Xhat(kernel.arrangement, x, mean, r);
  switch (kernel.arrangement) {
    case Arrangement::kPlain:
    case Arrangement::kExpanded: return ((p - m1) - xhat * (products / count)) * r;
    case Arrangement::kFused: return std::fma(-xhat, products / count, p - m1) * r;
    case Arrangement::kScaled: return ((count * p - terms) - xhat * products) * (1 / count) * r;
    case Arrangement::kCubed:
      return (p - m1) * r - ((1 / count) * r * r * r * deviations) * (x - mean);
    case Arrangement::kLinear: break;
  }
  const float b = (terms * mean - linear) * r * r * r / count;
  const float c = -b * mean - terms * r / count;
  return r * p + b * x + c;
}

class Run {
 public:
  Run(const Float32Kernel& kernel, TensorSet* set)
      : kernel_(kernel),
        set_(*set),
        view_(ViewOf(*set)),
        dx_dtype_((*set)[view_.dx].dtype),
        dx_data_(set->Element(view_.dx, 0)),
        dy_(Read(*set, view_.dy, view_.elements, 0)),
        x_(Read(*set, view_.x, view_.elements, 0)),
        mean_(Read(*set, view_.mean, view_.sets, 0)),
        rstd_(Read(*set, view_.rstd, view_.sets, 1)),
        scale_(Read(*set, view_.scale, view_.scales, 1)) {
    if (kernel.fault == Fault::kNextStatistics) {
      TurnLeft(&mean_);
      TurnLeft(&rstd_);
    }
  }

  void All() {
    dx_scale_ = scale_;
    if (kernel_.fault == Fault::kScaleForgotten) dx_scale_.assign(scale_.size(), 1);
    if (kernel_.fault == Fault::kNextScale) TurnLeft(&dx_scale_);
    if (FindParam(set_.Op(), "counter")) {
      BatchNorm();
    } else {
      for (std::size_t set = 0; set < view_.sets; ++set) Set(set);
      ScaleGradients();
    }
    if (kernel_.fault == Fault::kOneUnitInTheLastPlace) {
      StepBits(set_[view_.dx].dtype, set_.Element(view_.dx, view_.elements / 2), 1);
    }
  }

 private:
  void StoreDx(std::size_t i, float value) {
    const DType dtype = dx_dtype_;
    std::byte* const element = dx_data_ + i * SizeOf(dtype);
    Store(dtype, double{value}, element);
    const bool away = std::fabs(Load(dtype, element)) > std::fabs(double{value});
    if (kernel_.fault == Fault::kTruncatedOutput && away) StepBits(dtype, element, -1);
    if (kernel_.fault == Fault::kRoundedBits && dtype == DType::kBFloat16) {
      const auto bits = std::bit_cast<std::uint32_t>(value);
      const auto rounded = static_cast<std::uint16_t>((bits + 0x7FFF + (bits >> 16) % 2) >> 16);
      std::memcpy(element, &rounded, sizeof rounded);
    }
  }

  void Set(std::size_t set) {
    const std::size_t size = view_.elements / view_.sets, first = set * size;
    Shared shared{
        .r = rstd_[set],
        .mean = mean_[set],
        .count = static_cast<float>(size - (kernel_.fault == Fault::kDividedByOneLess ? 1 : 0))};
    Floats dy(size), x(size), p(size), xhat(size), deviation(size);
    for (std::size_t i = 0; i < size; ++i) {
      dy[i] = dy_[first + i], x[i] = x_[first + i];
      p[i] = dy[i] * dx_scale_[(first + i) / view_.run % view_.scales];
      xhat[i] = Xhat(kernel_.arrangement, x[i], shared.mean, shared.r);
      deviation[i] = x[i] - shared.mean;
    }
    Floats summed = p;
    if (kernel_.fault == Fault::kLastElementDropped) summed.back() = 0, dy.back() = 0;
    if (!view_.mean.empty()) shared.terms = Dot(kernel_.order, summed, Floats(size, 1));
    shared.products = Dot(kernel_.order, summed, xhat);
    shared.deviations = Dot(kernel_.order, summed, deviation);
    if (kernel_.fault == Fault::kSixteenBitMean) {
      const float m2 = shared.products / shared.count;
      shared.products = static_cast<float>(Round(set_[view_.dx].dtype, double{m2})) * shared.count;
    }
    if (kernel_.arrangement == Arrangement::kLinear) Linear(first, dy, x, &shared);
    for (std::size_t i = 0; i < size; ++i) {
      StoreDx(first + i, Element(kernel_, p[i], x[i], shared));
    }
  }

  // Sums over the elements of one scale first, which are then scaled and added.
  void Linear(std::size_t first, const Floats& dy, const Floats& x, Shared* shared) const {
    Floats linear, terms, scale;
    for (std::size_t i = 0; i < dy.size(); i += view_.run) {
      const auto begin = static_cast<std::ptrdiff_t>(i);
      const auto end = static_cast<std::ptrdiff_t>(i + view_.run);
      const Floats run_dy(dy.begin() + begin, dy.begin() + end);
      const Floats run_x(x.begin() + begin, x.begin() + end);
      linear.push_back(Dot(kernel_.order, run_dy, run_x));
      terms.push_back(Dot(kernel_.order, run_dy, Floats(view_.run, 1)));
      scale.push_back(dx_scale_[(first + i) / view_.run % view_.scales]);
    }
    shared->linear = Dot(kernel_.order, linear, scale);
    if (!view_.mean.empty()) shared->terms = Dot(kernel_.order, terms, scale);
  }

  void ScaleGradients() {
    const std::size_t size = view_.elements / std::max<std::size_t>(view_.sets, 1);
    const std::size_t turn = view_.run * view_.scales;
    const bool drops = kernel_.fault == Fault::kLastRowDropped;
    const std::size_t end = view_.elements - (drops ? turn : 0);
    for (std::size_t scale = 0; scale < view_.scales; ++scale) {
      Floats dy, xhat, ones, partials;
      for (std::size_t start = scale * view_.run; start < end; start += turn) {
        const float mean = mean_[start / size], r = rstd_[start / size];
        Floats run_dy, run_x;
        for (std::size_t i = start; i < start + view_.run; ++i) {
          run_dy.push_back(dy_[i]), run_x.push_back(x_[i]);
          dy.push_back(dy_[i]), ones.push_back(1);
          xhat.push_back(Xhat(kernel_.arrangement, x_[i], mean, r));
        }
        if (kernel_.arrangement != Arrangement::kLinear) continue;
        const float terms = Dot(kernel_.order, run_dy, Floats(view_.run, 1));
        partials.push_back((Dot(kernel_.order, run_dy, run_x) - terms * mean) * r);
      }
      const bool linear = kernel_.arrangement == Arrangement::kLinear;
      set_.Set(view_.dscale, scale,
               double{linear ? Dot(kernel_.order, partials, Floats(partials.size(), 1))
                             : Dot(kernel_.order, dy, xhat)});
      if (view_.dbias.empty()) continue;
      set_.Set(view_.dbias, scale, double{Dot(kernel_.order, dy, ones)});
    }
  }

  float Counted() const {
    const Floats counter = Read(set_, "counter", set_.CountOf("counter"), 0);
    if (kernel_.fault == Fault::kOneCounter) return counter.front();
    const float count = Dot(kernel_.order, counter, Floats(counter.size(), 1));
    return kernel_.fault == Fault::kDividedByOneLess ? count - 1 : count;
  }

  void BatchNorm() {
    const Floats sum_dy = Read(set_, "sumDy", view_.sets, 0);
    const Floats sum_dy_xmu = Read(set_, "sumDyXmu", view_.sets, 0);
    const float count = Counted();
    for (std::size_t i = 0; i < view_.elements; ++i) {
      const std::size_t channel = i / view_.run % view_.sets;
      StoreDx(
          i, BatchNormElement(dy_[i], x_[i], channel, sum_dy[channel], sum_dy_xmu[channel], count));
    }
  }

  float BatchNormElement(float dy, float x, std::size_t channel, float s1, float s2,
                         float count) const {
    const float r = rstd_[channel], mean = mean_[channel], w = dx_scale_[channel];
    const float square = kernel_.fault == Fault::kDeviationNotSquared ? r : r * r;
    float m1 = s1 / count;
    if (kernel_.fault == Fault::kMeanForgotten) m1 = 0;
    if (kernel_.fault == Fault::kMeanSubtractedTwice) m1 = 2 * m1;
    switch (kernel_.arrangement) {
      case Arrangement::kPlain: return ((dy - m1) - (x - mean) * square * (s2 / count)) * r * w;
      case Arrangement::kFused: return std::fma(mean - x, square * (s2 / count), dy - m1) * (r * w);
      case Arrangement::kScaled:
        return ((count * dy - s1) - (x - mean) * (square * s2)) * (1 / count) * (r * w);
      case Arrangement::kCubed:
        return (dy - m1) * (r * w) - (w * r * r * r * (s2 * (1 / count))) * (x - mean);
      case Arrangement::kExpanded:
        return ((dy - s1 * (1 / count)) - (x * r - mean * r) * (r * (s2 * (1 / count)))) * (r * w);
      case Arrangement::kLinear: break;
    }
    const float a = r * w, b = -(a * square * (s2 / count)), c = -(b * mean) - a * m1;
    return a * dy + b * x + c;
  }

  const Float32Kernel& kernel_;
  TensorSet& set_;
  View view_;
  DType dx_dtype_;
  std::byte* dx_data_;
  Floats dy_, x_, mean_, rstd_, scale_, dx_scale_;
};

}  // namespace

void Float32Kernel::Run(TensorSet* set) const { normgrad::Run(*this, set).All(); }

std::span<const Float32Kernel> CorrectKernels() {
  static constexpr Float32Kernel kKernels[] = {
      {"forward", SumOrder::kForward, Arrangement::kPlain},
      {"reverse", SumOrder::kReverse, Arrangement::kPlain},
      {"fused", SumOrder::kFused, Arrangement::kFused},
      {"8 lanes", SumOrder::kLanes8, Arrangement::kPlain},
      {"64 lanes and a tree", SumOrder::kLanes64, Arrangement::kFused},
      {"pairwise", SumOrder::kPairwise, Arrangement::kPlain},
      {"blocks of 256", SumOrder::kBlocks, Arrangement::kPlain},
      {"scaled by R", SumOrder::kForward, Arrangement::kScaled},
      {"rstd cubed", SumOrder::kLanes8, Arrangement::kCubed},
      {"rstd cubed, forward", SumOrder::kForward, Arrangement::kCubed},
      {"expanded", SumOrder::kForward, Arrangement::kExpanded},
      {"expanded, blocks of 256", SumOrder::kBlocks, Arrangement::kExpanded},
      {"linear", SumOrder::kReverse, Arrangement::kLinear},
      {"linear, 8 lanes", SumOrder::kLanes8, Arrangement::kLinear},
  };
  return kKernels;
}

}  // namespace normgrad
