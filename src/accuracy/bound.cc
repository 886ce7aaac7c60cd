// SPDX-License-Identifier: Apache-2.0
#include "accuracy/bound.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/lanes.h"

namespace normgrad {
namespace {

// The sums of magnitudes and squares are plain float64 sums of up to 2^29 terms: their own error is
// below 2^-20 of them.
constexpr double kRoundUp = 1 + 0x1p-20;

// Standard deviations the sharp bound allows. A rounding error is not u but 0.42 u in the root mean
// square (uniform within half an ulp, log-uniform significand), so 5 stands for 11.8 of them; the
// largest seen on half a million correct sums of exchangeable terms is 2.9.
constexpr double kLambda = 5;

// Long same-sign sums of 16-bit inputs: the few distinct products meet the same partial sums again
// and again and round the same way; 4.8 to 6 deviations were seen from 32768 terms on, none up to
// 4096. A sum has one sign enough for that if it is over a quarter of its magnitude.
constexpr double kLongSum = 4096, kSameSign = 0.25;

// Multiples of the quantum up to 2^24 of them are float32 numbers, and so is then every partial
// sum, in any order. The magnitudes of expanded kernels bound those of all others.
bool IsExact(const Sum& sum, const BoundRule& rule) {
  return rule.mode == SumMode::kExact && sum.magnitude <= 0x1p24 * rule.quantum;
}

// Whether any correct evaluation of the elements of `block` is exact up to the last rounding.
bool IsExact(const ReferenceBlock& block, const BoundRule& rule) {
  if (rule.mode != SumMode::kExact) return false;
  if (block.own.empty() && !rule.exact_elements) return false;
  const auto exact = [&](const Sum& sum) { return IsExact(sum, rule); };
  return std::ranges::all_of(block.own, exact) &&
         std::ranges::all_of(block.shared, exact, &SharedSum::sum);
}

}  // namespace

double Allow(const Sum& sum, const BoundRule& rule) {
  if (IsExact(sum, rule)) return 0;
  // Any order of n terms is a binary tree of n - 1 additions at most as deep: every term is rounded
  // at most n - 1 times on its way to the root, and `roundings` times before (Jeannerod and Rump,
  // "Improved error bounds for inner products in floating-point arithmetic", SIMAX 34, 2013).
  const double certified = std::max(sum.count - 1 + sum.roundings, 0.0) * sum.magnitude;
  const bool repeats = rule.sixteen_bit_inputs && sum.count > kLongSum &&
                       std::fabs(sum.value) > kSameSign * sum.magnitude;
  if (rule.mode != SumMode::kSharp || sum.lattice || repeats) {
    return kRoundUp * rule.roundoff * certified;
  }
  // Independent errors add in squares, each proportional to the partial sum it rounds. Over terms
  // in random order the squares of all partial sums add to at most n (s^2 / 3 + V / 6) in
  // expectation, the most for one running sum; n / 3 (s^2 + V) leaves a factor 2 on V. Each
  // rounding inside the terms adds V.
  const double squares =
      sum.count / 3 * (sum.value * sum.value + sum.energy) + sum.roundings * sum.energy;
  return kRoundUp * rule.roundoff * std::min(certified, kLambda * std::sqrt(squares));
}

AllowanceTerms AllowanceOf(const ReferenceBlock& block, const BoundRule& rule, std::size_t i) {
  AllowanceTerms terms;
  if (IsExact(block, rule)) return terms;
  terms.local = block.roundings * rule.roundoff * block.local[i];
  for (const SharedSum& shared : block.shared) {
    terms.sums += Allow(shared.sum, rule) * shared.weight[i];
  }
  if (!block.own.empty()) terms.sums += Allow(block.own[i], rule);
  terms.flush = block.flush * rule.smallest_normal;
  return terms;
}

void Allowances(const ReferenceBlock& block, const BoundRule& rule, std::size_t first,
                std::span<double> out) {
  if (IsExact(block, rule)) {
    std::ranges::fill(out, 0.0);
    return;
  }
  const std::size_t count = out.size();
  Vectorised([=, local = block.local.data() + first, allowance = out.data(),
              roundings = block.roundings * rule.roundoff,
              flush = block.flush * rule.smallest_normal] {
    for (std::size_t i = 0; i < count; ++i) allowance[i] = roundings * local[i] + flush;
  });
  for (const SharedSum& shared : block.shared) {
    Vectorised([=, weight = shared.weight.data() + first, allowance = out.data(),
                error = Allow(shared.sum, rule)] {
      for (std::size_t i = 0; i < count; ++i) allowance[i] += error * weight[i];
    });
  }
  if (block.own.empty()) return;
  for (std::size_t i = 0; i < count; ++i) out[i] += Allow(block.own[first + i], rule);
}

}  // namespace normgrad
