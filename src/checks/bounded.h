// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "accuracy/bound.h"
#include "checks/case_run.h"
#include "checks/stretch.h"
#include "golden/normalisation.h"

namespace normgrad {

/// What the relations that hold within a bound have in common.

/// Roundings of x - mean, times 1/deviation, times dy: of a term of dgamma before it is added.
inline constexpr double kTermRoundings = 3;

/// Adjacent elements of a set, those that share statistics, with zeros behind them.
struct SetElements {
  Stretch dy, xhat;
  Stretch reach;  // (|x| + |mean|) / deviation: what the roundings of xhat are proportional to

  void Load(const Normalisation& norm, std::size_t first, std::size_t count);
  /// With g = dy * gamma in place of dy.
  void LoadScaled(const Normalisation& norm, std::size_t first, std::size_t count);
};

/// Adjacent elements of an output, with `behind` behind them.
struct Results {
  Stretch value;
  Stretch rounding;  // how far each can be from the number that it was rounded from

  void Load(const HostTensor& output, std::size_t first, std::size_t count, double behind = 0);
};

/// What float32 may flush to zero, in terms of one element of an output.
double Flush(const HostTensor& output);

/// Sums under way, one per lane.
struct LaneTerms {
  Lanes value{}, magnitude{}, energy{};

  void Add(Lanes term, Lanes size) {
    value += term;
    magnitude += size;
    energy += size * size;
  }
};

/// "`where` is 1.5, expected 1 within 0.1".
std::string Difference(std::string_view where, double actual, double expected, double allowed);

/// `where` says what is compared; asked only of the first that differs, as saying so takes longer
/// than comparing.
template <typename Where>
void CompareBound(double actual, double expected, double allowed, PropertyResult* property,
                  Where where) {
  // Overflow, and what comes of it, is the accuracy check's to judge.
  if (!std::isfinite(expected) || !std::isfinite(allowed) || !std::isfinite(actual)) return;
  ++property->compared;
  if (std::fabs(actual - expected) <= allowed) return;
  if (property->violations++ == 0) {
    property->first = Difference(where(), actual, expected, allowed);
  }
}

/// The call that the relations are about.
class BoundedCall {
 public:
  /// `base`: what a launch on the inputs of `run` left. Both must live as long.
  BoundedCall(const CaseRun& run, const DenseTensors& base);
  BoundedCall(const BoundedCall&) = delete;
  BoundedCall& operator=(const BoundedCall&) = delete;

  const Normalisation& norm() const { return norm_; }
  const BoundRule& rule() const { return rule_; }
  const HostTensor& Tensor(std::size_t param) const { return tensors_[param]; }
  /// "dxOut[2, 17]".
  std::string IndexOf(std::size_t param, std::size_t element) const;

 private:
  const CaseRun& run_;
  std::vector<HostTensor> tensors_;
  Normalisation norm_;
  BoundRule rule_;
};

}  // namespace normgrad
