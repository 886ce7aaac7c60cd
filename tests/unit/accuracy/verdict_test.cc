// SPDX-License-Identifier: Apache-2.0
// What the whole of it is for: every correct float32 kernel passes, planted mistakes do not.
#include <cmath>
#include <map>
#include <memory>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "accuracy/judge.h"
#include "ops/operators.h"
#include "tests/unit/accuracy/float32_kernel.h"

namespace normgrad {
namespace {

constexpr DType kF32 = DType::kFloat32, kF16 = DType::kFloat16, kBF16 = DType::kBFloat16;
constexpr DType kNone = DType::kNone;

// Every input of its own kind of rounding.
std::vector<DTypes> DTypeRows(const Operator& op) {
  if (&op == &kBatchNormElemtBackward) {
    const DTypes counted = DTypesOf(op, kF32, {{"counter", DType::kInt32}});
    DTypes mixed = DTypesOf(op, kF16, {{"gradOut", kF32}, {"mean", kBF16}, {"weight", kNone}});
    return {counted, DTypesOf(op, kF16), DTypesOf(op, kBF16, {{"counter", kF32}}), mixed};
  }
  const std::string_view scale = &op == &kLayerNormBackward ? "weightOptional" : "scale";
  std::vector<DTypes> rows{DTypesOf(op, kF32), DTypesOf(op, kF32, {{"data", kF16}}),
                           DTypesOf(op, kF32, {{"data", kBF16}}),
                           DTypesOf(op, kF16, {{"statistic", kF32}}), DTypesOf(op, kBF16)};
  if (&op != &kRmsNormGrad) rows.push_back(DTypesOf(op, kF32, {{"data", kBF16}, {scale, kNone}}));
  return rows;
}

Dims Rows(std::int64_t rows, std::int64_t columns) { return {{"A", {rows}}, {"R", {columns}}}; }

Dims Channels(std::int64_t n, std::int64_t c, std::int64_t groups, std::int64_t pixels) {
  return {{"N", {n}}, {"C", {c}}, {"G", {groups}}, {"S", {pixels}}, {"K", {3}}};
}

bool HasRows(const Operator& op) { return &op == &kRmsNormGrad || &op == &kLayerNormBackward; }

std::vector<Dims> DimsOf(const Operator& op) {
  if (HasRows(op)) {
    return {Rows(1, 1),   Rows(1, 7),    Rows(7, 1),   Rows(9, 2),    Rows(3, 17),
            Rows(64, 33), Rows(3, 1000), Rows(300, 3), Rows(1000, 1), Rows(1, 3000)};
  }
  return {Channels(1, 1, 1, 1), Channels(3, 4, 4, 1),   Channels(3, 4, 2, 1),
          Channels(2, 6, 3, 5), Channels(1, 8, 2, 300), Channels(16, 6, 1, 20),
          Channels(50, 3, 3, 2)};
}

// Inputs, and which bound they admit.
struct Data {
  std::string_view name;
  SumMode mode;
  double (*element)(const RandomStream& random, std::size_t i);
  double offset = 0;   // of x: large beside its deviation
  bool equal = false;  // dy and x are the same, the scale is 1
};

double Normal(const RandomStream& random, std::size_t i) { return random.Normal(i); }
double SameSign(const RandomStream& random, std::size_t i) { return 0.5 + random.Uniform(i); }
double Wide(const RandomStream& random, std::size_t i) {
  return random.Normal(2 * i) * std::exp2(-8 * random.Uniform(2 * i + 1));
}
double Constant(const RandomStream&, std::size_t) { return 0.7; }
double Sorted(const RandomStream&, std::size_t i) { return 0.1 + 0.001 * static_cast<double>(i); }

constexpr Data kNormal{"normal", SumMode::kSharp, Normal};
constexpr Data kFar{"far", SumMode::kSharp, Normal, 3000};
constexpr Data kAllData[] = {
    kNormal,
    {"same sign", SumMode::kSharp, SameSign},
    {"wide", SumMode::kSharp, Wide},
    {"near", SumMode::kSharp, Normal, 60},
    kFar,
    {"constant", SumMode::kCertified, Constant},
    {"sorted", SumMode::kCertified, Sorted},
    {"dy equals x", SumMode::kCertified, Normal, 0, true},  // dx is nothing but what cancels
};

std::vector<std::string_view> InputsOf(const Operator& op, Role role) {
  std::vector<std::string_view> names;
  names.reserve(op.params.size());
  for (const Param& param : op.params) {
    if (param.kind == Param::Kind::kInput && param.role == role) names.push_back(param.name);
  }
  return names;
}

TensorSet MakeInputs(const Operator& op, const Dims& dims, const DTypes& dtypes, const Data& data) {
  TensorSet set(op, dims, dtypes);
  set.FillRandom(1e-6);
  const auto fill = [&](std::string_view name, double offset) {
    if (!set[name].present()) return;
    const RandomStream random(HashText(name, 1));
    set.Fill(name, [&](std::size_t i) { return offset + data.element(random, i); });
  };
  const auto names = InputsOf(op, Role::kData);
  fill(names[0], 0);
  fill(names[1], data.offset);
  for (const std::string_view name : InputsOf(op, Role::kScale)) {
    fill(name, 0);
    if (data.equal && set[name].present()) set.Fill(name, [](std::size_t) { return 1.0; });
  }
  if (data.equal) set.Fill(names[0], [&](std::size_t i) { return set.Get(names[1], i); });
  set.FillStatistics(1e-6);
  return set;
}

using Verdicts = std::map<std::string_view, OutputVerdict>;

Verdicts Judge(const TensorSet& set, const BoundRule& rule, Profile profile = Profile::kExpanded) {
  std::map<std::size_t, std::unique_ptr<OutputJudge>> judges;
  for (std::size_t i = 0; i < set.All().size(); ++i) {
    if (set.Op().params[i].kind != Param::Kind::kOutput) continue;
    judges[i] = std::make_unique<OutputJudge>(set.All()[i], rule);
  }
  OracleOf(set.Op()).reference(
      set.BoundDims(), set.All(), profile, 1,
      [&](const ReferenceBlock& block) { judges.at(block.param)->Consume(block); });
  Verdicts verdicts;
  for (const auto& [i, judge] : judges) verdicts[set.Op().params[i].name] = judge->Verdict();
  return verdicts;
}

BoundRule RuleOf(const TensorSet& set, SumMode mode) {
  BoundRule rule;
  rule.mode = mode;
  rule.sixteen_bit_inputs = SizeOf(set.All()[0].dtype) == 2;
  return rule;
}

std::string_view DxOf(const Operator& op) {
  return std::ranges::find(op.params, Param::Kind::kOutput, &Param::kind)->name;
}

// Every kernel meets every operator, shape, dtype and kind of data, but not all of them at once.
constexpr std::size_t kKernelStride = 5;

TEST(Verdict, PassesEveryLegalSummationOrderAndArrangement) {
  std::size_t turn = 0;
  for (const Operator* op : AllOperators()) {
    double worst = 0;
    std::string where;
    for (const Dims& dims : DimsOf(*op)) {
      for (const DTypes& dtypes : DTypeRows(*op)) {
        for (const Data& data : kAllData) {
          TensorSet set = MakeInputs(*op, dims, dtypes, data);
          for (std::size_t k = turn++ % kKernelStride; k < CorrectKernels().size();
               k += kKernelStride) {
            const Float32Kernel& kernel = CorrectKernels()[k];
            kernel.Run(&set);
            for (const auto& [output, verdict] : Judge(set, RuleOf(set, data.mode))) {
              const std::string name =
                  fmt::format("{} of {}, {}, on {} {}, {}", output, op->name, kernel.name,
                              data.name, ToString(dims), Name(set[output].dtype));
              ASSERT_TRUE(verdict.passed()) << name << ": margin " << verdict.margin;
              ASSERT_EQ(verdict.elements, set.CountOf(output));
              if (verdict.margin > worst) worst = verdict.margin, where = name;
            }
          }
        }
      }
    }
    fmt::print("worst margin of a correct kernel: {:.3f} ({})\n", worst, where);
    // Bounds that nothing comes near would show nothing either.
    EXPECT_GT(worst, 0.05) << where;
    EXPECT_LT(worst, 0.8) << where;
  }
}

TEST(Verdict, RefusesAnExpandedKernelWhereACentredOneIsPromised) {
  for (const Operator* op : AllOperators()) {
    if (op == &kRmsNormGrad) continue;  // nothing to expand
    TensorSet set = MakeInputs(*op, DimsOf(*op)[4], DTypesOf(*op, kF32), kFar);
    for (const Float32Kernel& kernel : CorrectKernels()) {
      const bool expanded = kernel.arrangement == Arrangement::kExpanded ||
                            kernel.arrangement == Arrangement::kLinear;
      kernel.Run(&set);
      const BoundRule rule = RuleOf(set, SumMode::kSharp);
      EXPECT_TRUE(Judge(set, rule).at(DxOf(*op)).passed()) << op->name << " " << kernel.name;
      EXPECT_EQ(Judge(set, rule, Profile::kCentred).at(DxOf(*op)).passed(), !expanded)
          << op->name << " " << kernel.name;
    }
  }
}

TensorSet MakeInputs(const Operator& op, const DTypes& dtypes) {
  return MakeInputs(op, HasRows(op) ? Rows(64, 64) : Channels(16, 16, 4, 16), dtypes, kNormal);
}

Verdicts JudgeFault(Fault fault, const Operator& op, const DTypes& dtypes) {
  TensorSet set = MakeInputs(op, dtypes);
  Float32Kernel kernel = CorrectKernels()[3];
  kernel.Run(&set);
  for (const auto& [output, verdict] : Judge(set, RuleOf(set, SumMode::kSharp))) {
    EXPECT_TRUE(verdict.passed()) << output;
  }
  kernel.fault = fault;
  kernel.Run(&set);
  return Judge(set, RuleOf(set, SumMode::kSharp));
}

// Expects dx to be refused; the other outputs have no such fault.
void ExpectCaughtInDx(Fault fault, const Operator& op, const DTypes& dtypes) {
  for (const auto& [output, verdict] : JudgeFault(fault, op, dtypes)) {
    EXPECT_EQ(verdict.passed(), output != DxOf(op))
        << op.name << " " << output << ", fault " << static_cast<int>(fault);
  }
}

TEST(Verdict, CatchesAFormulaThatIsNearlyRight) {
  for (const Operator* op : AllOperators()) {
    std::vector<Fault> faults{Fault::kDividedByOneLess, Fault::kScaleForgotten, Fault::kNextScale};
    const bool has_sums = op != &kBatchNormElemtBackward;
    if (has_sums) faults.push_back(Fault::kLastElementDropped);
    if (!has_sums) faults.insert(faults.end(), {Fault::kOneCounter, Fault::kDeviationNotSquared});
    if (op != &kRmsNormGrad) {
      faults.insert(faults.end(), {Fault::kMeanForgotten, Fault::kMeanSubtractedTwice});
    }
    for (const DTypes& dtypes : DTypeRows(*op)) {
      if (std::ranges::find(dtypes, kNone) != dtypes.end()) continue;  // no scale to forget
      for (const Fault fault : faults) ExpectCaughtInDx(fault, *op, dtypes);
    }
  }
}

TEST(Verdict, CatchesStatisticsOfAnotherSet) {
  for (const Operator* op : AllOperators()) {
    for (const DTypes& dtypes : DTypeRows(*op)) {
      for (const auto& [output, verdict] : JudgeFault(Fault::kNextStatistics, *op, dtypes)) {
        const bool affected = output != "gradBiasOut" && output != "gradBetaOut";
        EXPECT_EQ(verdict.violations > verdict.elements / 4, affected) << op->name << " " << output;
      }
    }
  }
}

TEST(Verdict, CatchesARowThatTheParameterGradientsMiss) {
  for (const Operator* op : AllOperators()) {
    if (op == &kBatchNormElemtBackward) continue;
    for (const DTypes& dtypes : DTypeRows(*op)) {
      for (const auto& [output, verdict] : JudgeFault(Fault::kLastRowDropped, *op, dtypes)) {
        if (output == DxOf(*op)) {
          EXPECT_TRUE(verdict.passed());
        } else {
          EXPECT_GT(verdict.violations, verdict.elements * 9 / 10) << op->name << " " << output;
        }
      }
    }
  }
}

TEST(Verdict, CatchesTruncationInsteadOfRounding) {
  for (const Operator* op : AllOperators()) {
    for (const DType data : {kF16, kBF16}) {
      const auto verdicts = JudgeFault(Fault::kTruncatedOutput, *op, SixteenBitData(*op, data));
      EXPECT_GT(verdicts.at(DxOf(*op)).violations, 1000) << Name(data);  // half of 4096 round up
    }
  }
}

TEST(Verdict, CatchesAMeanKeptInSixteenBits) {
  for (const Operator* op : AllOperators()) {
    if (op == &kBatchNormElemtBackward) continue;
    for (const DType data : {kF16, kBF16}) {
      ExpectCaughtInDx(Fault::kSixteenBitMean, *op, SixteenBitData(*op, data));
    }
  }
}

TEST(Verdict, CatchesOneUnitInTheLastPlaceOfOneSixteenBitElement) {
  for (const Operator* op : AllOperators()) {
    for (const DType data : {kF16, kBF16}) {
      const OutputVerdict dx =
          JudgeFault(Fault::kOneUnitInTheLastPlace, *op, SixteenBitData(*op, data)).at(DxOf(*op));
      EXPECT_EQ(dx.violations, 1) << op->name << " " << Name(data);
      EXPECT_EQ(dx.first_violation, 2048) << op->name << " " << Name(data);
      EXPECT_EQ(dx.worst, 2048) << op->name << " " << Name(data);
    }
  }
}

TEST(Verdict, OfAKernelThatFlushesSubnormalNumbersDependsOnTheRule) {
  for (const Operator* op : AllOperators()) {
    // dy so small that p, and with it dx, is subnormal; the device returns zero.
    TensorSet set = MakeInputs(*op, DimsOf(*op)[4], DTypesOf(*op, kF32), kNormal);
    set.Fill(InputsOf(*op, Role::kData)[0],
             [](std::size_t i) { return 0x1p-130 * static_cast<double>(i % 5 + 1); });
    for (const std::string_view name : InputsOf(*op, Role::kScale)) {
      set.Fill(name, [](std::size_t) { return 1.0; });
    }
    for (const std::string_view name : InputsOf(*op, Role::kChannelSum)) {
      set.Fill(name, [](std::size_t) { return 0.0; });
    }
    BoundRule rule;
    EXPECT_TRUE(Judge(set, rule).at(DxOf(*op)).passed()) << op->name;
    rule.smallest_normal = 0x1p-149;
    EXPECT_FALSE(Judge(set, rule).at(DxOf(*op)).passed()) << op->name;
  }
}

}  // namespace
}  // namespace normgrad
