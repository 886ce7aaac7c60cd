// SPDX-License-Identifier: Apache-2.0
#include "run/fill.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "base/parallel.h"
#include "base/random.h"
#include "golden/oracle.h"

namespace normgrad {
namespace {

double Normal(const RandomStream& random, std::uint64_t index) { return random.Normal(index); }

double Uniform5(const RandomStream& random, std::uint64_t index) {
  return 10 * random.Uniform(index) - 5;
}

double Positive(const RandomStream& random, std::uint64_t index) {
  return std::fabs(random.Normal(index)) + 0.1;
}

double AroundOne(const RandomStream& random, std::uint64_t index) {
  return random.Normal(index) + 1;
}

double Tiny(const RandomStream& random, std::uint64_t index) {
  return random.Normal(index) * 0x1p-10;
}

// One element in a thousand is a thousand times as large: the outlier rule of CANN's commercial
// accuracy standard (2026-04).
double Outlier(const RandomStream& random, std::uint64_t index) {
  const bool outlier = random.Bits(~index) % 1000 == 0;
  return random.Normal(index) * (outlier ? 1000 : 1);
}

double Wide(const RandomStream& random, std::uint64_t index) {
  return random.Normal(index) * std::exp2(16 * random.Uniform(~index) - 8);
}

// Never one, never constant: a gamma of ones would hide a kernel that forgets it.
double Scale(const RandomStream& random, std::uint64_t index) {
  return 1 + 0.3 * random.Normal(index);
}

// How many elements per channel one device saw: small whole numbers, exact in every dtype, and sums
// in proportion to them stay within float16. Never all alike: a kernel may take one for their sum.
double ElementsSeen(const RandomStream& random, std::uint64_t index) {
  return static_cast<double>(1 + random.Bits(index) % 64);
}

constexpr std::uint64_t kElementsPerTask = 1 << 16;

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

}  // namespace

std::span<const Fill> Fills() {
  static constexpr Fill kFills[] = {
      {"normal", "most faults of formula, indexing and coverage; the default", Normal, Normal,
       Scale, true},
      {"uniform", "the same, with the range of CANN's accuracy standard", Uniform5, Uniform5, Scale,
       true},
      {"positive", "wrong divisors and lost blocks in long sums: nothing cancels", Positive,
       Positive, Positive, true},
      {"offset", "terms subtracted twice or not at all: row means are far from zero", AroundOne,
       Normal, Scale, true},
      {"tiny", "absolute tolerances and flushed gradients: dy is about 2^-10", Tiny, Normal, Scale,
       true},
      {"outlier", "lost precision and clamping: one element in 1000 is 1000 times larger", Outlier,
       Outlier, Scale, true},
      {"wide", "narrow accumulators: magnitudes spread over 2^16", Wide, Wide, Scale, true},
  };
  return kFills;
}

std::shared_ptr<const CaseInputs> FillInputs(const Case& the_case, unsigned threads) {
  const auto fill = std::ranges::find(Fills(), the_case.fill, &Fill::name);
  if (fill == Fills().end()) throw std::logic_error("no fill named " + the_case.fill);

  auto inputs = std::make_shared<CaseInputs>();
  inputs->exchangeable = fill->exchangeable;
  std::vector<HostTensor> tensors;
  bool first_data = true;
  const std::uint64_t key = the_case.Hash();
  for (const Param& param : the_case.op->params) {
    std::vector<std::byte>& elements = inputs->tensors.emplace_back();
    HostTensor& tensor = tensors.emplace_back();
    if (param.kind != Param::Kind::kInput || !the_case.Uses(param)) continue;
    tensor = {the_case.DTypeOf(param), the_case.ShapeOf(param), nullptr};
    const std::size_t count = ElementCount(tensor.shape), bytes = SizeOf(tensor.dtype);
    elements.resize(count * bytes);
    tensor.data = elements.data();
    if (IsDerived(param)) continue;
    const bool is_first = param.role == Role::kData && std::exchange(first_data, false);
    const Draw draw = DrawOf(*fill, param, is_first);
    const RandomStream random(HashText(param.name, key));
    ParallelFor((count + kElementsPerTask - 1) / kElementsPerTask, threads, [&](std::size_t task) {
      const std::size_t end = std::min(count, (task + 1) * kElementsPerTask);
      for (std::size_t i = task * kElementsPerTask; i < end; ++i) {
        Store(tensor.dtype, draw(random, i), elements.data() + i * bytes);
      }
    });
  }
  const auto derived = OracleOf(*the_case.op).statistics(the_case.dims, the_case.eps, tensors);
  auto values = derived.begin();
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (!IsDerived(the_case.op->params[i])) continue;
    for (std::size_t at = 0; at < values->size(); ++at) {
      Store(tensors[i].dtype, (*values)[at],
            inputs->tensors[i].data() + at * SizeOf(tensors[i].dtype));
    }
    ++values;
  }
  return inputs;
}

}  // namespace normgrad
