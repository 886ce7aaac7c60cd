// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "checks/derived.h"
#include "checks/relations.h"
#include "checks/stretch.h"

namespace normgrad {
namespace {

/// 1/deviation is multiplied by itself on the way to dx, up to three times.
constexpr double kLeastDeviation = 0x1p-30, kMostDeviation = 0x1p30;
/// Products of so many inputs: from the least of them float32 still has room for 24 bits, another
/// input and a power of two.
constexpr std::size_t kFactors = 4;
constexpr double kLeastProduct = 0x1p-90, kMostProduct = 0x1p90;

/// What stands behind the last of the elements that are compared.
constexpr double kNotCompared = std::numeric_limits<double>::quiet_NaN();

/// By which power of 2^k each part is multiplied, and what becomes of the outputs.
struct Scaling {
  std::string_view name;
  Part needs;  // makes sense only where the case uses it
  std::span<const std::pair<Part, int>> powers;
};

constexpr std::pair<Part, int> kDyPowers[] = {{Part::kDy, 1},       {Part::kSumDy, 1},
                                              {Part::kSumDyXmu, 1}, {Part::kDx, 1},
                                              {Part::kDgamma, 1},   {Part::kDbeta, 1}};
constexpr std::pair<Part, int> kXPowers[] = {
    {Part::kX, 1}, {Part::kMean, 1}, {Part::kDeviation, -1}, {Part::kSumDyXmu, 1}, {Part::kDx, -1}};
constexpr std::pair<Part, int> kGammaPowers[] = {{Part::kGamma, 1}, {Part::kDx, 1}};

constexpr Scaling kScalings[] = {
    {"scaling dy", Part::kDy, kDyPowers},
    {"scaling x", Part::kX, kXPowers},
    {"scaling gamma", Part::kGamma, kGammaPowers},
};

int PowerOf(const Scaling& scaling, Part part) {
  const auto found = std::ranges::find(scaling.powers, part, &std::pair<Part, int>::first);
  return found == scaling.powers.end() ? 0 : found->second;
}

/// The magnitudes between which all elements of a tensor lie that are not zero, and 1, as fewer
/// inputs may be multiplied.
struct Magnitudes {
  double least = 1, most = 1;
};

Magnitudes MagnitudesOf(const HostTensor& tensor, unsigned threads) {
  std::mutex mutex;
  Magnitudes all;
  ForEachRowGroup(ElementCount(tensor.shape), 1, threads, [&](Range range) {
    Stretch values;
    Magnitudes some;
    ForEachStretch(range.first, range.count, [&](std::size_t first, std::size_t count) {
      LoadStretch(tensor, first, count, 0, &values);
      Vectorised([=, &some, at = values.data()] {
        const Lanes one = Broadcast(1),
                    infinity = Broadcast(std::numeric_limits<double>::infinity());
        Lanes least = one, most = one;
        for (std::size_t i = 0; i < count; i += kLanes) {
          const Lanes value = LoadLanes(at + i), magnitude = AbsOf(value);
          least = MaskOf(magnitude < least) & MaskOf(value != 0) ? magnitude : least;
          most = MaxOf(most, value == value ? magnitude : infinity);
        }
        for (std::size_t k = 0; k < kLanes; ++k) {
          some.least = std::min(some.least, least[k]);
          some.most = std::max(some.most, most[k]);
        }
      });
    });
    const std::lock_guard lock(mutex);
    all.least = std::min(all.least, some.least);
    all.most = std::max(all.most, some.most);
  });
  return all;
}

/// Why some input, or product of inputs, may be too near the edges of float32 for exact relations;
/// empty when none is. One tiny element among many is no reason: what it is multiplied into is
/// added to more.
std::string NearTheEdges(const CaseRun& run, unsigned threads) {
  using Extreme = std::pair<double, std::string_view>;
  std::vector<Extreme> least, most;
  const auto deviation = FindPart(run.the_case(), Part::kDeviation);
  const auto say = [](const Extreme& extreme) {
    const auto& [value, name] = extreme;
    if (!std::isfinite(value)) return fmt::format("{} has elements that are not finite", name);
    return fmt::format("{} holds {:.3g}: something may leave the range of float32", name, value);
  };
  for (std::size_t i = 0; i < run.op().params.size(); ++i) {
    const Bytes& elements = run.inputs()->tensors[i];
    if (elements.empty()) continue;
    const Magnitudes magnitudes = MagnitudesOf(AsHostTensor(run.the_case(), i, elements), threads);
    least.emplace_back(magnitudes.least, run.op().params[i].name);
    most.emplace_back(magnitudes.most, run.op().params[i].name);
    if (deviation != i) continue;
    if (magnitudes.least < kLeastDeviation) return say(least.back());
    if (magnitudes.most > kMostDeviation) return say(most.back());
  }
  std::ranges::sort(least);
  std::ranges::sort(most, std::greater());
  for (const std::vector<Extreme>& extremes : {least, most}) {
    double product = 1;
    for (std::size_t i = 0; i < std::min(kFactors, extremes.size()); ++i) {
      product *= extremes[i].first;
    }
    if (product < kLeastProduct || product > kMostProduct) return say(extremes.front());
  }
  return "";
}

/// Every element times `factor`; nothing where that is not exact for all.
std::optional<Bytes> Times(double factor, DType dtype, const Bytes& elements, unsigned threads) {
  const std::size_t bytes = SizeOf(dtype);
  Bytes scaled(elements.size());
  std::atomic<bool> exact = true;
  const auto scale = [&](std::size_t first, std::size_t count) {
    Stretch products, stored;
    LoadAll(dtype, elements.data() + first * bytes, count, products.data());
    Vectorised([=, at = products.data()] {
      for (std::size_t i = 0; i < count; ++i) at[i] *= factor;
    });
    StoreAll(dtype, products.data(), count, scaled.data() + first * bytes);
    LoadAll(dtype, scaled.data() + first * bytes, count, stored.data());
    if (!std::equal(products.data(), products.data() + count, stored.data())) exact = false;
  };
  ForEachRowGroup(elements.size() / bytes, 1, threads,
                  [&](Range range) { ForEachStretch(range.first, range.count, scale); });
  return exact ? std::optional(std::move(scaled)) : std::nullopt;
}

/// Scaled inputs; null, and why in `*note`, where they cannot be exact.
std::shared_ptr<const CaseInputs> Scaled(const CaseRun& run, const Scaling& scaling, int k,
                                         unsigned threads, std::string* note) {
  const std::vector<Part> parts = PartsOf(run.op());
  auto scaled = std::make_shared<CaseInputs>();
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const Param& param = run.op().params[i];
    const Bytes& elements = run.inputs()->tensors[i];
    Bytes& products = scaled->tensors.emplace_back();
    if (elements.empty()) continue;
    const int power = PowerOf(scaling, parts[i]) * k;  // 0: a copy, made by all threads
    auto exact = Times(std::ldexp(1.0, power), run.the_case().DTypeOf(param), elements, threads);
    if (!exact) {
      *note = fmt::format("{} has an element that 2^{} cannot multiply exactly", param.name, power);
      return nullptr;
    }
    products = std::move(*exact);
  }
  return scaled;
}

/// Holds `is` against 2^power times `was`, both an output `name`.
void CompareScaled(std::string_view name, const HostTensor& was, const HostTensor& is, int power,
                   unsigned threads, PropertyResult* property) {
  const double factor = std::ldexp(1.0, power);
  // Results below this may have been rounded up to the smallest normal number.
  const double least = 2 * SmallestNormal(was.dtype);
  const auto compare = [&](Range range, PropertyResult* of_piece) {
    Stretch before, after, expected, rounded;
    ForEachStretch(range.first, range.count, [&](std::size_t first, std::size_t count) {
      LoadStretch(was, first, count, kNotCompared, &before);
      LoadStretch(is, first, count, kNotCompared, &after);
      Vectorised([=, from = before.data(), to = expected.data()] {
        for (std::size_t i = 0; i < Padded(count); ++i) to[i] = from[i] * factor;
      });
      RoundAll(was.dtype, expected.data(), Padded(count), rounded.data());
      const auto test = [least, old = before.data(), result = after.data(),
                         product = expected.data(), number = rounded.data()](
                            std::size_t i, LaneMask* compared, LaneMask* violated) {
        // What is none of the normal numbers was not rounded as the other.
        const auto normal = [least](Lanes value) {
          const Lanes infinity = Broadcast(std::numeric_limits<double>::infinity());
          const Lanes magnitude = AbsOf(value);
          return (MaskOf(magnitude >= least) | MaskOf(magnitude == 0)) &
                 MaskOf(magnitude < infinity);
        };
        const Lanes right = LoadLanes(product + i), actual = LoadLanes(result + i);
        *compared = normal(LoadLanes(old + i)) & normal(right) & normal(actual) &
                    MaskOf(LoadLanes(number + i) == right);
        *violated = *compared & MaskOf(actual != right);
      };
      Compare(count, test, of_piece, [&](std::size_t i) {
        return fmt::format("{}{} is {:.9g}, exactly {:.9g} is right: 2^{} times {:.9g}", name,
                           IndexText(was.shape, first + i), after[i], expected[i], power,
                           before[i]);
      });
    });
  };
  CompareInPieces(ElementCount(was.shape), 1, threads, compare, property);
}

PropertyResult CheckScaling(CaseRun& run, const Scaling& scaling, const DenseTensors& base,
                            unsigned threads) {
  PropertyResult property{.name = std::string(scaling.name), .label = "exact"};
  // Far enough to move an epsilon; float16 has no room for more.
  const bool narrow = std::ranges::any_of(run.the_case().dtypes,
                                          [](DType dtype) { return dtype == DType::kFloat16; });
  const int k = narrow ? 2 : 8;
  const auto inputs = Scaled(run, scaling, k, threads, &property.note);
  if (inputs == nullptr) return property;
  const InputsRestorer restorer(run);
  run.UseInputs(inputs);
  run.Launch(Poison::kFirst, /*deterministic=*/true);
  for (const Part part : {Part::kDx, Part::kDgamma, Part::kDbeta}) {
    const auto index = FindPart(run.the_case(), part);
    if (!index) continue;
    const Bytes output = run.Output(*index);
    CompareScaled(run.op().params[*index].name, AsHostTensor(run.the_case(), *index, base[*index]),
                  AsHostTensor(run.the_case(), *index, output), k * PowerOf(scaling, part), threads,
                  &property);
  }
  return property;
}

}  // namespace

std::vector<PropertyResult> ExactRelations(CaseRun& run, const DenseTensors& base,
                                           unsigned threads) {
  const std::string near = NearTheEdges(run, threads);
  std::vector<PropertyResult> properties;
  for (const Scaling& scaling : kScalings) {
    if (!FindPart(run.the_case(), scaling.needs)) continue;
    properties.push_back(
        near.empty()
            ? CheckScaling(run, scaling, base, threads)
            : PropertyResult{.name = std::string(scaling.name), .label = "exact", .note = near});
  }
  return properties;
}

}  // namespace normgrad
