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

namespace normgrad {
namespace {

constexpr std::size_t kTile = 512;  // elements at a time: four arrays of 4 KiB
constexpr std::size_t kLanes = 8;

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
  void (*round)(const double* in, std::size_t count, double* out);
};

// Rounds to nearest, ties to even, as Round() does. Branch-free, so that the loop vectorises.
template <int kFractionBits, int kMinExponent>
void RoundEach(const double* in, std::size_t count, double* out) {
  constexpr int kDropped = 52 - kFractionBits;
  constexpr std::uint64_t kMask = (std::uint64_t{1} << kDropped) - 1;
  // Adding it leaves no bits below those of a subnormal number.
  constexpr double kShift = PowerOfTwo(kMinExponent - kFractionBits + 52);
  constexpr double kOverflow = PowerOfTwo(2 - kMinExponent);
  for (std::size_t i = 0; i < count; ++i) {
    const double magnitude = std::fabs(in[i]);
    const auto bits = std::bit_cast<std::uint64_t>(magnitude);
    const std::uint64_t even = (bits >> kDropped) & 1;
    const auto normal = std::bit_cast<double>((bits + (kMask >> 1) + even) & ~kMask);
    const double subnormal = (magnitude + kShift) - kShift;
    double rounded = magnitude < PowerOfTwo(kMinExponent) ? subnormal : normal;
    rounded = rounded >= kOverflow ? std::numeric_limits<double>::infinity() : rounded;
    out[i] = std::copysign(magnitude == magnitude ? rounded : magnitude, in[i]);
  }
}

template <int kFractionBits, int kMinExponent>
Format BinaryFormat() {
  return {PowerOfTwo(kMinExponent),
          PowerOfTwo(2 - kMinExponent) * (1 - PowerOfTwo(-kFractionBits - 1)),
          PowerOfTwo(-kFractionBits), RoundEach<kFractionBits, kMinExponent>};
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

// The sum of term(i) over i < count, a multiple of kLanes.
template <typename Term>
double SumOver(std::size_t count, Term term) {
  std::array<double, kLanes> lanes{};
  for (std::size_t i = 0; i < count; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) lanes[lane] += term(i + lane);
  }
  for (std::size_t half = kLanes / 2; half > 0; half /= 2) {
    for (std::size_t lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
  }
  return lanes[0];
}

template <typename Holds>
std::uint64_t CountOver(std::size_t count, Holds holds) {
  return static_cast<std::uint64_t>(
      SumOver(count, [&](std::size_t i) { return holds(i) ? 1.0 : 0.0; }));
}

template <typename Term>
double MaximumOver(std::size_t count, Term term) {
  std::array<double, kLanes> lanes{};
  for (std::size_t i = 0; i < count; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const double value = term(i + lane);
      lanes[lane] = value > lanes[lane] ? value : lanes[lane];
    }
  }
  return *std::ranges::max_element(lanes);
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
// maximum, and the elements far off by the domain they lie in.
void AddRelativeErrors(const Tile& tile, std::size_t count, const ElementLimits& limits,
                       Comparison* part) {
  std::array<double, kTile> relative;  // NOLINT(cppcoreguidelines-pro-type-member-init)
  for (std::size_t i = 0; i < count; ++i) {
    relative[i] = tile.error[i] / (tile.magnitude[i] + 1e-7);
  }
  part->sums[Comparison::kRelativeError] +=
      SumOver(count, [&](std::size_t i) { return relative[i]; });
  const double largest = MaximumOver(count, [&](std::size_t i) { return relative[i]; });
  double& maximum = part->maxima[Comparison::kLargestRelativeError];
  maximum = std::max(maximum, largest);
  part->counts[Comparison::kSmallErrors] += CountOver(count, [&](std::size_t i) {
    return (tile.magnitude[i] < limits.small_golden) & (tile.error[i] > limits.small_error);
  });
  if (largest <= limits.far) return;
  for (std::size_t i = 0; i < count; ++i) {
    if (relative[i] <= limits.far || tile.magnitude[i] < limits.small_golden) continue;
    const bool cancelled =
        tile.magnitude[i] < limits.cancelled && std::fabs(tile.actual[i]) < limits.cancelled;
    ++part->counts[cancelled ? Comparison::kCancelledErrors : Comparison::kFarErrors];
  }
}

void AddTolerances(const Tile& tile, std::size_t count, const ElementLimits& limits,
                   const Format& format, Comparison* part) {
  for (std::size_t k = 0; k < limits.tolerances.size(); ++k) {
    const Tolerance tolerance = limits.tolerances[k];
    part->counts[Comparison::kBeyondMixed + k] += CountOver(count, [&](std::size_t i) {
      return tile.error[i] > tolerance.absolute + tolerance.relative * tile.magnitude[i];
    });
  }
  for (std::size_t k = 0; k < limits.errors.size(); ++k) {
    const double limit = limits.errors[k];
    part->counts[Comparison::kBeyondMixedLimit + k] += CountOver(count, [&](std::size_t i) {
      constexpr std::uint64_t kExponent = std::uint64_t{0x7ff} << 52;
      const auto power =
          std::bit_cast<double>(std::bit_cast<std::uint64_t>(tile.magnitude[i]) & kExponent);
      const double ulps = std::max(power, format.smallest_normal) * (32 * format.ulp);
      return tile.error[i] > std::max(limit, ulps);
    });
  }
  part->counts[Comparison::kBenchdnnErrors] += CountOver(count, [&](std::size_t i) {
    constexpr double kTiny = 1e-5, kFloat32Epsilon = 0x1p-23;
    const bool tiny = tile.magnitude[i] <= kTiny;
    const double allowed = limits.benchdnn * (tiny ? 1.0 : tile.magnitude[i]);
    return (tile.error[i] > allowed) & !(tiny & (tile.error[i] < kFloat32Epsilon));
  });
  part->counts[Comparison::kDifferent] += CountOver(count, [&](std::size_t i) {
    return std::bit_cast<std::uint64_t>(tile.actual[i]) !=
           std::bit_cast<std::uint64_t>(tile.golden[i]);
  });
}

void AddSums(const Tile& tile, std::size_t count, const ElementLimits& limits, Comparison* part) {
  const auto add = [&](Comparison::Sum sum, auto term) { part->sums[sum] += SumOver(count, term); };
  add(Comparison::kError, [&](std::size_t i) { return tile.error[i]; });
  add(Comparison::kErrorSquared, [&](std::size_t i) { return tile.error[i] * tile.error[i]; });
  add(Comparison::kGolden, [&](std::size_t i) { return tile.magnitude[i]; });
  add(Comparison::kGoldenSquared, [&](std::size_t i) { return tile.golden[i] * tile.golden[i]; });
  add(Comparison::kActualSquared, [&](std::size_t i) { return tile.actual[i] * tile.actual[i]; });
  add(Comparison::kProduct, [&](std::size_t i) { return tile.actual[i] * tile.golden[i]; });
  double& diff3 = part->maxima[Comparison::kLargestDiff3];
  diff3 = std::max(diff3, MaximumOver(count, [&](std::size_t i) {
                     const bool absolute = tile.magnitude[i] < limits.diff3_absolute;
                     return tile.error[i] / (absolute ? 1.0 : tile.magnitude[i] + 1e-9);
                   }));
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
    format.round(reference, count, tile.golden.data());
    std::size_t padded = count;
    for (; padded % kLanes != 0; ++padded) tile.actual[padded] = tile.golden[padded] = 0;
    for (std::size_t i = 0; i < padded; ++i) {
      tile.magnitude[i] = std::fabs(tile.golden[i]);
      tile.error[i] = std::fabs(tile.actual[i] - tile.golden[i]);
    }
    constexpr double kLargest = std::numeric_limits<double>::max();
    const bool finite =
        CountOver(padded, [&](std::size_t i) { return !(tile.error[i] <= kLargest); }) == 0;
    std::vector<std::size_t> lone;
    if (!finite) lone = SetAside(reference, count, format.largest, &tile, &part);
    AddRelativeErrors(tile, padded, limits_, &part);
    for (const std::size_t i : lone) SetPair(0, 0, i, &tile);
    AddTolerances(tile, padded, limits_, format, &part);
    AddSums(tile, padded, limits_, &part);
  }
  Slot& slot = slots_[std::hash<std::thread::id>{}(std::this_thread::get_id()) % slots_.size()];
  const std::lock_guard lock(slot.mutex);
  Merge(part, &slot.comparison);
  for (std::size_t k = 0; k < Comparison::kSums; ++k) slot.sums[k].Add(part.sums[k]);
}

Comparison OutputComparison::Total() const {
  Comparison total;
  std::array<ExactSum, Comparison::kSums> sums;
  for (const Slot& slot : slots_) {
    const std::lock_guard lock(slot.mutex);
    Merge(slot.comparison, &total);
    for (std::size_t k = 0; k < Comparison::kSums; ++k) sums[k].Add(slot.sums[k]);
  }
  for (std::size_t k = 0; k < Comparison::kSums; ++k) total.sums[k] = sums[k].Value();
  return total;
}

}  // namespace normgrad
