// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>

#include "accuracy/exact_sum.h"
#include "base/dtype.h"
#include "golden/oracle.h"

namespace normgrad {

/// |actual - golden| <= absolute + relative * |golden|.
struct Tolerance {
  double absolute = 0;
  double relative = 0;
};

/// What the published standards decide about single elements, as far as their rules need it.
struct ElementLimits {
  // Of the tolerances, in the order of Comparison::kBeyondMixed and so on.
  std::array<Tolerance, 4> tolerances{};
  // Errors that no element may have, unless they are at most 32 units in its last place; in the
  // order of Comparison::kBeyondMixedLimit and so on.
  std::array<double, 2> errors{};
  double far = 0;             // relative error, see RelativeError()
  double small_golden = 0;    // a golden value below is judged by its absolute error
  double small_error = 0;     // which may be this
  double cancelled = 0;       // below, golden and actual may have lost their digits
  double benchdnn = 0;        // relative error, or absolute where golden is at most 1e-5
  double diff3_absolute = 0;  // a golden value below counts with its absolute error
};

/// One output of one run beside its golden values, in the numbers that the published standards
/// judge by. Golden is the reference rounded once to the output's dtype.
///
/// A pair agrees where both are not finite; a reference that is not finite stands for any such
/// number. No pair with a number that is not finite takes part in a sum, a maximum or any count but
/// those of the last five kinds, except that kFarErrors and its like see a lone infinity as the
/// dtype's largest number.
struct Comparison {
  enum Count : std::size_t {
    kBeyondMixed,         // elements beyond a tolerance
    kBeyondMixedV2,       //
    kBeyondClose,         //
    kBeyondTorch,         //
    kBeyondMixedLimit,    // elements beyond an error and 32 units in their last place
    kBeyondMixedV2Limit,  //
    kSmallErrors,         // small golden values with too large an error
    kCancelledErrors,     // far elements among those that may have lost their digits
    kFarErrors,           // far elements among all others
    kBenchdnnErrors,      // elements that benchdnn would not accept one by one
    kDifferent,           // elements with other bits than golden; NaN is NaN
    kAgreeing,            // pairs that agree in not being finite
    kAgreeingNan,         // of those: actual is NaN
    kDisagreeing,         // pairs of which one is finite, or infinities of opposite sign
    kStray,               // of those: golden is finite
    kDisagreeingNan,      // of those: that no lone infinity explains
    kCounts
  };
  enum Sum : std::size_t {
    kRelativeError,
    kError,
    kErrorSquared,
    kGolden,  // |golden|
    kGoldenSquared,
    kActualSquared,
    kProduct,  // actual * golden
    kSums
  };
  enum Maximum : std::size_t { kLargestRelativeError, kLargestDiff3, kMaxima };

  std::uint64_t elements = 0;
  std::array<std::uint64_t, kCounts> counts{};
  std::array<double, kSums> sums{};
  std::array<double, kMaxima> maxima{};

  bool operator==(const Comparison&) const = default;
};

/// Compares one output with the reference while the oracle streams it. Thread-safe.
class OutputComparison {
 public:
  /// `actual` is the device's output, dense row-major: float32, float16 or bfloat16.
  OutputComparison(const HostTensor& actual, const ElementLimits& limits);

  /// Compares the elements of `block` with the device's.
  void Consume(const ReferenceBlock& block);

  /// Everything consumed so far. Its bits do not depend on threads or on the order of blocks:
  /// inside a block elements are added in lanes chosen by index, and sums of blocks are exact.
  Comparison Total() const;

 private:
  using Sums = std::array<ExactSum, Comparison::kSums>;

  // What some of the threads have consumed, as OutputJudge keeps it.
  struct alignas(64) Slot {
    mutable std::mutex mutex;
    Comparison comparison;       // without the sums
    std::unique_ptr<Sums> sums;  // once there are any: they are larger than a small output
  };

  HostTensor actual_;
  ElementLimits limits_;
  std::array<Slot, 16> slots_;
};

}  // namespace normgrad
