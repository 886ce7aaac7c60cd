// SPDX-License-Identifier: Apache-2.0
#include "accuracy/comparison.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <stdexcept>
#include <thread>
#include <vector>

#include "base/lanes.h"

namespace normgrad {
namespace {

constexpr std::size_t kTile = 512;  // elements at a time: four arrays of 4 KiB

// Some elements side by side. Behind the last there are zeros up to a multiple of kLanes.
struct Tile {
  std::array<double, kTile> actual, golden, magnitude, error;  // |golden|, |actual - golden|
};

// Of an exponent that a normal float64 has.
constexpr double PowerOfTwo(int exponent) {
  return std::bit_cast<double>(static_cast<std::uint64_t>(1023 + exponent) << 52);
}

// What comparing needs to know of a binary format.
struct Format {
  double smallest_normal;
  double largest;
  double ulp;  // of 1
};

template <int kFractionBits, int kMinExponent>
Format BinaryFormat() {
  return {PowerOfTwo(kMinExponent),
          PowerOfTwo(2 - kMinExponent) * (1 - PowerOfTwo(-kFractionBits - 1)),
          PowerOfTwo(-kFractionBits)};
}

Format FormatOf(DType dtype) {
  switch (dtype) {
    case DType::kFloat32: return BinaryFormat<23, -126>();
    case DType::kFloat16: return BinaryFormat<10, -14>();
    case DType::kBFloat16: return BinaryFormat<7, -126>();
    case DType::kNone:
    case DType::kInt32:
    case DType::kFloat64: break;
  }
  throw std::logic_error("no published standard is about this dtype");
}

double MaximumOf(Lanes lanes) {
  double maximum = 0;
  for (std::size_t lane = 0; lane < kLanes; ++lane) maximum = std::max(maximum, lanes[lane]);
  return maximum;
}

// Fills in |golden| and |actual - golden|; returns whether all of them are finite.
bool SetErrors(std::size_t count, Tile* tile) {
  return Vectorised([=] {
    LaneMask not_finite{};
    for (std::size_t i = 0; i < count; i += kLanes) {
      const Lanes golden = LoadLanes(&tile->golden[i]);
      const Lanes error = AbsOf(LoadLanes(&tile->actual[i]) - golden);
      StoreLanes(AbsOf(golden), &tile->magnitude[i]);
      StoreLanes(error, &tile->error[i]);
      not_finite |= ~MaskOf(error <= std::numeric_limits<double>::max());
    }
    return !AnyOf(not_finite);
  });
}

void SetPair(double actual, double golden, std::size_t i, Tile* tile) {
  tile->actual[i] = actual;
  tile->golden[i] = golden;
  tile->magnitude[i] = std::fabs(golden);
  tile->error[i] = std::fabs(actual - golden);
}

// Counts the pairs with a number that is not finite and takes them out of `tile`, but for lone
// infinities: those become the largest number, and their indices are returned.
std::vector<std::size_t> SetAside(const double* reference, std::size_t count, double largest,
                                  Tile* tile, Comparison* part) {
  std::vector<std::size_t> lone;
  for (std::size_t i = 0; i < count; ++i) {
    const double actual = tile->actual[i], golden = tile->golden[i];
    const bool actual_finite = std::isfinite(actual), golden_finite = std::isfinite(golden);
    if (actual_finite && golden_finite) continue;
    const bool agree =
        !actual_finite && !golden_finite && (!std::isfinite(reference[i]) || actual == golden);
    const bool lone_infinity =
        (std::isinf(actual) && golden_finite) || (std::isinf(golden) && actual_finite);
    if (agree) {
      ++part->counts[Comparison::kAgreeing];
      if (std::isnan(actual)) ++part->counts[Comparison::kAgreeingNan];
    } else {
      ++part->counts[Comparison::kDisagreeing];
      if (golden_finite) ++part->counts[Comparison::kStray];
      if (!lone_infinity) ++part->counts[Comparison::kDisagreeingNan];
    }
    if (lone_infinity) lone.push_back(i);
    const auto within = [&](double value) { return std::clamp(value, -largest, largest); };
    SetPair(lone_infinity ? within(actual) : 0, lone_infinity ? within(golden) : 0, i, tile);
  }
  return lone;
}

// |actual - golden| / (|golden| + 1e-7), the relative error of CANN's standards: its sum, its
// maximum, and the elements far off by the domain they lie in. `count` is a multiple of kLanes,
// here and below.
void AddRelativeErrors(const Tile& tile, std::size_t count, const ElementLimits& limits,
                       Comparison* part) {
  const auto relative_error = [](auto error, auto magnitude) { return error / (magnitude + 1e-7); };
  const double largest = Vectorised([=, &tile] {
    const double small_golden = limits.small_golden, small_error = limits.small_error;
    Lanes sum{}, maximum{};
    LaneMask small{};
    for (std::size_t i = 0; i < count; i += kLanes) {
      const Lanes error = LoadLanes(&tile.error[i]), magnitude = LoadLanes(&tile.magnitude[i]);
      const Lanes relative = relative_error(error, magnitude);
      sum += relative;
      maximum = MaxOf(maximum, relative);
      small -= MaskOf(magnitude < small_golden) & MaskOf(error > small_error);
    }
    part->sums[Comparison::kRelativeError] += SumOf(sum);
    part->counts[Comparison::kSmallErrors] += CountOf(small);
    return MaximumOf(maximum);
  });
  double& maximum = part->maxima[Comparison::kLargestRelativeError];
  maximum = std::max(maximum, largest);
  if (largest <= limits.far) return;
  for (std::size_t i = 0; i < count; ++i) {
    const double magnitude = tile.magnitude[i];
    if (relative_error(tile.error[i], magnitude) <= limits.far) continue;
    if (magnitude < limits.small_golden) continue;
    const bool cancelled =
        magnitude < limits.cancelled && std::fabs(tile.actual[i]) < limits.cancelled;
    ++part->counts[cancelled ? Comparison::kCancelledErrors : Comparison::kFarErrors];
  }
}

// Adds the elements beyond each tolerance and limit. None can be where the largest error of the
// tile is below what any element may have.
void AddTolerances(const Tile& tile, std::size_t count, const ElementLimits& limits,
                   const Format& format, Comparison* part) {
  const double largest = Vectorised([=, &tile] {
    Lanes maximum{};
    for (std::size_t i = 0; i < count; i += kLanes)
      maximum = MaxOf(maximum, LoadLanes(&tile.error[i]));
    return MaximumOf(maximum);
  });
  for (std::size_t k = 0; k < limits.tolerances.size(); ++k) {
    if (largest <= limits.tolerances[k].absolute) continue;
    Vectorised([=, &tile, tolerance = limits.tolerances[k]] {
      LaneMask beyond{};
      for (std::size_t i = 0; i < count; i += kLanes) {
        const Lanes error = LoadLanes(&tile.error[i]), magnitude = LoadLanes(&tile.magnitude[i]);
        beyond -= MaskOf(error > tolerance.absolute + tolerance.relative * magnitude);
      }
      part->counts[Comparison::kBeyondMixed + k] += CountOf(beyond);
    });
  }
  for (std::size_t k = 0; k < limits.errors.size(); ++k) {
    if (largest <= limits.errors[k]) continue;
    Vectorised([=, &tile, limit = limits.errors[k], ulps = 32 * format.ulp,
                smallest_normal = format.smallest_normal] {
      constexpr std::uint64_t kExponent = std::uint64_t{0x7ff} << 52;
      LaneMask beyond{};
      for (std::size_t i = 0; i < count; i += kLanes) {
        const Lanes error = LoadLanes(&tile.error[i]), magnitude = LoadLanes(&tile.magnitude[i]);
        const auto power = std::bit_cast<Lanes>(std::bit_cast<LaneBits>(magnitude) & kExponent);
        const Lanes least = MaxOf(power, Broadcast(smallest_normal)) * ulps;
        beyond -= MaskOf(error > MaxOf(least, Broadcast(limit)));
      }
      part->counts[Comparison::kBeyondMixedLimit + k] += CountOf(beyond);
    });
  }
}

void AddDifferences(const Tile& tile, std::size_t count, const ElementLimits& limits,
                    Comparison* part) {
  Vectorised([=, &tile, limit = limits.benchdnn] {
    constexpr double kTiny = 1e-5, kFloat32Epsilon = 0x1p-23;
    LaneMask benchdnn{}, different{};
    for (std::size_t i = 0; i < count; i += kLanes) {
      const Lanes actual = LoadLanes(&tile.actual[i]), golden = LoadLanes(&tile.golden[i]);
      const Lanes error = LoadLanes(&tile.error[i]), magnitude = LoadLanes(&tile.magnitude[i]);
      const LaneMask tiny = MaskOf(magnitude <= kTiny);
      const Lanes allowed = limit * (tiny ? Broadcast(1) : magnitude);
      benchdnn -= MaskOf(error > allowed) & ~(tiny & MaskOf(error < kFloat32Epsilon));
      different -= MaskOf(std::bit_cast<LaneBits>(actual) != std::bit_cast<LaneBits>(golden));
    }
    part->counts[Comparison::kBenchdnnErrors] += CountOf(benchdnn);
    part->counts[Comparison::kDifferent] += CountOf(different);
  });
}

void AddSums(const Tile& tile, std::size_t count, const ElementLimits& limits, Comparison* part) {
  Vectorised([=, &tile, absolute = limits.diff3_absolute] {
    Lanes error_sum{}, error_squared{}, golden_sum{}, golden_squared{}, actual_squared{}, product{};
    Lanes diff3{};
    for (std::size_t i = 0; i < count; i += kLanes) {
      const Lanes actual = LoadLanes(&tile.actual[i]), golden = LoadLanes(&tile.golden[i]);
      const Lanes error = LoadLanes(&tile.error[i]), magnitude = LoadLanes(&tile.magnitude[i]);
      error_sum += error;
      error_squared += error * error;
      golden_sum += magnitude;
      golden_squared += golden * golden;
      actual_squared += actual * actual;
      product += actual * golden;
      diff3 = MaxOf(diff3, error / (magnitude < absolute ? Broadcast(1) : magnitude + 1e-9));
    }
    part->sums[Comparison::kError] += SumOf(error_sum);
    part->sums[Comparison::kErrorSquared] += SumOf(error_squared);
    part->sums[Comparison::kGolden] += SumOf(golden_sum);
    part->sums[Comparison::kGoldenSquared] += SumOf(golden_squared);
    part->sums[Comparison::kActualSquared] += SumOf(actual_squared);
    part->sums[Comparison::kProduct] += SumOf(product);
    double& maximum = part->maxima[Comparison::kLargestDiff3];
    maximum = std::max(maximum, MaximumOf(diff3));
  });
}

// Adds the counts and maxima of `part` to `total`, not the sums.
void Merge(const Comparison& part, Comparison* total) {
  total->elements += part.elements;
  for (std::size_t k = 0; k < Comparison::kCounts; ++k) total->counts[k] += part.counts[k];
  for (std::size_t k = 0; k < Comparison::kMaxima; ++k) {
    total->maxima[k] = std::max(total->maxima[k], part.maxima[k]);
  }
}

}  // namespace

OutputComparison::OutputComparison(const HostTensor& actual, const ElementLimits& limits)
    : actual_(actual), limits_(limits) {}

void OutputComparison::Consume(const ReferenceBlock& block) {
  if (block.value.empty()) return;
  const Format format = FormatOf(actual_.dtype);
  Comparison part;
  part.elements = block.value.size();
  Tile tile;  // NOLINT(cppcoreguidelines-pro-type-member-init): filled as far as it is read
  for (std::size_t first = 0; first < block.value.size(); first += kTile) {
    const std::size_t count = std::min(kTile, block.value.size() - first);
    const double* const reference = block.value.data() + first;
    LoadAll(actual_.dtype, actual_.data + (block.first + first) * SizeOf(actual_.dtype), count,
            tile.actual.data());
    RoundAll(actual_.dtype, reference, count, tile.golden.data());
    std::size_t padded = count;
    for (; padded % kLanes != 0; ++padded) tile.actual[padded] = tile.golden[padded] = 0;
    const bool finite = SetErrors(padded, &tile);
    std::vector<std::size_t> lone;
    if (!finite) lone = SetAside(reference, count, format.largest, &tile, &part);
    AddRelativeErrors(tile, padded, limits_, &part);
    for (const std::size_t i : lone) SetPair(0, 0, i, &tile);
    AddTolerances(tile, padded, limits_, format, &part);
    AddDifferences(tile, padded, limits_, &part);
    AddSums(tile, padded, limits_, &part);
  }
  Slot& slot = slots_[std::hash<std::thread::id>{}(std::this_thread::get_id()) % slots_.size()];
  const std::lock_guard lock(slot.mutex);
  Merge(part, &slot.comparison);
  if (slot.sums == nullptr) slot.sums = std::make_unique<Sums>();
  for (std::size_t k = 0; k < Comparison::kSums; ++k) (*slot.sums)[k].Add(part.sums[k]);
}

Comparison OutputComparison::Total() const {
  Comparison total;
  Sums sums;
  for (const Slot& slot : slots_) {
    const std::lock_guard lock(slot.mutex);
    if (slot.sums == nullptr) continue;
    Merge(slot.comparison, &total);
    for (std::size_t k = 0; k < Comparison::kSums; ++k) sums[k].Add((*slot.sums)[k]);
  }
  for (std::size_t k = 0; k < Comparison::kSums; ++k) total.sums[k] = sums[k].Value();
  return total;
}

}  // namespace normgrad
