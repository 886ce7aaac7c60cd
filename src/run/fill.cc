// SPDX-License-Identifier: Apache-2.0
#include "run/fill.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

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

constexpr std::uint64_t kElementsPerTask = 1 << 16;

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
    HostTensor tensor{the_case.DTypeOf(param), the_case.ShapeOf(param), nullptr};
    const std::size_t count = ElementCount(tensor.shape), bytes = SizeOf(tensor.dtype);
    if (param.kind == Param::Kind::kInput) {
      elements.resize(count * bytes);
      tensor.data = elements.data();
    }
    if (param.kind == Param::Kind::kInput && param.role != Role::kStatistic) {
      const bool upstream = param.role == Role::kData && std::exchange(first_data, false);
      const Draw draw = param.role == Role::kScale ? fill->scale
                        : upstream                 ? fill->upstream
                                                   : fill->data;
      const RandomStream random(HashText(param.name, key));
      ParallelFor((count + kElementsPerTask - 1) / kElementsPerTask, threads,
                  [&](std::size_t task) {
                    const std::size_t end = std::min(count, (task + 1) * kElementsPerTask);
                    for (std::size_t i = task * kElementsPerTask; i < end; ++i) {
                      Store(tensor.dtype, draw(random, i), elements.data() + i * bytes);
                    }
                  });
    }
    tensors.push_back(tensor);
  }
  const auto statistics = OracleOf(*the_case.op).statistics(the_case.dims, the_case.eps, tensors);
  auto statistic = statistics.begin();
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (the_case.op->params[i].role != Role::kStatistic) continue;
    for (std::size_t row = 0; row < statistic->size(); ++row) {
      Store(tensors[i].dtype, (*statistic)[row],
            inputs->tensors[i].data() + row * SizeOf(tensors[i].dtype));
    }
    ++statistic;
  }
  return inputs;
}

}  // namespace normgrad
