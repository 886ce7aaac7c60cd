// SPDX-License-Identifier: Apache-2.0
// The published standards as data, and the few lines that each needs to judge. Where a rule speaks
// of golden values, they are the reference rounded once to the output's dtype; NaN or infinity
// where the reference has none, or the reverse, fails every rule but where it says otherwise.
#include "accuracy/standards.h"

#include <cmath>
#include <initializer_list>
#include <stdexcept>
#include <vector>

#include <fmt/format.h>

#include "base/error.h"
#include "base/text.h"

namespace normgrad {
namespace {

// One value per dtype that the standards are about.
template <typename Value>
struct PerDType {
  Value float16, bfloat16, float32;

  const Value& operator[](DType dtype) const {
    switch (dtype) {
      case DType::kFloat16: return float16;
      case DType::kBFloat16: return bfloat16;
      case DType::kFloat32: return float32;
      case DType::kNone:
      case DType::kInt32:
      case DType::kFloat64: break;
    }
    throw std::logic_error("no published standard is about this dtype");
  }
};

// CANN's mixed tolerances: the tolerance of an element, and the error that none may exceed.
struct Mixed {
  Tolerance tolerance;
  double error;
};
constexpr double kMismatchedShare = 0.01;  // required_matched_ratio 0.99
constexpr PerDType<Mixed> kMixed = {
    {{0x1p-10, 0x1p-10}, 0.1}, {{0x1p-7, 0x1p-7}, 0.1}, {{0x1p-13, 0x1p-13}, 0.01}};
constexpr PerDType<Mixed> kMixedV2 = {
    {{0x1p-9, 0x1p-9}, 0.1}, {{0x1p-6, 0x1p-6}, 1}, {{0x1p-16, 0x1p-10}, 0.01}};

// Mean and, times ten, largest relative error; then what cann-bench calls small and cancelled.
struct Relative {
  double mean;
  double small_golden, small_error, cancelled;
};
constexpr PerDType<Relative> kRelative = {{0x1p-10, 0x1p-11, 0x1p-16, 0x1p-5},
                                          {0x1p-7, 0x1p-8, 0x1p-16, 0x1p-3},
                                          {0x1p-13, 0x1p-14, 0x1p-30, 0x1p-8}};
constexpr double kLargestByMean = 10;
constexpr double kForgivenErrors = 2;  // count / max(count of a same-precision reference, 1)

// Tolerance of an element, and the share of elements that may be beyond it.
struct Close {
  Tolerance tolerance;
  double share;
};
constexpr PerDType<Close> kClose = {
    {{1e-8, 1e-3}, 1e-3}, {{1e-8, 1e-3}, 1e-3}, {{1e-8, 1e-4}, 1e-4}};

constexpr double kCosineDistance = 0.01;

constexpr PerDType<Tolerance> kTorch = {{1e-5, 1e-3}, {1e-5, 1.6e-2}, {1e-5, 1.3e-6}};

// benchdnn's thresholds of float32, times 2 to the power of the digits that the data's dtype lacks.
struct BenchdnnDriver {
  std::string_view op;
  double data;
};
constexpr double kLayerNorm = 5e-7, kGroupNorm = 6e-7, kBenchdnnScale = 5e-6;
constexpr BenchdnnDriver kBenchdnnDrivers[] = {
    {"rms_norm_grad", kLayerNorm},              // lnorm, without a mean
    {"layer_norm_backward", kLayerNorm},        // lnorm
    {"group_norm_backward", kGroupNorm},        // gnorm
    {"batch_norm_elemt_backward", kGroupNorm},  // bnorm
};
constexpr PerDType<double> kBenchdnnFactor = {0x1p13, 0x1p16, 1};

constexpr double kMluDiff = 3e-3;
constexpr double kMluEpsilon = 1e-9;
constexpr PerDType<double> kMluAbsolute = {1e-4, 0, 1e-6};

double Benchdnn(const OutputKind& kind) {
  const double factor = kBenchdnnFactor[kind.data];
  for (const BenchdnnDriver& driver : kBenchdnnDrivers) {
    if (driver.op != kind.op) continue;
    return factor * (kind.role == Role::kScaleGrad ? kBenchdnnScale : driver.data);
  }
  throw std::logic_error(fmt::format("benchdnn's threshold of {} is not known", kind.op));
}

// The first that failed, else the first.
Statistic Decisive(std::initializer_list<Statistic> statistics) {
  for (const Statistic& statistic : statistics) {
    if (!statistic.passed()) return statistic;
  }
  return *statistics.begin();
}

double Share(const Comparison& comparison, Comparison::Count count) {
  return comparison.elements == 0 ? 0
                                  : static_cast<double>(comparison.counts[count]) /
                                        static_cast<double>(comparison.elements);
}

Statistic AtMost(std::string_view name, const Comparison& comparison, Comparison::Count count,
                 double limit = 0) {
  return {.name = name, .value = static_cast<double>(comparison.counts[count]), .limit = limit};
}

// Of rules that want NaN and infinity where golden has them.
Statistic NonFinite(const Comparison& comparison) {
  return AtMost("non-finite disagreements", comparison, Comparison::kDisagreeing);
}

Statistic JudgeMixed(const Comparison& comparison, Comparison::Count beyond,
                     Comparison::Count beyond_limit) {
  return Decisive({{"mismatched share", Share(comparison, beyond), kMismatchedShare},
                   AtMost("elements beyond the error limit", comparison, beyond_limit),
                   NonFinite(comparison)});
}

double MeanRelativeError(const Comparison& comparison) {
  return comparison.elements == 0 ? 0
                                  : comparison.sums[Comparison::kRelativeError] /
                                        static_cast<double>(comparison.elements);
}

Statistic JudgeMereMare(DType dtype, const Comparison& comparison, const Statistic& non_finite) {
  const double mean = kRelative[dtype].mean;
  return Decisive({{"mean relative error", MeanRelativeError(comparison), mean, true},
                   {"largest relative error", comparison.maxima[Comparison::kLargestRelativeError],
                    kLargestByMean * mean, true},
                   non_finite});
}

Statistic JudgeCannBench(DType dtype, const Comparison& comparison) {
  const Statistic nan = AtMost("NaN disagreements", comparison, Comparison::kDisagreeingNan);
  const Statistic overall = JudgeMereMare(dtype, comparison, nan);
  if (overall.passed() || !nan.passed()) return overall;
  return Decisive(
      {AtMost("far elements", comparison, Comparison::kFarErrors),
       AtMost("small elements", comparison, Comparison::kSmallErrors, kForgivenErrors),
       AtMost("cancelled elements", comparison, Comparison::kCancelledErrors, kForgivenErrors)});
}

double CosineDistance(const Comparison& comparison) {
  const double actual = comparison.sums[Comparison::kActualSquared];
  const double golden = comparison.sums[Comparison::kGoldenSquared];
  if (actual == 0 && golden == 0) return 0;
  if (actual == 0 || golden == 0) return 1;
  return 1 - comparison.sums[Comparison::kProduct] / (std::sqrt(actual) * std::sqrt(golden));
}

Statistic JudgeBenchdnn(const OutputKind& kind, const Comparison& comparison) {
  const Statistic stray = AtMost("non-finite elements", comparison, Comparison::kStray);
  const Statistic points = AtMost("elements beyond", comparison, Comparison::kBenchdnnErrors);
  if (!stray.passed()) return stray;
  if (points.passed()) return points;
  const double golden = std::sqrt(comparison.sums[Comparison::kGoldenSquared]);
  const double error = std::sqrt(comparison.sums[Comparison::kErrorSquared]);
  return {"relative L2 error", golden == 0 ? error : error / golden, Benchdnn(kind)};
}

// Of equal NaNs and infinities mlu-ops does not look any further.
Statistic JudgeMlu(std::string_view name, double value, const Comparison& comparison) {
  const bool any = comparison.counts[Comparison::kAgreeing] > 0;
  return Decisive({{name, any ? 0 : value, kMluDiff}, NonFinite(comparison)});
}

// 2^-10 rather than 0.000977.
std::string Short(double value) {
  int exponent = 0;
  const bool power = std::frexp(value, &exponent) == 0.5;
  return power && value < 0.5 ? fmt::format("2^{}", exponent - 1) : fmt::format("{:g}", value);
}

std::string Text(const Tolerance& tolerance) {
  return fmt::format("rtol {}, atol {}", Short(tolerance.relative), Short(tolerance.absolute));
}

std::string Text(const Mixed& mixed) {
  return fmt::format("{}, no error beyond both {} and 32 ulp", Text(mixed.tolerance),
                     Short(mixed.error));
}

std::string TextOfRelative(DType dtype) {
  const double mean = kRelative[dtype].mean;
  return fmt::format("mean < {}, largest < {} * {}", Short(mean), kLargestByMean, Short(mean));
}

std::string TextOfMlu(DType /*dtype*/) { return fmt::format("at most {:g}", kMluDiff); }

constexpr std::string_view kMluSource =
    "Cambricon/mlu-ops docs/MLU-OPS-Accuracy-Acceptance-Standard.md, accumulating operators; "
    "formulas from test/mlu_op_gtest/pb_gtest/include/evaluator.h";
constexpr std::string_view kKitSource = "hicann/ops-test-kit docs/Precision_Comparison.md";

constexpr Standard kStandards[] = {
    {.name = "cann-mixed",
     .rule = "|a - g| <= atol + rtol |g| for 99 % of the elements, and a limit for all of them",
     .source =
         "hicann/opbase docs/zh/ops_precision_standard/mixed_tolerance_standard.md at 233ee24c",
     .note = "\"or 32 * ULP\" is read as the larger of the two limits, with the ulp of golden in "
             "the output's dtype; the document allows 2 ulp to long sums where it seems right, "
             "which is not applied",
     .thresholds = [](DType dtype) { return Text(kMixed[dtype]); },
     .judge =
         [](const OutputKind& /*kind*/, const Comparison& comparison) {
           return JudgeMixed(comparison, Comparison::kBeyondMixed, Comparison::kBeyondMixedLimit);
         }},
    {.name = "cann-mixed-v2",
     .rule = "the same with the thresholds before it",
     .source = "hicann/opbase docs/zh/ops_precision_standard/experimental_standard.md at adbe441; "
               "the default of hicann/ops-test-kit",
     .note = "",
     .thresholds = [](DType dtype) { return Text(kMixedV2[dtype]); },
     .judge =
         [](const OutputKind& /*kind*/, const Comparison& comparison) {
           return JudgeMixed(comparison, Comparison::kBeyondMixedV2,
                             Comparison::kBeyondMixedV2Limit);
         }},
    {.name = "mere-mare",
     .rule = "mean and largest |a - g| / (|g| + 1e-7)",
     .source = "hicann/opbase docs/zh/ops_precision_standard/experimental_standard.md at 3e629665; "
               "stat_rel_err of hicann/ops-test-kit",
     .note = "pairs that agree in not being finite count as elements without error",
     .thresholds = TextOfRelative,
     .judge =
         [](const OutputKind& kind, const Comparison& comparison) {
           return JudgeMereMare(kind.dtype, comparison, NonFinite(comparison));
         }},
    {.name = "cann-bench",
     .rule = "mere-mare; if it fails, at most 2 small elements with an absolute error beyond a "
             "threshold, at most 2 cancelled ones far off, and no other element far off",
     .source = "cann-bench docs/spec/benchmark_spec.md 4.4 and src/kernel_eval/utils/thresholds.py "
               "at d59d44ca",
     .note = "without the run of the same precision on a CPU that may raise the counts; far is a "
             "relative error above the largest of mere-mare; a lone infinity is the dtype's "
             "largest number",
     .thresholds =
         [](DType dtype) {
           const Relative& limits = kRelative[dtype];
           return fmt::format("{}; small |g| < {}: error {}; cancelled |a|, |g| < {}",
                              TextOfRelative(dtype), Short(limits.small_golden),
                              Short(limits.small_error), Short(limits.cancelled));
         },
     .judge = [](const OutputKind& kind,
                 const Comparison& comparison) { return JudgeCannBench(kind.dtype, comparison); }},
    {.name = "close",
     .rule = "|a - g| <= atol + rtol |g| but for a share of the elements",
     .source = kKitSource,
     .note = "pairs that agree in not being finite match",
     .thresholds =
         [](DType dtype) {
           return fmt::format("{}, share {}", Text(kClose[dtype].tolerance),
                              Short(kClose[dtype].share));
         },
     .judge =
         [](const OutputKind& kind, const Comparison& comparison) {
           const double mismatched = Share(comparison, Comparison::kBeyondClose) +
                                     Share(comparison, Comparison::kDisagreeing);
           return Statistic{"mismatched share", mismatched, kClose[kind.dtype].share};
         }},
    {.name = "cosine",
     .rule = "1 - a.g / (|a| |g|) over the whole output",
     .source = kKitSource,
     .note = "two outputs of zeros are at distance 0, one of them at distance 1; the source does "
             "not mention NaN and infinity: pairs that agree are left out",
     .thresholds = [](DType /*dtype*/) { return fmt::format("at most {}", kCosineDistance); },
     .judge =
         [](const OutputKind& /*kind*/, const Comparison& comparison) {
           return Decisive({{"cosine distance", CosineDistance(comparison), kCosineDistance},
                            NonFinite(comparison)});
         }},
    {.name = "binary",
     .rule = "every element has the bits of golden; NaN is NaN",
     .source = kKitSource,
     .note = "the two zeros differ; of an exact zero the reference does not know the sign that a "
             "kernel should give it",
     .thresholds = [](DType /*dtype*/) { return std::string("none differs"); },
     .judge =
         [](const OutputKind& /*kind*/, const Comparison& comparison) {
           return Decisive({AtMost("different elements", comparison, Comparison::kDifferent),
                            NonFinite(comparison)});
         }},
    {.name = "torch",
     .rule = "|a - g| <= atol + rtol |g| for every element",
     .source = "pytorch torch/testing/_comparison.py, defaults of assert_close",
     .note = "equal_nan is false by default: a NaN fails whatever golden is",
     .thresholds = [](DType dtype) { return Text(kTorch[dtype]); },
     .judge =
         [](const OutputKind& /*kind*/, const Comparison& comparison) {
           return Decisive({AtMost("mismatched elements", comparison, Comparison::kBeyondTorch),
                            AtMost("NaNs", comparison, Comparison::kAgreeingNan),
                            NonFinite(comparison)});
         }},
    {.name = "benchdnn",
     .rule = "relative error of every element, absolute where |g| <= 1e-5; if one fails, the "
             "relative L2 error of the whole output",
     .source = "oneDNN tests/benchdnn/{lnorm,gnorm,bnorm}/*.cpp and utils/compare.cpp at 3f27bec2",
     .note = "float32 thresholds times 2^(24 - digits of the data's dtype), which is 2^13 for "
             "float16 and 2^16 for bfloat16 data even where the output is float32; where golden is "
             "not finite nothing is judged, because the norm leaves it out",
     .thresholds =
         [](DType dtype) {
           const double factor = kBenchdnnFactor[dtype];
           return fmt::format(
               "layer and RMS norm {:.2g}, group and batch norm {:.2g}, their "
               "scales and biases {:.2g}",
               kLayerNorm * factor, kGroupNorm * factor, kBenchdnnScale * factor);
         },
     .judge = JudgeBenchdnn},
    {.name = "mlu-diff1",
     .rule = "sum of |a - g| / (sum of |g| + 1e-9)",
     .source = kMluSource,
     .note = "where some pair is not finite and all of those agree, no error is computed and the "
             "output passes",
     .thresholds = TextOfMlu,
     .judge =
         [](const OutputKind& /*kind*/, const Comparison& comparison) {
           const double error = comparison.sums[Comparison::kError];
           return JudgeMlu("diff1", error / (comparison.sums[Comparison::kGolden] + kMluEpsilon),
                           comparison);
         }},
    {.name = "mlu-diff2",
     .rule = "root of (sum of (a - g)^2 / (sum of g^2 + 1e-9))",
     .source = kMluSource,
     .note = "as mlu-diff1",
     .thresholds = TextOfMlu,
     .judge =
         [](const OutputKind& /*kind*/, const Comparison& comparison) {
           const double golden = comparison.sums[Comparison::kGoldenSquared] + kMluEpsilon;
           return JudgeMlu("diff2", std::sqrt(comparison.sums[Comparison::kErrorSquared] / golden),
                           comparison);
         }},
    {.name = "mlu-diff3",
     .rule = "largest |a - g| / (|g| + 1e-9), or |a - g| where |g| is below a threshold",
     .source = kMluSource,
     .note = "the document asks it of operators that do not add only, and to be 0; the limit of "
             "diff1 and diff2 is used; else as mlu-diff1",
     .thresholds =
         [](DType dtype) {
           return fmt::format("at most {:g}; absolute where |g| < {:g}", kMluDiff,
                              kMluAbsolute[dtype]);
         },
     .judge =
         [](const OutputKind& /*kind*/, const Comparison& comparison) {
           return JudgeMlu("diff3", comparison.maxima[Comparison::kLargestDiff3], comparison);
         }},
};

}  // namespace

std::span<const Standard> Standards() { return kStandards; }

const Standard* FindStandard(std::string_view name) {
  if (name == kDerivedBound) return nullptr;
  std::vector<std::string_view> names = {kDerivedBound};
  for (const Standard& standard : kStandards) {
    if (standard.name == name) return &standard;
    names.push_back(standard.name);
  }
  throw Error("unknown standard '{}': {}", name, Suggest(name, names));
}

ElementLimits LimitsOf(const OutputKind& kind) {
  const Relative& relative = kRelative[kind.dtype];
  return {.tolerances = {kMixed[kind.dtype].tolerance, kMixedV2[kind.dtype].tolerance,
                         kClose[kind.dtype].tolerance, kTorch[kind.dtype]},
          .errors = {kMixed[kind.dtype].error, kMixedV2[kind.dtype].error},
          .far = kLargestByMean * relative.mean,
          .small_golden = relative.small_golden,
          .small_error = relative.small_error,
          .cancelled = relative.cancelled,
          .benchdnn = Benchdnn(kind),
          .diff3_absolute = kMluAbsolute[kind.dtype]};
}

std::string DescribeStandards() {
  std::string text =
      "a is an element of the device, g the golden value: the reference rounded to the output's "
      "dtype.\n";
  for (const Standard& standard : kStandards) {
    text += fmt::format("\n{}\n  {}\n", standard.name, standard.rule);
    for (const DType dtype : {DType::kFloat32, DType::kFloat16, DType::kBFloat16}) {
      text += fmt::format("  {:<9} {}\n", Name(dtype), standard.thresholds(dtype));
    }
    text += fmt::format("  source    {}\n", standard.source);
    if (!standard.note.empty()) text += fmt::format("  note      {}\n", standard.note);
  }
  return text;
}

}  // namespace normgrad
