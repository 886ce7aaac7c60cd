// SPDX-License-Identifier: Apache-2.0
#include "golden/scale_gradient.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "golden/partition.h"

namespace normgrad {
namespace {

// Largest magnitudes of the inputs of some sums.
struct Magnitudes {
  double dy = 0, rstd = 0;
  double xhat = 0;     // of (|x| + |mean|) * rstd
  double product = 0;  // of |dy * x| + |dy * mean|

  void Merge(const Magnitudes& other) {
    dy = std::max(dy, other.dy);
    rstd = std::max(rstd, other.rstd);
    xhat = std::max(xhat, other.xhat);
    product = std::max(product, other.product);
  }
};

// Some elements of one owner.
struct Tile {
  std::vector<double> dy = std::vector<double>(kTile), x = dy, mean = dy, rstd = dy, product = dy;
};

// The sums of one owner: dscale is products - shifts.
struct OwnerSums {
  Totals products;    // sum of dy * x * rstd
  Totals shifts;      // sum of dy * mean * rstd
  Totals deviations;  // sum of dy * (x - mean) * rstd; only in the centred profile
  Totals terms;       // sum of dy
};

class ScalePass {
 public:
  ScalePass(const Normalisation& call, Profile profile,
            const std::function<void(const ReferenceBlock&)>& consume)
      : call_(call),
        profile_(profile),
        consume_(consume),
        wants_dscale_(call.Has(call.dscale)),
        wants_dbias_(call.Has(call.dbias)),
        has_mean_(call.mean != kNoParam),
        centred_(has_mean_ && profile == Profile::kCentred) {}

  // The owners are the columns of a matrix whose rows share statistics.
  void StreamColumns(unsigned threads) const {
    ReduceColumns<ColumnPartial>(
        call_.sets.count, call_.scales.count, threads,
        [&](Range rows, Range columns, ColumnPartial* partial) { AddRows(rows, columns, partial); },
        [&](Range columns, const ColumnPartial& partial) {
          std::vector<OwnerSums> sums(columns.count);
          for (std::size_t i = 0; i < sums.size(); ++i) {
            sums[i] = {partial.products.At(i), partial.shifts.At(i), partial.deviations.At(i),
                       partial.terms.At(i)};
          }
          Emit(columns.first, sums, partial.largest);
        });
  }

  // Every owner has stretches of adjacent elements that share statistics.
  void StreamOwners(unsigned threads) const {
    const std::size_t owners = call_.scales.count;
    ForEachRowGroup(owners, call_.elements / std::max<std::size_t>(owners, 1), threads,
                    [&](Range range) {
                      Magnitudes largest;
                      Tile tile;
                      std::vector<OwnerSums> sums;
                      sums.reserve(range.count);
                      for (std::size_t i = 0; i < range.count; ++i) {
                        sums.push_back(AddOwner(range.first + i, &tile, &largest));
                      }
                      Emit(range.first, sums, largest);
                    });
  }

 private:
  // The sums of one tile of columns; those nobody wants have no columns.
  struct ColumnPartial {
    explicit ColumnPartial(std::size_t = 0) {}

    void Merge(const ColumnPartial& later) {
      products.Merge(later.products);
      shifts.Merge(later.shifts);
      deviations.Merge(later.deviations);
      terms.Merge(later.terms);
      largest.Merge(later.largest);
    }

    ColumnSums products, shifts, deviations, terms;
    Magnitudes largest;
  };

  void AddRows(Range rows, Range columns, ColumnPartial* partial) const {
    const std::size_t width = columns.count, all = call_.scales.count;
    if (wants_dscale_) partial->products = ColumnSums(width);
    if (wants_dscale_ && has_mean_) partial->shifts = ColumnSums(width);
    if (wants_dscale_ && centred_) partial->deviations = ColumnSums(width);
    if (wants_dbias_) partial->terms = ColumnSums(width);
    // Rows of a tile as wide as the matrix are adjacent: narrow ones are loaded many at a time.
    const std::size_t stretch = width == all ? std::max<std::size_t>(kTile / width, 1) : 1;
    constexpr std::size_t kLeastRows = 8;  // enough to keep sums in registers for a while
    const std::size_t batch = DivideUp(kLeastRows, stretch) * stretch;
    std::vector<double> dy(batch * width), x(batch * width), product(batch * width);
    std::vector<double> mean(batch), rstd(batch);
    for (std::size_t done = 0; done < rows.count; done += batch) {
      const std::size_t first = rows.first + done, count = std::min(batch, rows.count - done);
      const auto load = [&](std::size_t param, std::vector<double>* out) {
        for (std::size_t i = 0; i < count; i += stretch) {
          const std::size_t elements = std::min(stretch, count - i) * width;
          const std::size_t at = (first + i) * all + columns.first;
          call_.Load(param, at, elements, out->data() + i * width);
        }
      };
      // The rows of the next batch, whose places no processor guesses; not all at once, as they
      // would be waited for.
      const auto prefetch = [&](std::size_t param) {
        for (std::size_t i = 0; i < batch && done + batch + i < rows.count; i += stretch) {
          call_.Prefetch(param, (first + batch + i) * all + columns.first, stretch * width);
        }
      };
      const auto add = [&](ColumnSums* sums, const std::vector<double>& factors) {
        sums->AddRows(product.data(), factors.data(), count);
      };
      load(call_.dy, &dy);
      prefetch(call_.dy);
      if (wants_dbias_) partial->terms.AddRows(dy.data(), nullptr, count);
      if (!wants_dscale_) continue;
      load(call_.x, &x);
      call_.Load(call_.rstd, first, count, rstd.data());
      if (has_mean_) call_.Load(call_.mean, first, count, mean.data());
      MultiplyAll(dy.data(), x.data(), count * width, product.data());
      prefetch(call_.x);
      for (std::size_t i = 0; i < count; i += stretch) {
        const std::size_t these = std::min(stretch, count - i), at = i * width;
        Note({dy.data() + at, these * width}, {x.data() + at, these * width},
             {product.data() + at, these * width}, {mean.data() + i, these},
             {rstd.data() + i, these}, &partial->largest);
      }
      add(&partial->products, rstd);
      if (!has_mean_) continue;
      // dy * mean, and dy * (x - mean).
      for (std::size_t i = 0; i < count; ++i) {
        const double* const row = dy.data() + i * width;
        Vectorised([=, factor = mean[i], out = product.data() + i * width] {
          for (std::size_t j = 0; j < width; ++j) out[j] = row[j] * factor;
        });
      }
      add(&partial->shifts, rstd);
      if (!centred_) continue;
      for (std::size_t i = 0; i < count; ++i) {
        double* const row = x.data() + i * width;
        for (std::size_t j = 0; j < width; ++j) row[j] -= mean[i];
      }
      MultiplyAll(dy.data(), x.data(), count * width, product.data());
      add(&partial->deviations, rstd);
    }
  }

  OwnerSums AddOwner(std::size_t owner, Tile* tile, Magnitudes* largest) const {
    std::vector<double>& dy = tile->dy;
    std::vector<double>& x = tile->x;
    std::vector<double>& mean = tile->mean;
    std::vector<double>& rstd = tile->rstd;
    std::vector<double>& product = tile->product;
    DotSum products, shifts, deviations, terms;
    ForEachTile(
        call_.scales, call_.elements, owner,
        [&](std::size_t first, std::size_t count, std::size_t place) {
          call_.Load(call_.dy, first, count, dy.data() + place);
          call_.Prefetch(call_.dy, first + count, kTile);
          if (!wants_dscale_) return;
          const std::size_t set = call_.sets.OwnerOf(first);
          call_.Load(call_.x, first, count, x.data() + place);
          call_.Prefetch(call_.x, first + count, kTile);
          std::fill_n(mean.data() + place, count, call_.At(call_.mean, set, 0));
          std::fill_n(rstd.data() + place, count, call_.At(call_.rstd, set, 1));
        },
        [&](std::size_t count) {
          if (wants_dbias_) terms.AddTerms(dy.data(), count);
          if (!wants_dscale_) return;
          MultiplyAll(dy.data(), x.data(), count, product.data());
          products.AddProducts(product.data(), rstd.data(), count);
          Note({dy.data(), count}, {x.data(), count}, {product.data(), count}, {mean.data(), count},
               {rstd.data(), count}, largest);
          MultiplyAll(dy.data(), mean.data(), count, product.data());
          shifts.AddProducts(product.data(), rstd.data(), count);
          if (!centred_) return;
          for (std::size_t i = 0; i < count; ++i) product[i] = dy[i] * (x[i] - mean[i]);
          deviations.AddProducts(product.data(), rstd.data(), count);
        });
    return {products.Get(), shifts.Get(), deviations.Get(), terms.Get()};
  }

  static void Note(std::span<const double> dy, std::span<const double> x,
                   std::span<const double> product, std::span<const double> mean,
                   std::span<const double> rstd, Magnitudes* largest) {
    const double max_dy = MaxMagnitude(dy), max_rstd = MaxMagnitude(rstd);
    const double max_mean = MaxMagnitude(mean);
    largest->Merge({max_dy, max_rstd, (MaxMagnitude(x) + max_mean) * max_rstd,
                    MaxMagnitude(product) + max_dy * max_mean});
  }

  void Emit(std::size_t first, std::span<const OwnerSums> sums, const Magnitudes& largest) const {
    const std::size_t elements = call_.elements / std::max<std::size_t>(call_.scales.count, 1);
    const auto count = static_cast<double>(elements);
    std::vector<double> value(sums.size());
    std::vector<Sum> own(sums.size());
    const auto set = [&](std::size_t i, double exact, const Totals& condition, double roundings) {
      const bool finite = std::isfinite(condition.magnitude);
      value[i] = finite ? exact : std::numeric_limits<double>::quiet_NaN();
      own[i] = {count, roundings, condition.value.high, condition.magnitude, condition.energy};
    };
    ReferenceBlock block;
    block.first = first;
    block.value = value;
    block.own = own;
    if (wants_dscale_) {
      for (std::size_t i = 0; i < sums.size(); ++i) {
        const OwnerSums& sum = sums[i];
        set(i, Subtract(sum.products.value, sum.shifts.value).high,
            centred_ ? sum.deviations : ConditionOf(sum.products, sum.shifts),
            RoundingsOf(profile_).column_term);
        own[i].lattice = call_.OnLattice();
      }
      block.param = call_.dscale;
      block.roundings = 2;
      const double rstd_use = 2 * largest.rstd + (has_mean_ ? 3 : 1);
      block.flush = 1 + count * (3 + largest.xhat + largest.dy * rstd_use);
      Consume(block, largest.product * std::max(largest.rstd, 1.0));
    }
    if (wants_dbias_) {
      for (std::size_t i = 0; i < sums.size(); ++i) {
        set(i, sums[i].terms.value.high, sums[i].terms, 0);
      }
      block.param = call_.dbias;
      block.roundings = 1;
      block.flush = 2 * count;
      Consume(block, 0);
    }
  }

  // Fills in the rest of `block`; `largest` is an intermediate of float32 kernels.
  void Consume(ReferenceBlock block, double largest) const {
    std::vector<double> magnitude(block.value.size());
    for (std::size_t i = 0; i < magnitude.size(); ++i) {
      magnitude[i] = std::fabs(block.value[i]);
      if (std::isfinite(block.own[i].magnitude)) {
        largest = std::max(largest, block.own[i].magnitude);
      }
    }
    block.local = magnitude;
    if (call_.elements == 0) block.flush = 0;  // nothing can be lost from a sum over nothing
    block.may_overflow = !(largest < kLargestIntermediate);
    consume_(block);
  }

  const Normalisation& call_;
  Profile profile_;
  const std::function<void(const ReferenceBlock&)>& consume_;
  bool wants_dscale_, wants_dbias_, has_mean_, centred_;
};

}  // namespace

void StreamScaleGradients(const Normalisation& call, Profile profile, unsigned threads,
                          const std::function<void(const ReferenceBlock&)>& consume) {
  if (!call.Has(call.dscale) && !call.Has(call.dbias)) return;
  const ScalePass pass(call, profile, consume);
  // Owners of single elements take turns: their elements are the columns of a matrix. It has the
  // statistics of one set in every row if a set is one turn.
  if (call.scales.length == 1 && call.sets.length == call.scales.count) {
    pass.StreamColumns(threads);
  } else {
    pass.StreamOwners(threads);
  }
}

}  // namespace normgrad
