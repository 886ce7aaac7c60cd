// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <mutex>
#include <string_view>

#include "accuracy/bound.h"
#include "base/dtype.h"
#include "golden/oracle.h"

namespace normgrad {

/// How one output of one run stands against the oracle.
///
/// need is the distance from the reference to the nearest real number that rounds to the device's
/// element; the element passes if need <= allowance. margin is need / allowance: at most 1 passes,
/// 0 is correctly rounded.
struct OutputVerdict {
  std::size_t elements = 0;          // judged
  std::size_t violations = 0;        // need > allowance, or finite against non-finite
  std::size_t nonfinite_errors = 0;  // of those: NaN or infinity where none belongs, or the reverse
  std::size_t suspects = 0;          // passed, by the certified bound, but outside the sharp one
  std::size_t nonzero_reference = 0;  // right or wrong beside a reference that is not 0 or NaN
  double margin = 0;                  // largest need / allowance; infinity for a non-finite error
  std::size_t worst = 0;              // row-major index of margin
  double worst_actual = 0;            // the device's element there
  double worst_golden = 0;            // the reference there, not rounded
  double worst_allowance = 0;         // the allowance there; 0 if that reference is not finite
  std::string_view dominant;  // the term that dominates that allowance: "local", "sum", "flush" or,
                              // where nothing is allowed, "none"
  std::size_t first_violation = 0;  // lowest row-major index of a violation
  double max_abs_error = 0;         // largest |actual - golden| over finite pairs

  bool passed() const { return violations == 0; }
};

/// Judges one output while the oracle streams it. Thread-safe.
class OutputJudge {
 public:
  /// `actual` is the device's output, dense row-major.
  OutputJudge(const HostTensor& actual, const BoundRule& rule);

  /// Compares the elements of `block` with the device's.
  void Consume(const ReferenceBlock& block);

  /// The verdict over everything consumed so far. It does not depend on the order blocks arrived
  /// in: ties in margin go to the lower index.
  OutputVerdict Verdict() const;

 private:
  // What some of the threads have consumed. One slot per thread, as nearly as a hash can tell:
  // blocks may be single short rows, and a lock that all threads want would cost more than those.
  struct alignas(64) Slot {
    mutable std::mutex mutex;
    OutputVerdict verdict;
  };

  HostTensor actual_;
  BoundRule rule_;
  std::array<Slot, 16> slots_;
  std::atomic<double> known_margin_ = 0;  // that some element has; of no use if a worse one has too
};

}  // namespace normgrad
