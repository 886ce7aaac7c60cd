// SPDX-License-Identifier: Apache-2.0
// Kernels that are right but for one thing, and kernels that are right in their own way.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "kernels/faulty/catalogue.h"

namespace normgrad::faulty {
namespace {

constexpr const char* kRows = "rms_norm_grad layer_norm_backward";
constexpr const char* kCentred =
    "layer_norm_backward group_norm_backward batch_norm_elemt_backward";
constexpr const char* kBiased = "layer_norm_backward group_norm_backward";
constexpr const char* kGroup = "group_norm_backward";
constexpr const char* kBatch = "batch_norm_elemt_backward";
constexpr const char* kRms = "rms_norm_grad";
constexpr const char* kLayer = "layer_norm_backward";

constexpr Entry Modelled(const char* kind, const char* name, const char* operators,
                         const char* what, Twist twist, const char* shows = "",
                         const char* museum = "") {
  return {
      .text = {name, kind, museum, operators, shows, "accuracy", kModelTwin, what, kModelPromises},
      .modelled = true,
      .recipe = {.twist = twist}};
}

float Narrowed(DType dtype, float value) { return static_cast<float>(Round(dtype, double{value})); }

void Narrow(DType dtype, Floats* values) {
  for (float& value : *values) value = Narrowed(dtype, value);
}

void TurnLeft(Floats* values) {
  if (!values->empty()) std::rotate(values->begin(), values->begin() + 1, values->end());
}

/// Each of in.sets sets takes the statistics of set source(set).
template <typename Source>
void TakeStatistics(Inputs& in, Source source) {
  const auto taken = [&](const Floats& from) {
    Floats to(in.sets);
    for (std::size_t set = 0; set < to.size(); ++set) to[set] = from[source(set)];
    return to;
  };
  in.mean = taken(in.mean);
  in.rstd = taken(in.rstd);
}

/// Drops the terms whose position in the sum `drops`.
template <typename Drops>
void DropTerms(Addends& sum, Drops drops) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < sum.terms.size(); ++i) {
    if (drops(i)) continue;
    sum.terms[kept] = sum.terms[i];
    sum.elements[kept++] = sum.elements[i];
  }
  sum.terms.resize(kept);
  sum.elements.resize(kept);
}

float XhatOf(const Inputs& in, std::size_t element, std::size_t set) {
  return (in.x[element] - in.mean[set]) * in.rstd[set];
}

/// The term of `element` in the sum of a set.
float TermOf(const Inputs& in, const Addends& sum, std::size_t element, float p) {
  return sum.what == SumOf::kTerms ? p : p * XhatOf(in, element, sum.index);
}

std::size_t Groups(const Inputs& in) { return static_cast<std::size_t>(in.Extent("G")); }

/// Rows that one scale's sum has a run of elements from.
std::size_t Rows(const Inputs& in) { return in.dy.size() / (in.run * in.scales); }

void StepBits(DType dtype, std::byte* element, int by) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, element, SizeOf(dtype));
  bits += static_cast<std::uint32_t>(by);
  std::memcpy(element, &bits, SizeOf(dtype));
}

void StoreTruncated(DType dtype, float value, std::byte* element) {
  Store(dtype, double{value}, element);
  if (std::fabs(Load(dtype, element)) > std::fabs(double{value})) StepBits(dtype, element, -1);
}

/// Ties go away from zero.
void StoreHalfAway(const Param&, DType dtype, float value, std::byte* element) {
  Store(dtype, double{value}, element);
  const auto [low, high] = RoundingPreimage(dtype, element);
  const bool tie = double{value} == low || double{value} == high;
  if (tie && std::fabs(Load(dtype, element)) < std::fabs(double{value})) {
    StepBits(dtype, element, 1);
  }
}

/// Through a format with two bits more.
void StoreRoundedTwice(const Param&, DType dtype, float value, std::byte* element) {
  if (SizeOf(dtype) != 2 || !std::isfinite(value)) return Store(dtype, double{value}, element);
  const int bits = (dtype == DType::kFloat16 ? 11 : 8) + 2;
  int exponent = 0;
  const double significand = std::frexp(double{value}, &exponent);
  const double once = std::nearbyint(std::ldexp(significand, bits));
  Store(dtype, std::ldexp(once, exponent - bits), element);
}

void StoreRoundedBits(const Param&, DType dtype, float value, std::byte* element) {
  if (dtype != DType::kBFloat16) return Store(dtype, double{value}, element);
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto rounded = static_cast<std::uint16_t>((bits + 0x7FFF + (bits >> 16) % 2) >> 16);
  std::memcpy(element, &rounded, sizeof rounded);
}

constexpr Entry kFormula[] = {
    Modelled("formula", "mean-twice", kCentred, "the mean of dy*gamma is subtracted twice",
             {.states =
                  [](const Inputs&, std::span<SetState> states) {
                    for (SetState& state : states) state.terms *= 2;
                  }},
             "dy*gamma with a mean", "1"),
    Modelled("formula", "mean-forgotten", kCentred, "the mean of dy*gamma is not subtracted",
             {.states =
                  [](const Inputs&, std::span<SetState> states) {
                    for (SetState& state : states) state.terms = 0;
                  }},
             "dy*gamma with a mean"),
    Modelled("formula", "projection-forgotten", kEveryOperator,
             "the mean of dy*gamma*xhat is not subtracted",
             {.states =
                  [](const Inputs&, std::span<SetState> states) {
                    for (SetState& state : states) state.products = 0;
                  }}),
    Modelled("formula", "projection-added", kEveryOperator,
             "the mean of dy*gamma*xhat is added, not subtracted",
             {.states =
                  [](const Inputs&, std::span<SetState> states) {
                    for (SetState& state : states) state.products = -state.products;
                  }}),
    Modelled("formula", "scale-forgotten", kEveryOperator, "gamma counts as ones",
             {.inputs = [](Inputs& in) { in.scale.assign(in.scales, 1); }}, "gamma is given", "14"),
    Modelled("formula", "scale-squared", kEveryOperator, "gamma is multiplied in twice",
             {.inputs =
                  [](Inputs& in) {
                    for (float& scale : in.scale) scale *= scale;
                  }},
             "gamma is given"),
    Modelled("formula", "scale-forgotten-in-means", kEveryNorm,
             "the means are those of dy, not of dy*gamma",
             {.addends =
                  [](const Inputs& in, Addends& sum) {
                    if (!sum.IsOfSet()) return;
                    for (std::size_t i = 0; i < sum.terms.size(); ++i) {
                      sum.terms[i] = TermOf(in, sum, sum.elements[i], in.dy[sum.elements[i]]);
                    }
                  }},
             "gamma is given"),
    Modelled("formula", "rstd-forgotten", kEveryOperator, "dx is not multiplied by rstd",
             {.states =
                  [](const Inputs&, std::span<SetState> states) {
                    for (SetState& state : states) state.factor = 1;
                  }}),
    Modelled("formula", "rstd-not-squared", kEveryOperator, "rstd where its square belongs",
             {.states =
                  [](const Inputs&, std::span<SetState> states) {
                    for (SetState& state : states) state.products /= state.r;
                  }}),
    Modelled("formula", "x-not-centred", kCentred, "the mean is not subtracted from x",
             {.inputs = [](Inputs& in) { in.mean.assign(in.sets, 0); }}, "x with a mean"),
    Modelled("formula", "sums-not-divided", kEveryOperator, "sums are taken for means",
             {.states =
                  [](const Inputs&, std::span<SetState> states) {
                    for (SetState& state : states) state.count = 1;
                  }}),
    Modelled("formula", "divisor-less-one", kEveryOperator, "means are divided by n - 1",
             {.states =
                  [](const Inputs&, std::span<SetState> states) {
                    for (SetState& state : states) state.count = std::max(state.count - 1, 1.0F);
                  }}),
    Modelled("formula", "divisor-padded", kEveryNorm,
             "means are divided by n rounded up to a multiple of 16",
             {.states =
                  [](const Inputs&, std::span<SetState> states) {
                    for (SetState& state : states) state.count = std::ceil(state.count / 16) * 16;
                  }},
             "n is no multiple of 16"),
    Modelled("formula", "eps-twice", kEveryOperator,
             "an eps of 1e-5 is added to the variance again",
             {.inputs =
                  [](Inputs& in) {
                    for (float& r : in.rstd) r = 1 / std::sqrt(1 / (r * r) + 1e-5F);
                  }}),
    Modelled("formula", "statistics-recomputed", kEveryOperator,
             "mean and rstd are computed from x, whatever the call passes",
             {.inputs =
                  [](Inputs& in) {
                    std::vector<double> sum(in.sets), square(in.sets), count(in.sets);
                    for (std::size_t i = 0; i < in.x.size(); ++i) {
                      const std::size_t set = in.SetOf(i);
                      sum[set] += double{in.x[i]};
                      square[set] += double{in.x[i]} * double{in.x[i]};
                      ++count[set];
                    }
                    for (std::size_t set = 0; set < in.sets; ++set) {
                      const double mean = in.centred ? sum[set] / count[set] : 0;
                      const double variance = std::max(square[set] / count[set] - mean * mean, 0.0);
                      in.mean[set] = static_cast<float>(mean);
                      in.rstd[set] = static_cast<float>(1 / std::sqrt(variance + 1e-6));
                    }
                  }},
             "statistics that are not those of x"),
    Modelled("formula", "one-counter", kBatch, "the first counter instead of their sum",
             {.inputs = [](Inputs& in) { in.counter.resize(1); }}, "several counters"),
    Modelled("formula", "sums-exchanged", kBatch, "sumDy and sumDyXmu change places",
             {.inputs = [](Inputs& in) { std::swap(in.sum_dy, in.sum_dy_xmu); }}, "", "19"),
    Modelled("formula", "sum-and-weight-exchanged", kBatch, "sumDy and weight change places",
             {.inputs = [](Inputs& in) { std::swap(in.sum_dy, in.scale); }}, "", "19"),
    Modelled("formula", "statistics-exchanged", kCentred, "mean and rstd change places",
             {.inputs = [](Inputs& in) { std::swap(in.mean, in.rstd); }}),
    Modelled("formula", "dy-and-x-exchanged", kEveryOperator, "dy and x change places",
             {.inputs = [](Inputs& in) { std::swap(in.dy, in.x); }}),
    Modelled("formula", "bias-gradient-weighted", kBiased,
             "dbeta is a second dgamma: sums of dy*xhat",
             {.addends =
                  [](const Inputs& in, Addends& sum) {
                    if (sum.what != SumOf::kBiasGrad) return;
                    for (std::size_t i = 0; i < sum.terms.size(); ++i) {
                      const std::size_t element = sum.elements[i];
                      sum.terms[i] *= XhatOf(in, element, in.SetOf(element));
                    }
                  }}),
    Modelled("formula", "scale-in-dgamma", kEveryNorm, "dgamma is a sum of dy*gamma*xhat",
             {.addends =
                  [](const Inputs& in, Addends& sum) {
                    if (sum.what != SumOf::kScaleGrad) return;
                    for (float& term : sum.terms) term *= in.scale[sum.index];
                  }},
             "gamma is given"),
    Modelled("formula", "dgamma-of-x", kEveryNorm, "dgamma is a sum of dy*x",
             {.addends =
                  [](const Inputs& in, Addends& sum) {
                    if (sum.what != SumOf::kScaleGrad) return;
                    for (std::size_t i = 0; i < sum.terms.size(); ++i) {
                      sum.terms[i] = in.dy[sum.elements[i]] * in.x[sum.elements[i]];
                    }
                  }}),
    Modelled("formula", "bias-without-weight", kLayer, "dbeta is zero where there is no gamma",
             {.addends =
                  [](const Inputs& in, Addends& sum) {
                    if (sum.what == SumOf::kBiasGrad && !in.has_scale) sum.terms.clear();
                  }},
             "gamma is null", "15"),
};

constexpr Entry kIndexing[] = {
    Modelled("indexing", "next-scale", kEveryOperator, "gamma of the next column or channel",
             {.inputs = [](Inputs& in) { TurnLeft(&in.scale); }}, "gamma is given"),
    Modelled("indexing", "next-statistics", kEveryOperator, "statistics of the next set",
             {.inputs =
                  [](Inputs& in) {
                    TurnLeft(&in.mean);
                    TurnLeft(&in.rstd);
                  }},
             "several sets"),
    Modelled("indexing", "first-statistics", kEveryOperator, "statistics of the first set for all",
             {.inputs = [](Inputs& in) { TakeStatistics(in, [](auto) { return 0; }); }},
             "several sets"),
    Modelled("indexing", "next-sums", kBatch, "sumDy and sumDyXmu of the next channel",
             {.inputs =
                  [](Inputs& in) {
                    TurnLeft(&in.sum_dy);
                    TurnLeft(&in.sum_dy_xmu);
                  }},
             "several channels"),
    Modelled("indexing", "group-within-core", kGroup,
             "the group is that of the channel's index within one of two cores",
             {.inputs =
                  [](Inputs& in) {
                    const std::size_t groups = Groups(in), share = (groups + 1) / 2;
                    TakeStatistics(in, [=](std::size_t set) {
                      return set / groups * groups + set % groups % share;
                    });
                  }},
             "several groups", "3"),
    Modelled("indexing", "stride-of-one-group", kGroup,
             "from sample to sample statistics advance by one group",
             {.inputs =
                  [](Inputs& in) {
                    const std::size_t groups = Groups(in);
                    TakeStatistics(in,
                                   [=](std::size_t set) { return set / groups + set % groups; });
                  }},
             "several samples and groups", "4"),
    Modelled("indexing", "rows-and-columns", kRows, "what belongs to a row is taken by column",
             {.set_of =
                  [](const Inputs& in, std::size_t i) {
                    return in.sets == in.scales ? in.ScaleOf(i) : in.SetOf(i);
                  }},
             "as many rows as columns", "6"),
    Modelled("indexing", "last-axis-for-all", "group_norm_backward batch_norm_elemt_backward",
             "the last axis is taken for all that stand behind the channels",
             {.inputs =
                  [](Inputs& in) {
                    const Shape& shape = in.launch.tensors[1].shape;  // of x
                    if (shape.size() > 3) in.run = static_cast<std::size_t>(shape.back());
                  }},
             "several axes behind the channels", "7"),
    Modelled("indexing", "first-axis-for-rows", kRows, "the first axis is taken for all rows",
             {.addends =
                  [](const Inputs& in, Addends& sum) {
                    const Shape& axes = in.launch.dims.find("A")->second;
                    if (sum.IsOfSet() || axes.empty()) return;
                    const auto rows = static_cast<std::size_t>(axes.front());
                    DropTerms(sum, [=](std::size_t row) { return row >= rows; });
                  }},
             "several leading axes", "8"),
    Modelled("indexing", "lanes-into-next-group", kGroup,
             "lanes that pad a group to a power of two channels read on",
             {.addends =
                  [](const Inputs& in, Addends& sum) {
                    if (!sum.IsOfSet()) return;
                    const std::size_t channels = in.scales / Groups(in);
                    const std::size_t extra = (std::bit_ceil(channels) - channels) * in.run;
                    const std::size_t end = (sum.index + 1) * in.set_run;
                    for (std::size_t i = end; i < std::min(end + extra, in.dy.size()); ++i) {
                      const float p = in.dy[i] * in.scale[in.ScaleOf(i)];
                      sum.terms.push_back(TermOf(in, sum, i, p));
                    }
                  }},
             "channels per group are no power of two", "9"),
    Modelled("indexing", "large-batch", kBatch, "samples beyond 768 have the next channel's sums",
             {.set_of =
                  [](const Inputs& in, std::size_t i) {
                    const std::size_t sample = i / (in.run * in.scales);
                    return (in.SetOf(i) + (sample >= 768 ? 1 : 0)) % in.sets;
                  }},
             "more than 768 samples", "10"),
    Modelled("indexing", "group-size-ignored", kGroup, "means are those of the whole sample",
             {.states =
                  [](const Inputs& in, std::span<SetState> states) {
                    for (std::size_t i = 0; i < states.size(); i += Groups(in)) {
                      SetState all;
                      const auto sample = states.subspan(i, Groups(in));
                      for (const SetState& state : sample) {
                        all.count += state.count;
                        all.terms += state.terms;
                        all.products += state.products;
                      }
                      for (SetState& state : sample) {
                        state.count = all.count;
                        state.terms = all.terms;
                        state.products = all.products;
                      }
                    }
                  }},
             "several groups", "11"),
    Modelled("indexing", "means-of-a-channel", kGroup,
             "means are those of a channel, not of its group",
             {.inputs =
                  [](Inputs& in) {
                    const std::size_t channels = in.scales / Groups(in);
                    in.sets *= channels;
                    in.set_run = in.run;
                    TakeStatistics(in, [=](std::size_t set) { return set / channels; });
                  }},
             "several channels per group", "20"),
    Modelled("indexing", "grid-of-65535", kRows,
             "rows beyond 65535 are missing from sums over rows",
             {.addends =
                  [](const Inputs&, Addends& sum) {
                    if (sum.IsOfSet()) return;
                    DropTerms(sum, [](std::size_t row) { return row >= 65535; });
                  }},
             "more than 65535 rows", "16"),
};

constexpr Entry kCoverage[] = {
    Modelled("coverage", "last-element-dropped", kEveryNorm, "the means leave out the last element",
             {.addends =
                  [](const Inputs&, Addends& sum) {
                    const std::size_t last = sum.terms.size() - 1;
                    if (sum.IsOfSet()) DropTerms(sum, [=](std::size_t i) { return i == last; });
                  }}),
    Modelled("coverage", "tail-dropped", kEveryNorm,
             "the means leave out what is behind whole vectors",
             {.addends =
                  [](const Inputs&, Addends& sum) {
                    const std::size_t whole = sum.terms.size() / 16 * 16;
                    if (sum.IsOfSet()) DropTerms(sum, [=](std::size_t i) { return i >= whole; });
                  }},
             "n is no multiple of 16"),
    Modelled("coverage", "last-block-only", kEveryNorm,
             "only the last block of 64 counts in the mean of dy*gamma*xhat",
             {.addends =
                  [](const Inputs&, Addends& sum) {
                    const std::size_t first = (sum.terms.size() - 1) / 64 * 64;
                    if (sum.what != SumOf::kProducts) return;
                    DropTerms(sum, [=](std::size_t i) { return i < first; });
                  }},
             "n is more than 64", "2"),
    Modelled("coverage", "lane-lost", kEveryNorm, "the means leave out the last of 64 lanes",
             {.addends =
                  [](const Inputs&, Addends& sum) {
                    if (sum.IsOfSet()) DropTerms(sum, [](std::size_t i) { return i % 64 == 63; });
                  }},
             "n is at least 64"),
    Modelled("coverage", "last-row-dropped", kEveryNorm, "dgamma and dbeta leave out the last row",
             {.addends =
                  [](const Inputs& in, Addends& sum) {
                    if (sum.IsOfSet()) return;
                    const std::size_t last = sum.terms.size() - in.run;
                    DropTerms(sum, [=](std::size_t i) { return i >= last; });
                  }}),
    Modelled("coverage", "last-row-twice", kEveryNorm, "dgamma and dbeta count the last row twice",
             {.addends =
                  [](const Inputs& in, Addends& sum) {
                    if (sum.IsOfSet() || sum.terms.empty()) return;
                    const Floats row(sum.terms.end() - static_cast<std::ptrdiff_t>(in.run),
                                     sum.terms.end());
                    sum.terms.insert(sum.terms.end(), row.begin(), row.end());
                  }}),
    Modelled("coverage", "part-of-a-block-dropped", kEveryNorm,
             "dgamma and dbeta leave out the rows behind whole blocks of 4",
             {.addends =
                  [](const Inputs& in, Addends& sum) {
                    if (sum.IsOfSet()) return;
                    const std::size_t whole = Rows(in) / 4 * 4 * in.run;
                    DropTerms(sum, [=](std::size_t i) { return i >= whole; });
                  }},
             "rows are no multiple of 4", "5"),
    Modelled("coverage", "padding-rows-counted", kEveryNorm,
             "rows that pad a block of 4 repeat the last one, and count",
             {.addends =
                  [](const Inputs& in, Addends& sum) {
                    if (sum.IsOfSet() || sum.terms.empty()) return;
                    const Floats row(sum.terms.end() - static_cast<std::ptrdiff_t>(in.run),
                                     sum.terms.end());
                    for (std::size_t rows = Rows(in); rows % 4 != 0; ++rows) {
                      sum.terms.insert(sum.terms.end(), row.begin(), row.end());
                    }
                  }},
             "rows are no multiple of 4", "18"),
    Modelled("coverage", "race-on-a-column", kEveryNorm,
             "one column of dgamma and dbeta loses one term in 16",
             {.addends =
                  [](const Inputs& in, Addends& sum) {
                    if (sum.IsOfSet() || sum.index != in.scales / 2) return;
                    DropTerms(sum, [](std::size_t i) { return i % 16 == 5; });
                  }},
             "more than 5 terms"),
    Modelled("coverage", "first-counters-only", kBatch, "of the counters the last is left out",
             {.inputs =
                  [](Inputs& in) {
                    if (in.counter.size() > 1) in.counter.pop_back();
                  }},
             "several counters"),
};

/// bfloat16 where the data are float32, as Inputs::Narrow().
float AddNarrowly(const Inputs& in, float sum, float term) {
  return Narrowed(in.Narrow(), sum + term);
}

constexpr Entry kPrecision[] = {
    Modelled("precision", "means-added-in-16-bits", kEveryNorm,
             "the means are accumulated in 16 bits",
             {.add =
                  [](const Inputs& in, SumOf what, float sum, float term) {
                    const bool of_set = what != SumOf::kScaleGrad && what != SumOf::kBiasGrad;
                    return of_set ? AddNarrowly(in, sum, term) : sum + term;
                  }}),
    Modelled("precision", "dgamma-added-in-16-bits", kEveryNorm,
             "dgamma and dbeta are accumulated in 16 bits",
             {.add =
                  [](const Inputs& in, SumOf what, float sum, float term) {
                    const bool of_set = what != SumOf::kScaleGrad && what != SumOf::kBiasGrad;
                    return of_set ? sum + term : AddNarrowly(in, sum, term);
                  }}),
    Modelled("precision", "partial-sums-in-16-bits", kEveryNorm,
             "sums over blocks of 8 are kept in 16 bits",
             {.addends =
                  [](const Inputs& in, Addends& sum) {
                    Floats blocks;
                    blocks.reserve(sum.terms.size() / 8 + 1);
                    for (std::size_t i = 0; i < sum.terms.size(); i += 8) {
                      float block = 0;
                      for (std::size_t k = i; k < std::min(i + 8, sum.terms.size()); ++k) {
                        block += sum.terms[k];
                      }
                      blocks.push_back(Narrowed(in.Narrow(), block));
                    }
                    sum.terms = std::move(blocks);
                  }}),
    Modelled("precision", "terms-in-16-bits", kEveryNorm,
             "the terms of every sum are kept in 16 bits",
             {.addends = [](const Inputs& in, Addends& sum) { Narrow(in.Narrow(), &sum.terms); }}),
    Modelled("precision", "means-in-16-bits", kEveryOperator, "the means are kept in 16 bits",
             {.states =
                  [](const Inputs& in, std::span<SetState> states) {
                    for (SetState& state : states) {
                      const float n = state.count;
                      state.terms = Narrowed(in.Narrow(), state.terms / n) * n;
                      state.products = Narrowed(in.Narrow(), state.products / n) * n;
                    }
                  }}),
    Modelled("precision", "xhat-in-16-bits", kEveryOperator, "xhat is kept in 16 bits",
             {.keep =
                  [](const Inputs& in, Kept what, float value) {
                    return what == Kept::kXhat ? Narrowed(in.Narrow(), value) : value;
                  }}),
    Modelled("precision", "product-in-16-bits", kEveryNorm, "dy*gamma is kept in 16 bits",
             {.keep =
                  [](const Inputs& in, Kept what, float value) {
                    return what == Kept::kProduct ? Narrowed(in.Narrow(), value) : value;
                  }},
             "gamma is given"),
    Modelled("precision", "statistics-in-16-bits", kEveryOperator,
             "statistics are read as bfloat16",
             {.inputs =
                  [](Inputs& in) {
                    Narrow(DType::kBFloat16, &in.mean);
                    Narrow(DType::kBFloat16, &in.rstd);
                  }},
             "statistics are not bfloat16"),
    Modelled("precision", "scale-in-16-bits", kEveryOperator, "gamma is read as bfloat16",
             {.inputs = [](Inputs& in) { Narrow(DType::kBFloat16, &in.scale); }},
             "gamma is not bfloat16"),
    Modelled("precision", "data-in-16-bits", kEveryOperator, "dy and x are read as bfloat16",
             {.inputs =
                  [](Inputs& in) {
                    Narrow(DType::kBFloat16, &in.dy);
                    Narrow(DType::kBFloat16, &in.x);
                  }},
             "data are not bfloat16"),
    Modelled("precision", "sums-in-16-bits", kBatch, "sumDy and sumDyXmu are read as bfloat16",
             {.inputs =
                  [](Inputs& in) {
                    Narrow(DType::kBFloat16, &in.sum_dy);
                    Narrow(DType::kBFloat16, &in.sum_dy_xmu);
                  }},
             "sums are not bfloat16"),
    Modelled("precision", "rstd-off-by-2^-11", kEveryOperator, "rstd errs by 2^-11",
             {.inputs =
                  [](Inputs& in) {
                    for (float& r : in.rstd) r *= 1 + 0x1p-11F;
                  }}),
    Modelled("precision", "rstd-off-by-2^-16", kEveryOperator, "rstd errs by 2^-16",
             {.inputs =
                  [](Inputs& in) {
                    for (float& r : in.rstd) r *= 1 + 0x1p-16F;
                  }}),
    Modelled("precision", "rstd-off-by-2^-20", kEveryOperator, "rstd errs by 2^-20",
             {.inputs =
                  [](Inputs& in) {
                    for (float& r : in.rstd) r *= 1 + 0x1p-20F;
                  }}),
    Modelled("precision", "approximate-division", kEveryOperator, "1/n errs by 2^-12",
             {.states =
                  [](const Inputs&, std::span<SetState> states) {
                    for (SetState& state : states) state.count *= 1 + 0x1p-12F;
                  }}),
    Modelled("precision", "square-in-float16", kRms, "dy*gamma*xhat overflows as float16 does",
             {.addends =
                  [](const Inputs&, Addends& sum) {
                    if (sum.what == SumOf::kProducts) Narrow(DType::kFloat16, &sum.terms);
                  }}),
};

constexpr Entry kRounding[] = {
    Modelled("rounding", "dx-truncated", kEveryOperator, "dx is rounded towards zero",
             {.store =
                  [](const Param& param, DType dtype, float value, std::byte* element) {
                    param.role == Role::kData ? StoreTruncated(dtype, value, element)
                                              : Store(dtype, double{value}, element);
                  }},
             "dx has 16 bits"),
    Modelled("rounding", "dgamma-truncated", kBiased, "dgamma and dbeta are rounded towards zero",
             {.store =
                  [](const Param& param, DType dtype, float value, std::byte* element) {
                    param.role == Role::kData ? Store(dtype, double{value}, element)
                                              : StoreTruncated(dtype, value, element);
                  }},
             "dgamma has 16 bits"),
    Modelled("rounding", "ties-away", kEveryOperator, "ties are rounded away from zero",
             {.store = StoreHalfAway}, "16-bit outputs that are ties"),
    Modelled("rounding", "rounded-twice", kEveryOperator,
             "outputs are rounded through two bits more", {.store = StoreRoundedTwice},
             "16-bit outputs"),
    Modelled("rounding", "half-subnormals-flushed", kEveryOperator,
             "float16 results below 2^-14 are zero",
             {.store =
                  [](const Param&, DType dtype, float value, std::byte* element) {
                    const bool small = dtype == DType::kFloat16 && std::fabs(value) < 0x1p-14F;
                    Store(dtype, small ? 0.0 : double{value}, element);
                  }},
             "float16 outputs that small"),
    Modelled("rounding", "saturated", kEveryOperator,
             "results that overflow are the largest number",
             {.store =
                  [](const Param&, DType dtype, float value, std::byte* element) {
                    const bool too_large = std::isinf(Round(dtype, double{value}));
                    Store(dtype, double{value}, element);
                    if (too_large) StepBits(dtype, element, -1);
                  }},
             "outputs that overflow"),
};

float WithoutNan(float value) { return std::isnan(value) ? 0 : value; }

float Clamped(float value) {
  constexpr float kLargest = std::numeric_limits<float>::max();
  return std::isinf(value) ? std::copysign(kLargest, value) : value;
}

constexpr Entry kNonFinite[] = {
    Modelled("non-finite", "nan-swallowed", kEveryOperator, "NaN in dy and x counts as zero",
             {.inputs =
                  [](Inputs& in) {
                    std::ranges::transform(in.dy, in.dy.begin(), WithoutNan);
                    std::ranges::transform(in.x, in.x.begin(), WithoutNan);
                  }},
             "NaN in dy or x"),
    Modelled("non-finite", "infinity-clamped", kEveryOperator,
             "infinity in dy and x is the largest number",
             {.inputs =
                  [](Inputs& in) {
                    std::ranges::transform(in.dy, in.dy.begin(), Clamped);
                    std::ranges::transform(in.x, in.x.begin(), Clamped);
                  }},
             "infinity in dy or x"),
    Modelled(
        "non-finite", "nan-as-zero", kEveryOperator, "results that are NaN are stored as zero",
        {.store = [](const Param&, DType dtype, float value,
                     std::byte* element) { Store(dtype, double{WithoutNan(value)}, element); }},
        "NaN in dy or x"),
    Modelled("non-finite", "nan-carried", kBatch,
             "NaN is rounded to bfloat16 by adding to its bits, as a number is",
             {.store = StoreRoundedBits}, "bfloat16 data, float32 statistics, NaN in those", "21"),
    Modelled("non-finite", "data-clamped", kEveryOperator, "dy and x are clamped to +-100",
             {.inputs =
                  [](Inputs& in) {
                    for (float& value : in.dy) value = std::clamp(value, -100.0F, 100.0F);
                    for (float& value : in.x) value = std::clamp(value, -100.0F, 100.0F);
                  }},
             "data that large"),
};

constexpr Entry Healthy(const char* name, const char* what, Recipe recipe,
                        const char* operators = kEveryOperator) {
  return {.text = {name, kHealthy, "", operators, "", "", kModelTwin, what, kModelPromises},
          .modelled = true,
          .recipe = recipe};
}

}  // namespace

std::span<const Entry> HealthyVariants() {
  static constexpr Entry kVariants[] = {
      {.text = {"cpu", kHealthy, "", kEveryOperator, "", "", "cpu", "the CPU device's kernels",
                ""}},
      Healthy(kModelTwin, "float32, terms added from first to last", {}),
      Healthy("reverse", "from last to first", {.order = Order::kReverse}),
      Healthy("lanes-8", "eight running sums", {.order = Order::kLanes8}),
      Healthy("lanes-64", "sixty-four running sums, then a tree", {.order = Order::kLanes64}),
      Healthy("pairwise", "a tree over all terms", {.order = Order::kPairwise}),
      Healthy("blocks", "blocks of 64", {.order = Order::kBlocks}),
      Healthy("compensated", "Kahan's sum", {.order = Order::kCompensated}),
      Healthy("float64-sums", "sums in float64", {.order = Order::kDouble}),
      Healthy("arrival", "blocks of 8 as they arrive, unless ACL_OPT_DETERMINISTIC is on",
              {.order = Order::kArrival}, "rms_norm_grad group_norm_backward"),
      Healthy("fused", "with fused multiply-adds", {.arrangement = Arrangement::kFused}),
      Healthy("scaled", "n*p - S1 - xhat*S2, divided last",
              {.order = Order::kLanes64, .arrangement = Arrangement::kScaled}),
      Healthy("cubed", "with the cube of rstd",
              {.order = Order::kLanes8, .arrangement = Arrangement::kCubed}),
      Healthy("expanded", "xhat as x*r - mean*r",
              {.order = Order::kBlocks, .arrangement = Arrangement::kExpanded}),
      Healthy("linear", "a*p + b*x + c from sums of p and p*x",
              {.arrangement = Arrangement::kLinear}),
      Healthy("flushing", "subnormal float32 numbers are zero", {.flush = true}),
  };
  return kVariants;
}

std::span<const Entry> ModelFaults() {
  static const std::vector<Entry> kFaults = [] {
    std::vector<Entry> faults;
    for (const std::span<const Entry> part :
         {std::span<const Entry>(kFormula), std::span<const Entry>(kIndexing),
          std::span<const Entry>(kCoverage), std::span<const Entry>(kPrecision),
          std::span<const Entry>(kRounding), std::span<const Entry>(kNonFinite)}) {
      faults.insert(faults.end(), part.begin(), part.end());
    }
    return faults;
  }();
  return kFaults;
}

}  // namespace normgrad::faulty
