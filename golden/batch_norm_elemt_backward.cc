// SPDX-License-Identifier: Apache-2.0
// float64 reference of aclnnBatchNormElemtBackward; symbols as in
// src/ops/batch_norm_elemt_backward.cc.
//
//   forward   mean, var over N and S,   invstd = 1 / sqrt(var + eps)
//             y = (input - mean) * invstd * weight
//   sums      n = sum over K of counter, as if so many elements had been reduced
//             sumDy = n * mean of gradOut,   sumDyXmu = n * mean of gradOut * (input - mean)
//   backward  gradInput = (gradOut - sumDy / n - (input - mean) * invstd^2 * (sumDyXmu / n))
//                         * invstd * weight
//
// Roundings of a float32 evaluation, u = 2^-24 each (numbers for the centred / expanded profile): 9
// (10) of them, plus 1 (2) in reserve, act on
//   |invstd * weight| * (|gradOut| + |sumDy / n| + X * |invstd^2 * sumDyXmu / n|)
// with X = |input - mean| (|input| + |mean|). n is exact where every order of adding is; else every
// element of counter adds a rounding.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include "golden/definition.h"
#include "golden/normalisation.h"
#include "golden/oracle.h"
#include "golden/partition.h"
#include "ops/operators.h"

namespace normgrad {
namespace {

// Indices into Operator::params.
enum : std::size_t {
  kGradOut,
  kInput,
  kMean,
  kInvstd,
  kWeight,
  kSumDy,
  kSumDyXmu,
  kCounter,
  kGradInput
};

Normalisation CallOf(const Dims& dims, std::span<const HostTensor> tensors) {
  const Deal channels{Count("*S", dims), Count("C", dims)};
  return {.tensors = tensors,
          .dy = kGradOut,
          .x = kInput,
          .mean = kMean,
          .rstd = kInvstd,
          .scale = kWeight,
          .dx = kGradInput,
          .sets = channels,
          .scales = channels,
          .elements = Count("N C *S", dims)};
}

// The sum of counter, and how often float32 rounds it.
struct Counted {
  DoubleDouble n;
  double roundings = 0;
};

Counted CountedBy(const Normalisation& call) {
  const HostTensor& counter = call.tensors[kCounter];
  std::vector<double> counts(ElementCount(counter.shape));
  call.Load(kCounter, 0, counts.size(), counts.data());
  DotSum sum;
  sum.AddTerms(counts.data(), counts.size());
  const Totals totals = sum.Get();
  Counted counted{totals.value, 0};
  if (!std::isfinite(totals.magnitude)) {
    counted.n = {std::accumulate(counts.begin(), counts.end(), 0.0), 0};
    return counted;
  }
  // Whole numbers below 2^24 add exactly in any order, as integers and as float32.
  const bool whole = std::ranges::all_of(counts, [](double c) { return c == std::trunc(c); });
  if (whole && totals.magnitude <= 0x1p24) return counted;
  // Otherwise each element is converted or added once, which moves n by at most the sum of
  // magnitudes each time.
  counted.roundings = static_cast<double>(counts.size()) *
                      std::max(totals.magnitude / std::fabs(totals.value.high), 1.0);
  return counted;
}

std::vector<std::vector<double>> Statistics(const Dims& dims, double eps,
                                            std::span<const HostTensor> tensors, unsigned threads) {
  const Normalisation call = CallOf(dims, tensors);
  std::vector<std::vector<double>> statistics = StatisticsOf(call, eps, threads);
  const double n = CountedBy(call).n.high;
  const auto size = static_cast<double>(std::max<std::size_t>(call.SetSize(), 1));
  std::vector<double> sum_dy(call.sets.count), sum_dy_xmu(call.sets.count);
  ForEachRowGroup(call.sets.count, call.SetSize(), threads, [&](Range channels) {
    std::vector<double> dy(kTile), x(kTile);
    for (std::size_t i = 0; i < channels.count; ++i) {
      const std::size_t channel = channels.first + i;
      const double mean = statistics[0][channel];
      DotSum terms, products;
      ForEachTile(
          call.sets, call.elements, channel,
          [&](std::size_t first, std::size_t count, std::size_t place) {
            call.Load(kGradOut, first, count, dy.data() + place);
            call.Load(kInput, first, count, x.data() + place);
          },
          [&](std::size_t count) {
            for (std::size_t k = 0; k < count; ++k) x[k] -= mean;
            terms.AddTerms(dy.data(), count);
            products.AddProducts(x.data(), dy.data(), count);
          });
      sum_dy[channel] = Divide(Multiply(terms.Get().value, n), {size, 0}).high;
      sum_dy_xmu[channel] = Divide(Multiply(products.Get().value, n), {size, 0}).high;
    }
  });
  statistics.push_back(std::move(sum_dy));
  statistics.push_back(std::move(sum_dy_xmu));
  return statistics;
}

std::vector<double> Forward(const Dims& dims, double eps, std::span<const HostTensor> tensors) {
  return ForwardOf(CallOf(dims, tensors), eps);
}

// What the elements of one channel share.
struct Channel {
  Line line;
  double invstd = 0, weight = 0, sum_dy = 0, sum_dy_xmu = 0;  // magnitudes
  bool finite = false;
};

Channel MakeChannel(const Normalisation& call, DoubleDouble n, std::size_t index) {
  const double mean = call.At(kMean, index, 0), invstd = call.At(kInvstd, index, 0);
  const double weight = call.At(kWeight, index, 1), sum_dy = call.At(kSumDy, index, 0);
  const double sum_dy_xmu = call.At(kSumDyXmu, index, 0);
  Channel channel{
      {}, std::fabs(invstd), std::fabs(weight), std::fabs(sum_dy), std::fabs(sum_dy_xmu), false};
  Line& line = channel.line;
  line.factor = invstd * weight;
  line.mean = mean;
  const auto mean_of = [n](DoubleDouble sum) {
    return std::isinf(n.high) ? DoubleDouble{sum.high / n.high, 0} : Divide(sum, n);
  };
  line.offset = mean_of({sum_dy, 0});
  line.slope = mean_of(Multiply(Multiply({sum_dy_xmu, 0}, invstd), invstd));
  channel.finite = std::isfinite(mean) && std::isfinite(line.factor) &&
                   std::isfinite(line.offset.high) && std::isfinite(line.slope.high);
  if (!channel.finite) line.factor = std::numeric_limits<double>::quiet_NaN();
  return channel;
}

// Largest magnitudes of some elements.
struct Magnitudes {
  double dy = 0, x = 0;
};

// Every place where a device may drop a subnormal input or result, carried to gradInput, in units
// of its smallest normal number.
double Flush(const Channel& channel, const Magnitudes& largest) {
  const Line& line = channel.line;
  const double reach = largest.x + std::fabs(line.mean), slope = std::fabs(line.slope.high);
  const double sum = largest.dy + std::fabs(line.offset.high) + reach * slope;
  return 8 * (1 + std::fabs(line.factor) * (1 + slope) * (1 + reach) +
              sum * (1 + channel.invstd + channel.weight) + channel.invstd * channel.invstd);
}

// No intermediate of the arrangements in use exceeds this: any factors may be multiplied first.
double LargestIntermediate(const Channel& channel, const Magnitudes& largest, DoubleDouble n) {
  const double invstd = std::max(channel.invstd, 1.0), share = std::max(1 / std::fabs(n.high), 1.0);
  const double reach = std::max(largest.x + std::fabs(channel.line.mean), 1.0);
  return invstd * invstd * invstd * std::max(channel.weight, 1.0) *
         std::max({largest.dy, share * channel.sum_dy, reach * share * channel.sum_dy_xmu, 1.0});
}

// Stretches of one channel each, as many as fill a tile; a long one by itself, tile by tile.
class StretchPass {
 public:
  StretchPass(const Normalisation& call, Profile profile,
              const std::function<void(const ReferenceBlock&)>& consume)
      : call_(call), profile_(profile), consume_(consume), counted_(CountedBy(call)) {
    channels_.reserve(call.sets.count);
    for (std::size_t i = 0; i < call.sets.count; ++i) {
      channels_.push_back(MakeChannel(call, counted_.n, i));
    }
  }

  void Stream(Range elements) const {
    std::vector<double> dy(kTile), x(kTile), reach(kTile), value(kTile), local(kTile);
    const std::size_t end = elements.first + elements.count, length = call_.sets.length;
    for (std::size_t first = elements.first; first < end; first += kTile) {
      const std::size_t count = std::min(kTile, end - first);
      call_.Load(kGradOut, first, count, dy.data());
      call_.Load(kInput, first, count, x.data());
      const Magnitudes largest{MaxMagnitude({dy.data(), count}), MaxMagnitude({x.data(), count})};
      ReferenceBlock block;
      block.param = call_.dx;
      block.first = first;
      block.roundings = RoundingsOf(profile_).local + counted_.roundings;
      for (std::size_t i = 0; i < count;) {
        const std::size_t stretch = std::min(count - i, length - (first + i) % length);
        const Channel& channel = channels_[call_.sets.OwnerOf(first + i)];
        ReachOf(profile_, channel.line.mean, x.data() + i, stretch, reach.data() + i);
        channel.line.Evaluate(dy.data() + i, x.data() + i, reach.data() + i, stretch,
                              value.data() + i, local.data() + i);
        if (channel.finite) {
          block.flush = std::max(block.flush, Flush(channel, largest));
          block.may_overflow |=
              !(LargestIntermediate(channel, largest, counted_.n) < kLargestIntermediate);
        }
        i += stretch;
      }
      block.value = {value.data(), count};
      block.local = {local.data(), count};
      consume_(block);
    }
  }

 private:
  const Normalisation& call_;
  Profile profile_;
  const std::function<void(const ReferenceBlock&)>& consume_;
  Counted counted_;
  std::vector<Channel> channels_;
};

void Reference(const Dims& dims, std::span<const HostTensor> tensors, Profile profile,
               unsigned threads, const std::function<void(const ReferenceBlock&)>& consume) {
  const Normalisation call = CallOf(dims, tensors);
  if (call.elements == 0 || !call.Has(call.dx)) return;
  const StretchPass pass(call, profile, consume);
  // Blocks of a tile need not begin where a stretch does: a row of one element can be cut anywhere.
  ForEachRowGroup(call.elements, 1, threads, [&](Range elements) { pass.Stream(elements); });
}

double Element(const Dims& dims, std::span<const HostTensor> tensors, std::size_t /*param*/,
               std::size_t index) {
  const Elements at(tensors);
  const std::size_t channel = index / Count("*S", dims) % Count("C", dims);
  Extended counted = 0;
  for (std::size_t k = 0; k < Count("*K", dims); ++k) counted += at(kCounter, k);
  const Extended invstd = at(kInvstd, channel);
  const Extended slope = invstd * invstd * (at(kSumDyXmu, channel) / counted);
  const Extended shift = at(kInput, index) - at(kMean, channel);
  return static_cast<double>((at(kGradOut, index) - at(kSumDy, channel) / counted - shift * slope) *
                             invstd * at(kWeight, channel));
}

constexpr std::pair<std::string_view, std::string_view> kGradients[] = {{"gradInput", "input"}};

}  // namespace

constinit const Oracle kBatchNormElemtBackwardOracle = {
    .name = "batch_norm_elemt_backward",
    .call = CallOf,
    .statistics = Statistics,
    .reference = Reference,
    .element = Element,
    .forward = Forward,
    .gradients = kGradients,
};

}  // namespace normgrad
