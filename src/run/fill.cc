// SPDX-License-Identifier: Apache-2.0
#include "run/fill.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <utility>

#include "base/random.h"
#include "golden/oracle.h"
#include "run/fill_call.h"
#include "run/fill_exact.h"

namespace normgrad {
namespace {

void Normal(const RandomStream& random, std::uint64_t first, std::span<double> elements) {
  random.Normals(first, elements);
}

/// Makes element `index` of each standard normal number: shape(number, index).
template <typename Shape>
void DrawShaped(const RandomStream& random, std::uint64_t first, std::span<double> elements,
                Shape shape) {
  random.Normals(first, elements);
  for (double& element : elements) element = shape(element, first++);
}

/// Makes element `index` without one: make(index).
template <typename Make>
void DrawEach(std::uint64_t first, std::span<double> elements, Make make) {
  for (double& element : elements) element = make(first++);
}

void Uniform5(const RandomStream& random, std::uint64_t first, std::span<double> elements) {
  DrawEach(first, elements, [&](std::uint64_t index) { return 10 * random.Uniform(index) - 5; });
}

void Positive(const RandomStream& random, std::uint64_t first, std::span<double> elements) {
  DrawShaped(random, first, elements,
             [](double normal, std::uint64_t) { return std::fabs(normal) + 0.1; });
}

void AroundOne(const RandomStream& random, std::uint64_t first, std::span<double> elements) {
  DrawShaped(random, first, elements, [](double normal, std::uint64_t) { return normal + 1; });
}

void Tiny(const RandomStream& random, std::uint64_t first, std::span<double> elements) {
  DrawShaped(random, first, elements,
             [](double normal, std::uint64_t) { return normal * 0x1p-10; });
}

// One element in a thousand is a thousand times as large: the outlier rule of CANN's commercial
// accuracy standard (2026-04).
void Outlier(const RandomStream& random, std::uint64_t first, std::span<double> elements) {
  DrawShaped(random, first, elements, [&](double normal, std::uint64_t index) {
    const bool outlier = random.Bits(~index) % 1000 == 0;
    return normal * (outlier ? 1000 : 1);
  });
}

void Wide(const RandomStream& random, std::uint64_t first, std::span<double> elements) {
  DrawShaped(random, first, elements, [&](double normal, std::uint64_t index) {
    return normal * std::exp2(16 * random.Uniform(~index) - 8);
  });
}

// Never one, never constant: a gamma of ones would hide a kernel that forgets it.
void Scale(const RandomStream& random, std::uint64_t first, std::span<double> elements) {
  DrawShaped(random, first, elements,
             [](double normal, std::uint64_t) { return 1 + 0.3 * normal; });
}

// How many elements per channel one device saw: small whole numbers, exact in every dtype, and sums
// in proportion to them stay within float16. Never all alike: a kernel may take one for their sum.
void ElementsSeen(const RandomStream& random, std::uint64_t first, std::span<double> elements) {
  DrawEach(first, elements,
           [&](std::uint64_t index) { return static_cast<double>(1 + random.Bits(index) % 64); });
}

void One(const RandomStream&, std::uint64_t, std::span<double> elements) {
  std::ranges::fill(elements, 1.0);
}

/// Whether the oracle derives `param` from the inputs that are drawn.
bool IsDerived(const Param& param) {
  return param.kind == Param::Kind::kInput &&
         (param.role == Role::kStatistic || param.role == Role::kChannelSum);
}

/// The distribution of an input that is not derived; `is_first` is the first data input.
Draw DrawOf(const Fill& fill, const Param& param, bool is_first) {
  switch (param.role) {
    case Role::kScale: return fill.scale;
    case Role::kCount: return ElementsSeen;
    default: return is_first ? fill.upstream : fill.data;
  }
}

void DrawInputs(const Fill& fill, FillCall& call) {
  bool first_data = true;
  const auto params = call.the_case().op->params;
  for (std::size_t i = 0; i < params.size(); ++i) {
    const Param& param = params[i];
    if (param.kind != Param::Kind::kInput || IsDerived(param)) continue;
    const bool is_first = param.role == Role::kData && std::exchange(first_data, false);
    const Draw draw = DrawOf(fill, param, is_first);
    const RandomStream random = call.Random(param.name);
    call.SetBlocks(i,
                   [&](std::size_t at, std::span<double> elements) { draw(random, at, elements); });
  }
}

void DeriveStatistics(FillCall& call) {
  const Case& the_case = call.the_case();
  const auto derived = OracleOf(*the_case.op)
                           .statistics(the_case.dims, the_case.eps, call.tensors(), call.threads());
  auto values = derived.begin();
  for (std::size_t i = 0; i < call.tensors().size(); ++i) {
    if (!IsDerived(the_case.op->params[i])) continue;
    call.SetAll(i, [&](std::size_t at) { return (*values)[at]; });
    ++values;
  }
}

// mean / deviation of 1000 in float32, 60 in 16 bits, which have but eight or eleven.
void MoveMeans(FillCall& call) {
  const std::size_t x = call.norm().x;
  const double mean = SizeOf(call.DTypeOf(x)) == 2 ? 60 : 1000;
  call.SetBlocks(x, [&, random = call.Random("x")](std::size_t first, std::span<double> elements) {
    DrawShaped(random, first, elements,
               [&](double normal, std::uint64_t) { return mean + normal; });
  });
}

// The sets take turns: gradients near the largest number of their dtype, with the last set, and
// subnormal ones.
void GoToTheEdges(FillCall& call) {
  const Normalisation& norm = call.norm();
  const bool half = call.DTypeOf(norm.dy) == DType::kFloat16;
  const double large = half ? 0x1p13 : 0x1p60, small = half ? 0x1p-20 : 0x1p-130;
  const double most = half ? 65504 : 0x1p100;
  const auto draw = [&, random = call.Random("dy")](std::size_t first, std::span<double> elements) {
    DrawShaped(random, first, elements, [&](double normal, std::uint64_t i) {
      const double scale = (norm.sets.count - norm.sets.OwnerOf(i)) % 2 == 1 ? large : small;
      return std::clamp(scale * normal, -most, most);
    });
  };
  call.SetBlocks(norm.dy, draw);
}

// One element in the last place of every sum, as large as what the rest of it adds up to. A set, or
// a scale, may have nothing but those of the others: were they alike, its terms would repeat.
void Probe(FillCall& call) {
  const Normalisation& norm = call.norm();
  if (norm.elements == 0) return;
  const RandomStream random = call.Random("probe");
  const auto place = [&](std::size_t element, std::size_t terms) {
    const double sign = random.Bits(element) % 2 == 0 ? 1 : -1;
    const double large = std::min(2 + std::sqrt(static_cast<double>(terms)), 1024.0);
    call.Set(norm.dy, element, sign * (1 + random.Uniform(element) / 2) * large);
    call.Set(norm.x, element, 1 + random.Uniform(element));
  };
  for (std::size_t set = 0; set < norm.sets.count && call.Reduces(); ++set) {
    place((set + 1) * norm.SetSize() - 1, norm.SetSize());
  }
  const std::size_t turn = norm.scales.length * norm.scales.count;
  for (std::size_t scale = 0; scale < norm.scales.count; ++scale) {
    place(norm.elements - turn + (scale + 1) * norm.scales.length - 1, call.ScaleSize());
  }
}

// In every other set all elements of x are alike: the variance is zero, rstd is 1 / sqrt(eps).
void FlattenSets(FillCall& call) {
  const Normalisation& norm = call.norm();
  const RandomStream random = call.Random("constants");
  call.ForStretches(norm.elements, 1, [&](std::size_t first, std::size_t end) {
    for (std::size_t i = first; i < end; ++i) {
      const std::size_t set = norm.sets.OwnerOf(i);
      if (set % 2 == 0) call.Set(norm.x, i, 1 + random.Uniform(set));
    }
  });
}

// Statistics, and sums over channels, as another forward pass would have left them.
void FreeStatistics(FillCall& call) {
  const auto change = [&](std::size_t param, double shift) {
    if (param == kNoParam || !call.tensors()[param].present()) return;
    const RandomStream random = call.Random(call.the_case().op->params[param].name);
    call.SetAll(param, [&](std::size_t i) {
      return call.Get(param, i) * (0.5 + random.Uniform(i)) + shift * random.Normal(i);
    });
  };
  change(call.norm().mean, 0.5);
  change(call.norm().rstd, 0);
  for (const std::size_t param : call.InputsOf(Role::kChannelSum)) change(param, 1);
}

// Every term of the gradient of a scale has its opposite half the sum away; one or two, small, are
// left.
void CancelPairs(FillCall& call) {
  const Normalisation& norm = call.norm();
  const std::size_t size = call.ScaleSize(), half = size / 2;
  const std::size_t turn = norm.scales.length * norm.scales.count;
  const RandomStream dy = call.Random("dy"), x = call.Random("x");
  call.ForStretches(norm.elements, 1, [&](std::size_t first, std::size_t end) {
    for (std::size_t i = first; i < end; ++i) {
      const std::size_t scale = norm.scales.OwnerOf(i);
      const std::size_t place = i / turn * norm.scales.length + i % norm.scales.length;
      const bool second = place >= half;
      const std::size_t pair = scale * size + (second ? place - half : place);
      // What is left of the first pair.
      const double rest = place == 0 ? 1 + 0x1p-6 : 1;
      call.Set(norm.dy, i, (second ? -1 : rest) * dy.Normal(pair));
      call.Set(norm.x, i, x.Normal(pair));
    }
  });
}

// dy = 2 x: dx is nothing but what is rounded away.
void AlignGradients(FillCall& call) {
  const Normalisation& norm = call.norm();
  call.SetAll(norm.dy, [&](std::size_t i) { return 2 * call.Get(norm.x, i); });
}

// NaN and infinities in a few elements, in sets of their own where there are enough of them: one
// kind must not hide another, and all that does not depend on them must stay as it is.
void SprinkleNonFinite(FillCall& call) {
  const Normalisation& norm = call.norm();
  if (norm.elements == 0) return;
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const RandomStream random = call.Random("sprinkle");
  const std::pair<std::size_t, double> kinds[] = {
      {norm.dy, kNaN}, {norm.x, kInfinity}, {norm.dy, -kInfinity}};
  const auto at_most_half = [&](std::size_t count) {
    return std::clamp<std::size_t>(count / 2, 1, std::size(kinds));
  };
  const std::size_t first = random.Bits(0) % norm.sets.count;
  for (std::size_t k = 0; k < at_most_half(norm.scales.count); ++k) {
    const std::size_t set = (first + k % at_most_half(norm.sets.count)) % norm.sets.count;
    const std::size_t place = random.Bits(k + 1) % norm.SetSize();
    const std::size_t turn = norm.sets.length * norm.sets.count;
    const std::size_t at =
        place / norm.sets.length * turn + set * norm.sets.length + place % norm.sets.length;
    call.Set(kinds[k].first, at, kinds[k].second);
  }
  // A NaN in a statistic, which may have more digits than the data, reaches all of its set and the
  // scales there.
  const std::size_t scales = std::max<std::size_t>(norm.sets.length / norm.scales.length, 1);
  if (2 * (std::size(kinds) + 1) <= norm.sets.count &&
      2 * (std::size(kinds) + scales) <= norm.scales.count) {
    call.Set(norm.rstd, (first + std::size(kinds)) % norm.sets.count, kNaN);
  }
}

std::optional<std::string_view> WhyNotNonFinite(const FillCall& call) {
  const Normalisation& norm = call.norm();
  if (norm.elements > 0 && (norm.sets.count < 2 || norm.scales.count < 2)) {
    return "one NaN would reach every element";
  }
  return std::nullopt;
}

std::optional<std::string_view> WhyNoSets(const FillCall& call) {
  if (call.norm().elements > 0 && call.norm().sets.count < 2) {
    return "the data need two sets of elements that share statistics";
  }
  return std::nullopt;
}

const Fill& FillOf(const Case& the_case) {
  const auto fill = std::ranges::find(Fills(), the_case.fill, &Fill::name);
  if (fill == Fills().end()) throw std::logic_error("no fill named " + the_case.fill);
  return *fill;
}

}  // namespace

std::span<const Fill> Fills() {
  static constexpr Fill kFills[] = {
      {.name = "normal",
       .exposes = "most faults of formula, indexing and coverage; the default",
       .upstream = Normal,
       .data = Normal,
       .scale = Scale},
      {.name = "uniform",
       .exposes = "the same, with the range of CANN's accuracy standard",
       .upstream = Uniform5,
       .data = Uniform5,
       .scale = Scale},
      {.name = "positive",
       .exposes = "wrong divisors and lost blocks in long sums: nothing cancels",
       .upstream = Positive,
       .data = Positive,
       .scale = Positive},
      {.name = "offset",
       .exposes = "terms subtracted twice or not at all: row means are far from zero",
       .upstream = AroundOne,
       .data = Normal,
       .scale = Scale},
      {.name = "tiny",
       .exposes = "absolute tolerances and flushed gradients: dy is about 2^-10",
       .upstream = Tiny,
       .data = Normal,
       .scale = Scale},
      {.name = "outlier",
       .exposes = "lost precision and clamping: one element in 1000 is 1000 times larger",
       .upstream = Outlier,
       .data = Outlier,
       .scale = Scale},
      {.name = "wide",
       .exposes = "narrow accumulators: magnitudes spread over 2^16",
       .upstream = Wide,
       .data = Wide,
       .scale = Scale},
      {.name = "exact",
       .exposes = "any wrong bit: float32 arithmetic is exact in every order",
       .upstream = Normal,
       .data = Normal,
       .scale = Scale,
       .terms = Terms::kExact,
       .complete = MakeExact,
       .why_not = WhyNotExact},
      {.name = "small_sum",
       .exposes = "one term lost or counted twice: sums are small whole numbers in every dtype",
       .upstream = Normal,
       .data = Normal,
       .scale = Scale,
       .terms = Terms::kExact,
       .complete = MakeSmallSums,
       .why_not = WhyNoSums},
      {.name = "ties",
       .exposes = "rounding but to the nearest even, and the last bits of float32: dx is halfway "
                  "between two 16-bit numbers",
       .upstream = Normal,
       .data = Normal,
       .scale = Scale,
       .terms = Terms::kExact,
       .complete = MakeTies,
       .why_not = WhyNotTies},
      {.name = "nonfinite",
       .exposes = "NaN and infinity swallowed, or spread to where they do not belong",
       .upstream = Normal,
       .data = Normal,
       .scale = Scale,
       .complete = SprinkleNonFinite,
       .why_not = WhyNotNonFinite},
      {.name = "big_mean",
       .exposes =
           "x * rstd - mean * rstd instead of (x - mean) * rstd: the mean is 1000 deviations "
           "(60 in 16 bits)",
       .upstream = Normal,
       .data = Normal,
       .scale = Scale,
       .amend = MoveMeans},
      {.name = "edges",
       .exposes =
           "the ends of a dtype's range: gradients near overflow and subnormal ones, in turn",
       .upstream = Normal,
       .data = Normal,
       .scale = Scale,
       .terms = Terms::kAny,
       .amend = GoToTheEdges},
      {.name = "probe",
       .exposes = "the last element, row or block lost: it is as large as all others together",
       .upstream = Normal,
       .data = Normal,
       .scale = Scale,
       .amend = Probe},
      {.name = "constant_rows",
       .exposes = "a variance of zero: every other set of x is constant",
       .upstream = Normal,
       .data = Normal,
       .scale = Scale,
       .terms = Terms::kAny,
       .amend = FlattenSets,
       .why_not = WhyNoSets},
      {.name = "free_stats",
       .exposes = "statistics computed again instead of taken as given: they do not match x",
       .upstream = Normal,
       .data = Normal,
       .scale = Scale,
       .terms = Terms::kAny,
       .complete = FreeStatistics},
      {.name = "pair_cancel",
       .exposes = "changes of order: the sums over a scale's elements are all rounding errors",
       .upstream = Normal,
       .data = Normal,
       .scale = Scale,
       .terms = Terms::kAny,
       .amend = CancelPairs,
       .why_not = WhyNoSums},
      {.name = "collinear",
       .exposes = "changes of order: dy is 2 x, so that dx is all rounding errors",
       .upstream = Normal,
       .data = Normal,
       .scale = One,
       .terms = Terms::kAny,
       .exposing = false,
       .amend = AlignGradients},
  };
  return kFills;
}

std::optional<std::string_view> WhyFillDoesNotApply(const Case& the_case) {
  const Fill& fill = FillOf(the_case);
  if (fill.why_not == nullptr) return std::nullopt;
  return fill.why_not(FillCall(the_case, 1, nullptr));
}

std::shared_ptr<const CaseInputs> FillInputs(const Case& the_case, unsigned threads) {
  const Fill& fill = FillOf(the_case);
  auto inputs = std::make_shared<CaseInputs>();
  inputs->exchangeable = fill.terms == Terms::kExchangeable;
  inputs->exposing = fill.exposing;
  FillCall call(the_case, threads, inputs.get());
  DrawInputs(fill, call);
  if (fill.amend != nullptr) fill.amend(call);
  DeriveStatistics(call);
  if (fill.complete != nullptr) fill.complete(call);
  if (fill.terms == Terms::kExact) {
    inputs->quantum = QuantumOf(call);
    inputs->exact_elements = fill.complete != MakeSmallSums && HasExactElements(call);
  }
  return inputs;
}

}  // namespace normgrad
