// SPDX-License-Identifier: Apache-2.0
#include "checks/bounded.h"

#include <fmt/format.h>

#include "accuracy/preimage.h"
#include "checks/check.h"
#include "golden/compensated.h"

namespace normgrad {

void SetElements::Load(const Normalisation& norm, std::size_t first, std::size_t count) {
  const std::size_t set = norm.sets.OwnerOf(first);
  norm.Load(norm.dy, first, count, dy.data());
  norm.Load(norm.x, first, count, xhat.data());
  Vectorised([=, mean = norm.At(norm.mean, set, 0), rstd = norm.At(norm.rstd, set, 1),
              x = xhat.data(), sizes = reach.data()] {
    for (std::size_t i = 0; i < count; ++i) {
      sizes[i] = (std::fabs(x[i]) + std::fabs(mean)) * std::fabs(rstd);
      x[i] = (x[i] - mean) * rstd;
    }
  });
  for (Stretch* const stretch : {&dy, &xhat, &reach}) Pad(count, 0, stretch);
}

void SetElements::LoadScaled(const Normalisation& norm, std::size_t first, std::size_t count) {
  Load(norm, first, count);
  Stretch gamma;
  norm.LoadScales(first, count, gamma.data());
  MultiplyAll(dy.data(), gamma.data(), count, dy.data());
}

void Results::Load(const HostTensor& output, std::size_t first, std::size_t count, double behind) {
  const std::byte* const address = output.data + first * SizeOf(output.dtype);
  Stretch low;
  LoadAll(output.dtype, address, count, value.data());
  RoundingPreimages(output.dtype, BoundRule(), address, count, low.data(), rounding.data());
  // At a power of two the numbers on one side lie closer than those on the other.
  Vectorised([=, is = value.data(), lowest = low.data(), highest = rounding.data()] {
    for (std::size_t i = 0; i < count; ++i) {
      const double above = highest[i] - is[i], below = is[i] - lowest[i];
      highest[i] = below > above ? below : above;
    }
  });
  for (Stretch* const stretch : {&value, &rounding}) Pad(count, behind, stretch);
}

double Flush(const HostTensor& output) { return 4 * SmallestNormal(output.dtype); }

std::string Difference(std::string_view where, double actual, double expected, double allowed) {
  return fmt::format("{} is {:.9g}, expected {:.9g} within {:.3g}", where, actual, expected,
                     allowed);
}

BoundedCall::BoundedCall(const CaseRun& run, const DenseTensors& base)
    : run_(run),
      tensors_(HostTensors(run, base)),
      norm_(OracleOf(run.op()).call(run.the_case().dims, tensors_)),
      rule_(RuleFor(run, kFloat32Roundoff)) {}

std::string BoundedCall::IndexOf(std::size_t param, std::size_t element) const {
  return fmt::format("{}{}", run_.op().params[param].name,
                     IndexText(tensors_[param].shape, element));
}

}  // namespace normgrad
