// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "checks/bounded.h"
#include "checks/derived.h"
#include "checks/relations.h"

namespace normgrad {
namespace {

/// Roundings of one element of dx outside its sums, whichever way x̂ is evaluated.
constexpr double kDxRoundings = 8;

/// What is added up over a set, g = dy * gamma.
struct SetSums {
  LaneTerms g, gx;  // of g, and of g * xhat
  Lanes xhat{}, xhat2{};
};

SetSums SumSet(const Normalisation& norm, std::size_t set) {
  SetElements elements;
  SetSums sums;
  const std::size_t size = norm.SetSize();
  ForEachStretch(set * size, size, [&](std::size_t first, std::size_t count) {
    elements.LoadScaled(norm, first, count);
    Vectorised([=, &sums, from = &elements] {
      SetSums local = sums;
      for (std::size_t i = 0; i < count; i += kLanes) {
        const Lanes g = LoadLanes(&from->dy[i]), xhat = LoadLanes(&from->xhat[i]);
        local.g.Add(g, AbsOf(g));
        local.gx.Add(g * xhat, AbsOf(g) * LoadLanes(&from->reach[i]));
        local.xhat += xhat;
        local.xhat2 += xhat * xhat;
      }
      sums = local;
    });
  });
  return sums;
}

/// Which elements of a set keep their dy, where the others' are 0.
struct Kept {
  std::size_t first = 0, step = 1;  // lanes
};

double SumOfKept(const Lanes& lanes, Kept kept) {
  double sum = 0;
  for (std::size_t k = kept.first; k < kLanes; k += kept.step) sum += lanes[k];
  return sum;
}

/// The sums that every element of dx of one set depends on.
struct Moments {
  double count, rstd;
  bool centred;
  Sum g, gx;

  Moments(const Normalisation& norm, std::size_t set, const SetSums& sums, Kept kept)
      : count(static_cast<double>(norm.SetSize())),
        rstd(norm.At(norm.rstd, set, 1)),
        centred(norm.Has(norm.mean)),
        g(Of(sums.g, 2, kept)),
        gx(Of(sums.gx, kTermRoundings + 2, kept)) {}

  double c1() const { return centred ? g.value / count : 0; }
  double c2() const { return gx.value / count; }

 private:
  Sum Of(const LaneTerms& sums, double roundings, Kept kept) const {
    return {.count = count,
            .roundings = roundings,
            .value = SumOfKept(sums.value, kept),
            .magnitude = SumOfKept(sums.magnitude, kept),
            .energy = SumOfKept(sums.energy, kept)};
  }
};

/// What an element of dx may be off, beside the rounding to its dtype: in one launch, or in several
/// that are added.
struct Allowance {
  double constant = 0, per_g = 0, per_reach = 0;

  /// Of a launch in which an element keeps `share` of its |g|: of two that keep it in turn, a half.
  void Add(const Moments& moments, double share, const BoundRule& rule) {
    const double scale = std::fabs(moments.rstd), local = kDxRoundings * rule.roundoff;
    const double allow1 = moments.centred ? Allow(moments.g, rule) : 0;
    constant += scale * (local * std::fabs(moments.c1()) + allow1 / moments.count);
    per_g += scale * local * share;
    per_reach +=
        scale * (local * std::fabs(moments.c2()) + Allow(moments.gx, rule) / moments.count);
  }
};

/// The sums of dx and dx * xhat over a set, and what they may be off.
struct Projection {
  double dx = 0, dx_xhat = 0, allowed = 0, allowed_xhat = 0;
};

Projection Project(const BoundedCall& call, std::size_t set, const Allowance& allowance) {
  SetElements elements;
  Results dx;
  const Normalisation& norm = call.norm();
  const HostTensor& tensor = call.Tensor(norm.dx);
  const std::size_t size = norm.SetSize();
  Lanes sum{}, sum_xhat{}, allowed{}, allowed_xhat{};
  const double constant = allowance.constant + Flush(tensor);
  ForEachStretch(set * size, size, [&](std::size_t first, std::size_t count) {
    elements.LoadScaled(norm, first, count);
    dx.Load(tensor, first, count);
    Vectorised([=, &sum, &sum_xhat, &allowed, &allowed_xhat, from = &elements, results = &dx] {
      Lanes s = sum, sx = sum_xhat, a = allowed, ax = allowed_xhat;
      for (std::size_t i = 0; i < count; i += kLanes) {
        const Lanes value = LoadLanes(&results->value[i]), xhat = LoadLanes(&from->xhat[i]);
        const Lanes varying = allowance.per_g * AbsOf(LoadLanes(&from->dy[i])) +
                              allowance.per_reach * LoadLanes(&from->reach[i]) +
                              LoadLanes(&results->rounding[i]);
        s += value;
        sx += value * xhat;
        a += varying;
        ax += (varying + constant) * AbsOf(xhat);
      }
      sum = s, sum_xhat = sx, allowed = a, allowed_xhat = ax;
    });
  });
  return {SumOf(sum), SumOf(sum_xhat), SumOf(allowed) + static_cast<double>(size) * constant,
          SumOf(allowed_xhat)};
}

/// Calls compare(set, &property) for every set.
template <typename Body>
void CompareSets(const Normalisation& norm, unsigned threads, Body compare,
                 PropertyResult* property) {
  const auto compare_some = [&](Range sets, PropertyResult* of_piece) {
    for (std::size_t i = 0; i < sets.count; ++i) compare(sets.first + i, of_piece);
  };
  CompareInPieces(norm.sets.count, norm.SetSize(), threads, compare_some, property);
}

PropertyResult CheckProjection(const BoundedCall& call, unsigned threads) {
  PropertyResult property{.name = "sums of dx and dx * xhat over a group", .label = "bound"};
  const Normalisation& norm = call.norm();
  const auto compare = [&](std::size_t set, PropertyResult* of_piece) {
    const SetSums sums = SumSet(norm, set);
    const Moments moments(norm, set, sums, Kept());
    Allowance allowance;
    allowance.Add(moments, 1, call.rule());
    const Projection is = Project(call, set, allowance);
    const double xhat = SumOf(sums.xhat), xhat2 = SumOf(sums.xhat2);
    const double r = moments.rstd, c1 = moments.c1(), c2 = moments.c2();
    const auto sum_of = [&](std::string_view terms) {
      return fmt::format("of group {}, which begins at {}, the sum of {}", set,
                         call.IndexOf(norm.dx, set * norm.SetSize()), terms);
    };
    CompareBound(is.dx, r * (moments.g.value - moments.count * c1 - c2 * xhat), is.allowed,
                 of_piece, [&] { return sum_of("dx"); });
    CompareBound(is.dx_xhat, r * (moments.gx.value - c1 * xhat - c2 * xhat2), is.allowed_xhat,
                 of_piece, [&] { return sum_of("dx * xhat"); });
  };
  CompareSets(norm, threads, compare, &property);
  return property;
}

/// Sets every second element to 0, from number `first` on.
template <typename Element>
void ClearEverySecond(std::size_t first, Bytes* elements) {
  constexpr Element kZero = 0;
  for (std::size_t i = first; i < elements->size() / sizeof kZero; i += 2) {
    std::memcpy(elements->data() + i * sizeof kZero, &kZero, sizeof kZero);
  }
}

/// dx of a launch in which dy is 0 but for the elements whose index is `parity` modulo 2.
Bytes LaunchHalf(CaseRun& run, const Normalisation& norm, std::size_t parity) {
  auto half = std::make_shared<CaseInputs>(*run.inputs());
  Bytes& dy = half->tensors[norm.dy];
  SizeOf(norm.tensors[norm.dy].dtype) == sizeof(float)
      ? ClearEverySecond<std::uint32_t>(1 - parity, &dy)
      : ClearEverySecond<std::uint16_t>(1 - parity, &dy);
  const InputsRestorer restorer(run);
  run.UseInputs(std::move(half));
  run.Launch(Poison::kFirst, /*deterministic=*/true);
  return run.Output(norm.dx);
}

PropertyResult CheckLinearity(CaseRun& run, const BoundedCall& call, unsigned threads) {
  PropertyResult property{.name = "dx is linear in dy", .label = "bound"};
  const Normalisation& norm = call.norm();
  // Zeros between the terms: they are no longer alike.
  BoundRule rule = call.rule();
  rule.mode = SumMode::kCertified;
  const std::array outputs = {LaunchHalf(run, norm, 0), LaunchHalf(run, norm, 1)};
  const HostTensor& whole = call.Tensor(norm.dx);
  const std::array halves = {AsHostTensor(run.the_case(), norm.dx, outputs[0]),
                             AsHostTensor(run.the_case(), norm.dx, outputs[1])};
  const double flush = Flush(whole);
  const auto compare = [&](std::size_t set, PropertyResult* of_piece) {
    const SetSums sums = SumSet(norm, set);
    Allowance allowance;
    allowance.Add(Moments(norm, set, sums, Kept()), 1, rule);
    // A set may begin with an odd element: the halves are then the other way round, and add up the
    // same.
    for (const std::size_t parity : {0, 1}) {
      allowance.Add(Moments(norm, set, sums, Kept{parity, 2}), 0.5, rule);
    }
    SetElements elements;
    Results dx, even, odd;
    Stretch expected, allowed;
    const std::size_t size = norm.SetSize();
    ForEachStretch(set * size, size, [&](std::size_t first, std::size_t count) {
      elements.LoadScaled(norm, first, count);
      dx.Load(whole, first, count, std::numeric_limits<double>::quiet_NaN());
      even.Load(halves[0], first, count);
      odd.Load(halves[1], first, count);
      Vectorised([=, from = &elements, is = &dx, even = &even, odd = &odd,
                  expected = expected.data(), allowed = allowed.data()] {
        for (std::size_t i = 0; i < Padded(count); ++i) {
          expected[i] = even->value[i] + odd->value[i];
          allowed[i] = allowance.constant + flush + allowance.per_g * std::fabs(from->dy[i]) +
                       allowance.per_reach * from->reach[i] + is->rounding[i] + even->rounding[i] +
                       odd->rounding[i];
        }
      });
      const auto test = [is = dx.value.data(), sum = expected.data(), bound = allowed.data()](
                            std::size_t i, LaneMask* compared, LaneMask* violated) {
        const Lanes infinity = Broadcast(std::numeric_limits<double>::infinity());
        const Lanes actual = LoadLanes(is + i), right = LoadLanes(sum + i);
        const Lanes most = LoadLanes(bound + i);
        // Overflow, and what comes of it, is the accuracy check's to judge.
        *compared = MaskOf(AbsOf(actual) < infinity) & MaskOf(AbsOf(right) < infinity) &
                    MaskOf(most < infinity);
        *violated = *compared & MaskOf(AbsOf(actual - right) > most);
      };
      Compare(count, test, of_piece, [&](std::size_t i) {
        return Difference(call.IndexOf(norm.dx, first + i), dx.value[i], expected[i], allowed[i]);
      });
    });
  };
  CompareSets(norm, threads, compare, &property);
  return property;
}

}  // namespace

std::vector<PropertyResult> SetRelations(CaseRun& run, const DenseTensors& base, unsigned threads) {
  const BoundedCall call(run, base);
  // An operator that is given its sums projects nothing.
  const bool projects = call.norm().Has(call.norm().dx) && !FindPart(run.the_case(), Part::kSumDy);
  if (call.norm().elements == 0 || !projects) return {};
  return {CheckProjection(call, threads), CheckLinearity(run, call, threads)};
}

}  // namespace normgrad
