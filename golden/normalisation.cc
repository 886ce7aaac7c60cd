// SPDX-License-Identifier: Apache-2.0
#include "golden/normalisation.h"

#include <cmath>
#include <utility>

#include "base/bytes.h"
#include "golden/partition.h"

namespace normgrad {
namespace {

// The statistics of one set; mean is 0 for an operator that has none.
struct Moments {
  double mean = 0, rstd = 0;
};

Moments MomentsOf(const Normalisation& call, double eps, std::size_t set, std::span<double> x) {
  const auto load = [&](std::size_t first, std::size_t count, std::size_t place) {
    call.Prefetch(call.x, first + kTile, kTile);
    call.Load(call.x, first, count, x.data() + place);
  };
  const auto size = static_cast<double>(std::max<std::size_t>(call.SetSize(), 1));
  Moments moments;
  if (call.mean != kNoParam) {
    DotSum sum;
    ForEachTile(call.sets, call.elements, set, load,
                [&](std::size_t count) { sum.AddTerms(x.data(), count); });
    moments.mean = Divide(sum.Get().value, {size, 0}).high;
  }
  DotSum squares;
  ForEachTile(call.sets, call.elements, set, load, [&](std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) x[i] -= moments.mean;
    squares.AddProducts(x.data(), x.data(), count);
  });
  moments.rstd = 1 / std::sqrt(squares.Get().value.high / size + eps);
  return moments;
}

std::vector<Moments> AllMoments(const Normalisation& call, double eps, unsigned threads) {
  std::vector<Moments> all(call.sets.count);
  ForEachRowGroup(all.size(), call.SetSize(), threads, [&](Range sets) {
    std::vector<double> x(kTile);
    for (std::size_t set = sets.first; set < sets.first + sets.count; ++set) {
      all[set] = MomentsOf(call, eps, set, x);
    }
  });
  return all;
}

}  // namespace

void Normalisation::Load(std::size_t param, std::size_t first, std::size_t count,
                         double* out) const {
  const HostTensor& tensor = tensors[param];
  LoadAll(tensor.dtype, tensor.data + first * SizeOf(tensor.dtype), count, out);
}

void Normalisation::Prefetch(std::size_t param, std::size_t first, std::size_t count) const {
  const HostTensor& tensor = tensors[param];
  const std::size_t bytes = SizeOf(tensor.dtype);
  normgrad::Prefetch(tensor.data + first * bytes, count * bytes);
}

double Normalisation::At(std::size_t param, std::size_t index, double absent) const {
  double value = absent;
  if (Has(param)) Load(param, index, 1, &value);
  return value;
}

void Normalisation::LoadScales(std::size_t first, std::size_t count, double* out) const {
  if (!Has(scale)) {
    std::fill_n(out, count, 1.0);
    return;
  }
  for (std::size_t done = 0; done < count;) {
    const std::size_t element = first + done, owner = scales.OwnerOf(element);
    if (scales.length == 1) {
      const std::size_t stretch = std::min(count - done, scales.count - owner);
      Load(scale, owner, stretch, out + done);
      done += stretch;
    } else {
      const std::size_t stretch = std::min(count - done, scales.length - element % scales.length);
      std::fill_n(out + done, stretch, At(scale, owner, 1));
      done += stretch;
    }
  }
}

std::vector<std::vector<double>> StatisticsOf(const Normalisation& call, double eps,
                                              unsigned threads) {
  std::vector<double> mean, rstd;
  mean.reserve(call.sets.count), rstd.reserve(call.sets.count);
  for (const Moments& moments : AllMoments(call, eps, threads)) {
    mean.push_back(moments.mean), rstd.push_back(moments.rstd);
  }
  if (call.mean == kNoParam) return {std::move(rstd)};
  return {std::move(mean), std::move(rstd)};
}

std::vector<double> ForwardOf(const Normalisation& call, double eps) {
  const std::vector<Moments> moments = AllMoments(call, eps, 1);
  std::vector<double> y(call.elements);
  for (std::size_t i = 0; i < y.size(); ++i) {
    const auto [mean, rstd] = moments[call.sets.OwnerOf(i)];
    const std::size_t owner = call.scales.OwnerOf(i);
    y[i] = (call.At(call.x, i, 0) - mean) * rstd * call.At(call.scale, owner, 1) +
           call.At(call.bias, owner, 0);
  }
  return y;
}

Roundings RoundingsOf(Profile profile) {
  return profile == Profile::kExpanded ? Roundings{12, 6, 5, 4} : Roundings{10, 4, 3, 0};
}

Totals ConditionOf(const Totals& products, const Totals& shifts) {
  // The squares of |a| + |b|: their cross term by the inequality of Cauchy and Schwarz, which at
  // most doubles the sum.
  return {{std::fabs(products.value.high) + std::fabs(shifts.value.high), 0},
          products.magnitude + shifts.magnitude,
          products.energy + shifts.energy + 2 * std::sqrt(products.energy * shifts.energy)};
}

void ReachOf(Profile profile, double mean, const double* x, std::size_t count, double* reach) {
  const double magnitude = std::fabs(mean);
  Vectorised([=] {
    if (profile == Profile::kExpanded) {
      for (std::size_t i = 0; i < count; ++i) reach[i] = std::fabs(x[i]) + magnitude;
    } else {
      for (std::size_t i = 0; i < count; ++i) reach[i] = std::fabs(x[i] - mean);
    }
  });
}

void Line::Evaluate(const double* p, const double* x, const double* reach, std::size_t count,
                    double* value, double* local) const {
  // p - intercept - slope * x. That it may cancel more costs nothing here.
  const DoubleDouble intercept = Subtract(offset, Multiply(slope, mean));
  const double height = std::fabs(offset.high), steepness = std::fabs(slope.high);
  const double scale = std::fabs(factor);
  Vectorised([=, line = *this] {
    ForEachVector(count, [=](std::size_t i, std::size_t lanes) {
      const Lanes xs = LoadLanes(x + i, lanes), ps = LoadLanes(p + i, lanes);
      const auto product = TwoProduct(Broadcast(line.slope.high), xs);
      auto difference = TwoSum(ps, -product.high);
      difference.low -= product.low + line.slope.low * xs;
      if (intercept.high != 0) {  // never so without a mean
        const auto rest = TwoSum(difference.high, Broadcast(-intercept.high));
        difference = {rest.high, rest.low + (difference.low - intercept.low)};
      }
      StoreLanes(line.factor * (difference.high + difference.low), lanes, value + i);
      const Lanes magnitude = AbsOf(ps) + height + steepness * LoadLanes(reach + i, lanes);
      StoreLanes(scale * magnitude, lanes, local + i);
    });
  });
}

}  // namespace normgrad
