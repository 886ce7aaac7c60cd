// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <mutex>
#include <span>
#include <vector>

#include "accuracy/bound.h"
#include "golden/oracle.h"

namespace normgrad {

/// How the oracle's reference of one output stands against a second opinion, Oracle::element, on a
/// sample of elements.
struct Certificate {
  std::size_t elements = 0;  // asked about
  double error = 0;       // largest |reference - opinion| / allowance; infinity where they differ
                          // and nothing is allowed, or one alone is finite
  std::size_t worst = 0;  // row-major index of error
  double reference = 0;   // there
  double opinion = 0;     // there

  /// An error this small cannot change a verdict that is not a coin toss anyway.
  static constexpr double kMostError = 0x1p-10;

  bool Holds() const { return error <= kMostError; }
};

/// Remembers what the oracle says about a sample of one output's elements while it streams them:
/// the first, the last and some in between, the same for equal shapes. Thread-safe.
class OracleWitness {
 public:
  /// `param` is the output's index into Operator::params, `count` how many elements it has.
  OracleWitness(std::size_t param, std::size_t count, const BoundRule& rule);

  void Consume(const ReferenceBlock& block);

  /// Asks for the second opinion on everything consumed, on up to `threads` threads.
  Certificate Certify(const Oracle& oracle, const Dims& dims, std::span<const HostTensor> tensors,
                      unsigned threads) const;

 private:
  struct Testimony {
    std::size_t index;
    double reference;
    double allowance;
  };

  std::size_t param_;
  BoundRule rule_;
  std::vector<std::size_t> sample_;  // row-major indices, ascending
  std::mutex mutex_;                 // guards what follows
  std::vector<Testimony> testimonies_;
};

}  // namespace normgrad
