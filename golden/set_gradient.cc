// SPDX-License-Identifier: Apache-2.0
#include "golden/set_gradient.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/bytes.h"
#include "golden/partition.h"

namespace normgrad {
namespace {

// The elements of a set that are kept while it is gone through twice: 64 KiB each of p and x, which
// a core's own cache has room for.
constexpr std::size_t kMostKept = 8192;

// p and x of one set, if they are kept, or of one tile of it.
class Elements {
 public:
  explicit Elements(std::size_t set_size)
      : kept_(set_size <= kMostKept), p_(kept_ ? set_size : kTile), x_(p_.size()) {}

  bool AreKept() const { return kept_; }

  // Those from element `first` of the set on: a tile of them.
  double* P(std::size_t first) { return p_.data() + (kept_ ? first : 0); }
  double* X(std::size_t first) { return x_.data() + (kept_ ? first : 0); }

 private:
  bool kept_;
  std::vector<double, TensorAllocator<double>> p_, x_;
};

// What is made of one tile.
struct Tile {
  std::vector<double> scale = std::vector<double>(kTile), reach = scale, value = scale,
                      local = scale, weight = scale, even = scale;
};

// Largest magnitudes of one set's inputs.
struct Magnitudes {
  double dy = 0, x = 0, p = 0;
};

class SetPass {
 public:
  SetPass(const Normalisation& call, Profile profile,
          const std::function<void(const ReferenceBlock&)>& consume)
      : call_(call),
        profile_(profile),
        roundings_(RoundingsOf(profile)),
        consume_(consume),
        has_mean_(call.mean != kNoParam),
        centred_(has_mean_ && profile == Profile::kCentred) {
    if (!call.Has(call.scale)) return;
    scales_.resize(call.scales.count);
    call.Load(call.scale, 0, scales_.size(), scales_.data());
    max_scale_ = MaxMagnitude(scales_);
  }

  void Stream(std::size_t set, Elements* elements, Tile* tile) const {
    const std::size_t size = call_.sets.length;
    const double mean = call_.At(call_.mean, set, 0), rstd = call_.At(call_.rstd, set, 1);
    DotSum products, terms, deviations;
    Magnitudes largest;
    for (std::size_t first = 0; first < size; first += kTile) {
      const std::size_t count = std::min(kTile, size - first);
      double* const p = elements->P(first);
      double* const x = elements->X(first);
      LoadTile(set * size + first, count, tile, p, x, &largest);
      products.AddProducts(p, x, count);
      call_.Prefetch(call_.x, set * size + first + kTile, kTile);
      if (has_mean_) terms.AddTerms(p, count);
      if (!centred_) continue;
      ReachOf(profile_, mean, x, count, tile->reach.data());
      deviations.AddProducts(p, tile->reach.data(), count);
    }
    const Totals raw = products.Get(), plain = has_mean_ ? terms.Get() : Totals{};
    const Totals shifts = Scale(plain, mean);
    const DoubleDouble covariance = Subtract(raw.value, shifts.value);
    Totals condition = centred_ ? deviations.Get() : ConditionOf(raw, shifts);
    if (centred_) condition.value = covariance;  // reach has no signs
    // A non-finite input makes m2, and with it every element of the set, non-finite.
    const bool finite = std::isfinite(raw.magnitude) && std::isfinite(mean) && std::isfinite(rstd);

    const DoubleDouble count_of_set{static_cast<double>(size), 0};
    Line line;
    line.factor = finite ? rstd : std::numeric_limits<double>::quiet_NaN();
    line.mean = mean;
    if (has_mean_) line.offset = Divide(plain.value, count_of_set);
    line.slope = Divide(Multiply(Multiply(covariance, rstd), rstd), count_of_set);

    SharedSum sums[] = {{SumOf(Scale(condition, std::fabs(rstd)), roundings_.set_term), {}},
                        {SumOf(plain, 1), {}}};
    sums[0].sum.lattice = call_.OnLattice();
    ReferenceBlock block;
    block.param = call_.dx;
    block.roundings = roundings_.local;
    block.shared = {sums, has_mean_ ? std::size_t{2} : std::size_t{1}};
    block.flush = Flush(line, rstd, largest);
    block.may_overflow =
        !(LargestIntermediate(mean, rstd, raw, plain, largest) < kLargestIntermediate);
    const double scale = std::fabs(rstd), even_weight = scale / count_of_set.high;
    if (has_mean_) std::fill_n(tile->even.data(), std::min(size, kTile), even_weight);
    for (std::size_t first = 0; first < size; first += kTile) {
      const std::size_t count = std::min(kTile, size - first);
      double* const p = elements->P(first);
      double* const x = elements->X(first);
      if (!elements->AreKept()) LoadTile(set * size + first, count, tile, p, x, nullptr);
      ReachOf(profile_, mean, x, count, tile->reach.data());
      line.Evaluate(p, x, tile->reach.data(), count, tile->value.data(), tile->local.data());
      Vectorised([=, reach = tile->reach.data(), weight = tile->weight.data(),
                  per_xhat = roundings_.xhat * kRoundoff] {
        for (std::size_t i = 0; i < count; ++i) {
          weight[i] = even_weight * scale * (std::fabs(x[i] - mean) + per_xhat * reach[i]);
        }
      });
      block.first = set * size + first;
      block.value = {tile->value.data(), count};
      block.local = {tile->local.data(), count};
      sums[0].weight = {tile->weight.data(), count};
      sums[1].weight = {tile->even.data(), count};
      consume_(block);
    }
  }

 private:
  Sum SumOf(const Totals& totals, double roundings) const {
    return {static_cast<double>(call_.sets.length), roundings, totals.value.high, totals.magnitude,
            totals.energy};
  }

  // Fills `p` and `x` with the `count` elements from `first` on. Notes the largest of them where
  // asked to.
  void LoadTile(std::size_t first, std::size_t count, Tile* tile, double* p, double* x,
                Magnitudes* largest) const {
    call_.Load(call_.dy, first, count, p);
    call_.Prefetch(call_.dy, first + kTile, kTile);
    call_.Load(call_.x, first, count, x);
    if (largest != nullptr) largest->dy = std::max(largest->dy, MaxMagnitude({p, count}));
    MultiplyAll(p, Scales(first, count, tile), count, p);
    if (largest != nullptr) {
      largest->p = std::max(largest->p, MaxMagnitude({p, count}));
      largest->x = std::max(largest->x, MaxMagnitude({x, count}));
    }
  }

  // The scales of those elements; they lie side by side where every element of a set has its own.
  const double* Scales(std::size_t first, std::size_t count, Tile* tile) const {
    const bool own = call_.scales.length == 1 && call_.sets.length == call_.scales.count;
    if (own && !scales_.empty()) return scales_.data() + first % call_.sets.length;
    call_.LoadScales(first, count, tile->scale.data());
    return tile->scale.data();
  }

  // Every place where a device may drop a subnormal input or result, carried to dx, in units of its
  // smallest normal number.
  double Flush(const Line& line, double rstd, const Magnitudes& largest) const {
    const double scale = std::fabs(rstd), p = largest.p, m1 = std::fabs(line.offset.high);
    const double xhat = (largest.x + std::fabs(line.mean)) * scale;
    const double m2 = scale > 0 ? std::fabs(line.slope.high) / scale : 0;
    const double g = 1 + max_scale_ + largest.dy, rstd_use = 2 * scale + (has_mean_ ? 3 : 1);
    return 2 + p + m1 + xhat * m2 +
           scale * (2 * g + 5 + (xhat + 1) * (g * (xhat + 1) + p * rstd_use + 3) + m2 * rstd_use);
  }

  // No intermediate of the arrangements in use exceeds this: sums before they are divided by the
  // size of the set, rstd^3 formed first, dy * x formed first.
  double LargestIntermediate(double mean, double rstd, const Totals& raw, const Totals& plain,
                             const Magnitudes& largest) const {
    const double r = std::max(std::fabs(rstd), 1.0);
    const double x = std::max(largest.x + std::fabs(mean), 1.0);
    const double dy = std::max(largest.dy, 1.0);
    const double magnitude = raw.magnitude + std::fabs(mean) * plain.magnitude;
    return std::max({static_cast<double>(call_.sets.length) * largest.p * r, dy * x * r, r * r * r,
                     magnitude * x * r * r * r});
  }

  const Normalisation& call_;
  Profile profile_;
  Roundings roundings_;
  const std::function<void(const ReferenceBlock&)>& consume_;
  bool has_mean_, centred_;
  std::vector<double> scales_;  // of all owners; empty where there are none
  double max_scale_ = 1;
};

}  // namespace

void StreamSetGradient(const Normalisation& call, Profile profile, unsigned threads,
                       const std::function<void(const ReferenceBlock&)>& consume) {
  if (call.elements == 0 || !call.Has(call.dx)) return;
  const SetPass pass(call, profile, consume);
  ForEachRowGroup(call.sets.count, call.sets.length, threads, [&](Range sets) {
    Elements elements(call.sets.length);
    Tile tile;
    for (std::size_t i = 0; i < sets.count; ++i) pass.Stream(sets.first + i, &elements, &tile);
  });
}

}  // namespace normgrad
