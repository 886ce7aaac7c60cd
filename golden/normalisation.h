// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "golden/compensated.h"
#include "golden/oracle.h"

namespace normgrad {

/// What every normalisation has in common: which elements share statistics and which share a scale,
/// the forward pass, and the linear function of x that its gradient is.

/// Adjacent elements dealt to owners in turn: `length` to owner 0, `length` to owner 1, … and after
/// the last owner to the first again.
struct Deal {
  std::size_t length = 1;
  std::size_t count = 1;  // owners

  std::size_t OwnerOf(std::size_t element) const { return element / length % count; }
};

/// The index of a param that an operator does not have.
inline constexpr std::size_t kNoParam = std::numeric_limits<std::size_t>::max();

/// How many elements oracles work on at a time: arrays of 8 KiB.
inline constexpr std::size_t kTile = 1024;

/// One call: its tensors, by index into Operator::params, and who owns the elements of x.
struct Normalisation {
  std::span<const HostTensor> tensors;
  std::size_t dy, x, mean, rstd, scale;
  std::size_t bias = kNoParam;
  std::size_t dx;  // outputs
  std::size_t dscale = kNoParam, dbias = kNoParam;
  Deal sets;    // owners: the entries of mean and rstd
  Deal scales;  // owners: the entries of scale and bias
  std::size_t elements = 0;

  bool Has(std::size_t param) const { return param != kNoParam && tensors[param].present(); }

  /// How many elements share statistics.
  std::size_t SetSize() const { return elements / std::max<std::size_t>(sets.count, 1); }

  /// Whether xhat is 1 or -1 but for the rounding of its statistics: one element, or two about
  /// their mean. Its products with dy are then rounded alike again and again.
  bool OnLattice() const { return SetSize() <= (mean == kNoParam ? 1 : 2); }

  /// Elements first … first + count - 1 of a tensor.
  void Load(std::size_t param, std::size_t first, std::size_t count, double* out) const;

  /// Asks for elements first … first + count - 1 of a tensor, which are to be loaded soon.
  void Prefetch(std::size_t param, std::size_t first, std::size_t count) const;

  /// One element; `absent` where the tensor is null.
  double At(std::size_t param, std::size_t index, double absent) const;

  /// The scale of the elements first … first + count - 1 of x; ones where it is null.
  void LoadScales(std::size_t first, std::size_t count, double* out) const;
};

/// Calls load(first, count, place) for stretches of adjacent elements of `owner`, in order, and
/// done(count) whenever kTile places, or the last few, have been loaded.
template <typename LoadStretch, typename Done>
void ForEachTile(const Deal& deal, std::size_t elements, std::size_t owner, LoadStretch load,
                 Done done) {
  std::size_t filled = 0;
  for (std::size_t start = owner * deal.length; start < elements;
       start += deal.length * deal.count) {
    for (std::size_t i = 0; i < deal.length;) {
      const std::size_t count = std::min(deal.length - i, kTile - filled);
      load(start + i, count, filled);
      i += count, filled += count;
      if (filled == kTile) done(std::exchange(filled, 0));
    }
  }
  if (filled > 0) done(filled);
}

/// What Oracle::statistics returns for an operator with the statistics mean, if any, and
/// rstd = 1 / sqrt(mean of (x - mean)^2 + eps). The mean of nothing is zero.
std::vector<std::vector<double>> StatisticsOf(const Normalisation& call, double eps,
                                              unsigned threads);

/// (x - mean) * rstd * scale + bias, as Oracle::forward.
std::vector<double> ForwardOf(const Normalisation& call, double eps);

/// What a float32 evaluation rounds, u = 2^-24 each time, and how often.
struct Roundings {
  double local;        // an element of dx outside its sums
  double set_term;     // a term of the sum of p * xhat
  double column_term;  // a term of dgamma
  double xhat;         // xhat as a factor of the error of a sum
};

/// Straightforward arrangements round an element of dx at most 9 times (expanded ones 11), plus one
/// in reserve; xhat twice (four times), dy * gamma and a product once each.
Roundings RoundingsOf(Profile profile);

inline constexpr double kRoundoff = 0x1p-24;             // u
inline constexpr double kLargestIntermediate = 0x1p126;  // float32 overflows at 2^128

/// The magnitudes by which float32 sums of t * (x - mean) err, from the sums of t * x and
/// t * mean: an expanded kernel adds up these.
Totals ConditionOf(const Totals& products, const Totals& shifts);

/// factor * (p - offset - slope * (x - mean)): what every gradient of x is on elements that share
/// statistics and, where p does not include it, a scale.
struct Line {
  double factor = 0;
  double mean = 0;
  DoubleDouble offset, slope;

  /// The value for every i < count of p and x, and in `local` the sum of magnitudes that local
  /// roundings act on, with `reach` from ReachOf() for |x - mean|. Right where it cancels: the
  /// difference is taken in twice the precision of float64.
  void Evaluate(const double* p, const double* x, const double* reach, std::size_t count,
                double* value, double* local) const;
};

/// What the roundings of x - mean are proportional to: |x| + |mean| if it is expanded to
/// x * r - mean * r, else |x - mean|.
void ReachOf(Profile profile, double mean, const double* x, std::size_t count, double* reach);

}  // namespace normgrad
