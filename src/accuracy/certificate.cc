// SPDX-License-Identifier: Apache-2.0
#include "accuracy/certificate.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/parallel.h"
#include "base/random.h"

namespace normgrad {
namespace {

constexpr std::size_t kSample = 8;

/// |reference - opinion| in units of the allowance. The rounding of a reference to float64 is none
/// of its errors.
double ErrorOf(double reference, double opinion, double allowance) {
  if (!std::isfinite(reference) || !std::isfinite(opinion)) {
    return std::isfinite(reference) == std::isfinite(opinion)
               ? 0
               : std::numeric_limits<double>::infinity();
  }
  const double difference = std::fabs(reference - opinion);
  if (difference <= 0x1p-52 * std::fabs(opinion)) return 0;
  return allowance > 0 ? difference / allowance : std::numeric_limits<double>::infinity();
}

}  // namespace

OracleWitness::OracleWitness(std::size_t param, std::size_t count, const BoundRule& rule)
    : param_(param), rule_(rule) {
  if (count == 0) return;
  sample_ = {0, count - 1};
  const RandomStream random(HashText("oracle witness", param));
  for (std::uint64_t i = 0; i + 2 < kSample; ++i) sample_.push_back(random.Bits(i) % count);
  std::ranges::sort(sample_);
  sample_.erase(std::unique(sample_.begin(), sample_.end()), sample_.end());
}

void OracleWitness::Consume(const ReferenceBlock& block) {
  if (block.param != param_) return;
  const std::size_t end = block.first + block.value.size();
  for (auto next = std::ranges::lower_bound(sample_, block.first);
       next != sample_.end() && *next < end; ++next) {
    const std::size_t i = *next - block.first;
    const Testimony testimony{*next, block.value[i], AllowanceOf(block, rule_, i).Total()};
    const std::lock_guard lock(mutex_);
    testimonies_.push_back(testimony);
  }
}

Certificate OracleWitness::Certify(const Oracle& oracle, const Dims& dims,
                                   std::span<const HostTensor> tensors, unsigned threads) const {
  std::vector<double> opinions(testimonies_.size());
  // No opinion looks at more than all elements, of which a thread that is woken costs thousands.
  constexpr std::size_t kWorthAThread = 4096;
  std::size_t elements = 0;
  for (const HostTensor& tensor : tensors) elements += ElementCount(tensor.shape);
  const bool few = elements * opinions.size() < kWorthAThread;
  ParallelFor(opinions.size(), few ? 1 : threads, [&](std::size_t i) {
    opinions[i] = oracle.element(dims, tensors, param_, testimonies_[i].index);
  });
  Certificate certificate;
  for (std::size_t i = 0; i < opinions.size(); ++i) {
    const Testimony& testimony = testimonies_[i];
    const double opinion = opinions[i];
    const double error = ErrorOf(testimony.reference, opinion, testimony.allowance);
    const bool first = certificate.elements++ == 0;
    // Blocks arrive in any order: of equal errors the lowest index is the worst.
    const bool worse = error > certificate.error ||
                       (error == certificate.error && testimony.index < certificate.worst);
    if (!first && !worse) continue;
    certificate.error = error;
    certificate.worst = testimony.index;
    certificate.reference = testimony.reference;
    certificate.opinion = opinion;
  }
  return certificate;
}

}  // namespace normgrad
