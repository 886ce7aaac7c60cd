// SPDX-License-Identifier: Apache-2.0
// What the whole of it is for: every correct float32 kernel passes, planted mistakes do not.
#include <cmath>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "accuracy/judge.h"
#include "base/random.h"
#include "ops/operators.h"
#include "tests/unit/accuracy/float32_kernel.h"

namespace normgrad {
namespace {

constexpr DType kF32 = DType::kFloat32, kF16 = DType::kFloat16, kBF16 = DType::kBFloat16;

// The document's dtype table.
constexpr RoleDTypes kDTypeRows[] = {
    {kF32, kF32, kF32, kF32}, {kF16, kF32, kF32, kF32},   {kBF16, kF32, kF32, kF32},
    {kF16, kF32, kF16, kF32}, {kBF16, kF32, kBF16, kF32},
};

// Inputs, and which bound they admit.
struct Data {
  std::string_view name;
  SumMode mode;
  void (*fill)(TensorSet* set, std::uint64_t seed);
};

template <typename Element>
void FillInputs(TensorSet* set, std::uint64_t seed, Element element) {
  for (const std::string_view name : {"dy", "x", "gamma"}) {
    const RandomStream random(HashText(name, seed + 1));
    set->Fill(name, [&](std::size_t i) { return element(random, i); });
  }
}

void FillNormal(TensorSet* set, std::uint64_t seed) {
  FillInputs(set, seed, [](const RandomStream& random, std::size_t i) { return random.Normal(i); });
}

void FillSameSign(TensorSet* set, std::uint64_t seed) {
  FillInputs(set, seed,
             [](const RandomStream& random, std::size_t i) { return 0.5 + random.Uniform(i); });
}

void FillWide(TensorSet* set, std::uint64_t seed) {
  FillInputs(set, seed, [](const RandomStream& random, std::size_t i) {
    return random.Normal(2 * i) * std::exp2(-8 * random.Uniform(2 * i + 1));
  });
}

void FillConstant(TensorSet* set, std::uint64_t seed) {
  FillInputs(set, seed, [](const RandomStream&, std::size_t) { return 0.7; });
}

void FillSorted(TensorSet* set, std::uint64_t seed) {
  FillInputs(set, seed, [](const RandomStream&, std::size_t i) {
    return 0.1 + 0.001 * static_cast<double>(i);
  });
}

// dx is nothing but what cancels.
void FillEqual(TensorSet* set, std::uint64_t seed) {
  FillNormal(set, seed);
  set->Fill("dy", [&](std::size_t i) { return set->Get("x", i); });
  set->Fill("gamma", [](std::size_t) { return 1.0; });
}

constexpr Data kNormal{"normal", SumMode::kSharp, FillNormal};
constexpr Data kAllData[] = {
    kNormal,
    {"same sign", SumMode::kSharp, FillSameSign},
    {"wide", SumMode::kSharp, FillWide},
    {"constant", SumMode::kCertified, FillConstant},
    {"sorted", SumMode::kCertified, FillSorted},
    {"dy equals x", SumMode::kCertified, FillEqual},
};

TensorSet MakeInputs(std::int64_t rows, std::int64_t columns, const RoleDTypes& dtypes,
                     const Data& data, std::uint64_t seed = 0) {
  TensorSet set(kRmsNormGrad, {{"A", {rows}}, {"R", {columns}}}, dtypes);
  data.fill(&set, seed);
  set.FillStatistics(kRmsNormGradOracle, 1e-6);
  return set;
}

struct Verdicts {
  OutputVerdict dx, dgamma;
};

Verdicts Judge(const TensorSet& set, SumMode mode) {
  BoundRule rule;
  rule.mode = mode;
  rule.sixteen_bit_inputs = SizeOf(set["x"].dtype) == 2;
  OutputJudge dx(set["dxOut"], rule), dgamma(set["dgammaOut"], rule);
  kRmsNormGradOracle.reference(set.BoundDims(), set.All(), Profile::kExpanded, 1,
                               [&](const ReferenceBlock& block) {
                                 (block.param == set.IndexOf("dxOut") ? dx : dgamma).Consume(block);
                               });
  return {dx.Verdict(), dgamma.Verdict()};
}

TEST(Verdict, PassesEveryLegalSummationOrderAndArrangement) {
  double worst = 0;
  std::string where;
  for (const auto& [rows, columns] : std::initializer_list<std::pair<int, int>>{
           {1, 1}, {1, 7}, {7, 1}, {3, 17}, {64, 33}, {3, 1000}, {300, 2}, {1000, 1}, {1, 3000}}) {
    for (const RoleDTypes& dtypes : kDTypeRows) {
      for (const Data& data : kAllData) {
        TensorSet set = MakeInputs(rows, columns, dtypes, data);
        for (const Float32Kernel& kernel : CorrectKernels()) {
          kernel.Run(&set);
          const Verdicts verdicts = Judge(set, data.mode);
          const std::string name = fmt::format("{} on {} {} x {}, {}", kernel.name, data.name, rows,
                                               columns, Name(dtypes.data));
          ASSERT_TRUE(verdicts.dx.passed()) << name << ": dx margin " << verdicts.dx.margin;
          ASSERT_TRUE(verdicts.dgamma.passed()) << name << ": dgamma " << verdicts.dgamma.margin;
          ASSERT_EQ(verdicts.dx.elements, static_cast<std::size_t>(rows * columns));
          const double margin = std::max(verdicts.dx.margin, verdicts.dgamma.margin);
          if (margin > worst) worst = margin, where = name;
        }
      }
    }
  }
  fmt::print("worst margin of a correct kernel: {:.3f} ({})\n", worst, where);
  // Bounds that nothing comes near would show nothing either.
  EXPECT_GT(worst, 0.05);
  EXPECT_LT(worst, 0.8) << where;
}

Verdicts JudgeFault(Fault fault, const RoleDTypes& dtypes) {
  TensorSet set = MakeInputs(64, 64, dtypes, kNormal);
  Float32Kernel kernel = CorrectKernels()[3];
  kernel.Run(&set);
  const Verdicts clean = Judge(set, SumMode::kSharp);
  EXPECT_TRUE(clean.dx.passed() && clean.dgamma.passed());
  kernel.fault = fault;
  kernel.Run(&set);
  return Judge(set, SumMode::kSharp);
}

TEST(Verdict, CatchesAFormulaThatIsNearlyRight) {
  for (const RoleDTypes& dtypes : kDTypeRows) {
    for (const Fault fault :
         {Fault::kLastElementDropped, Fault::kDividedByOneLess, Fault::kGammaForgotten}) {
      const Verdicts verdicts = JudgeFault(fault, dtypes);
      EXPECT_FALSE(verdicts.dx.passed()) << Name(dtypes.data) << " " << static_cast<int>(fault);
      EXPECT_TRUE(verdicts.dgamma.passed());
    }
  }
}

TEST(Verdict, CatchesARowThatDgammaMisses) {
  for (const RoleDTypes& dtypes : kDTypeRows) {
    const Verdicts verdicts = JudgeFault(Fault::kLastRowDropped, dtypes);
    EXPECT_TRUE(verdicts.dx.passed());
    EXPECT_EQ(verdicts.dgamma.violations, 64) << Name(dtypes.data);
  }
}

TEST(Verdict, CatchesTruncationInsteadOfRounding) {
  for (const DType data : {kF16, kBF16}) {
    const Verdicts verdicts = JudgeFault(Fault::kTruncatedOutput, {data, kF32, kF32, kF32});
    EXPECT_GT(verdicts.dx.violations, 1000) << Name(data);  // half of 4096 round up
  }
}

TEST(Verdict, CatchesAMeanKeptInSixteenBits) {
  for (const DType data : {kF16, kBF16}) {
    EXPECT_FALSE(JudgeFault(Fault::kSixteenBitMean, {data, kF32, kF32, kF32}).dx.passed());
  }
}

TEST(Verdict, CatchesOneUnitInTheLastPlaceOfOneSixteenBitElement) {
  for (const DType data : {kF16, kBF16}) {
    const OutputVerdict dx = JudgeFault(Fault::kOneUnitInTheLastPlace, {data, kF32, kF32, kF32}).dx;
    EXPECT_EQ(dx.violations, 1) << Name(data);
    EXPECT_EQ(dx.first_violation, 2048) << Name(data);
    EXPECT_EQ(dx.worst, 2048) << Name(data);
  }
}

TEST(Verdict, OfAKernelThatFlushesSubnormalNumbersDependsOnTheRule) {
  // dy so small that p, and with it dx, is subnormal; the device returns zero.
  TensorSet set = MakeInputs(1, 4, kDTypeRows[0], kNormal);
  set.Fill("dy", [](std::size_t i) { return 0x1p-130 * static_cast<double>(i + 1); });
  set.Fill("gamma", [](std::size_t) { return 1.0; });
  EXPECT_TRUE(Judge(set, SumMode::kSharp).dx.passed());
  BoundRule gradual;
  gradual.smallest_normal = 0x1p-149;
  OutputJudge judge(set["dxOut"], gradual);
  kRmsNormGradOracle.reference(set.BoundDims(), set.All(), Profile::kExpanded, 1,
                               [&](const ReferenceBlock& block) {
                                 if (block.param == set.IndexOf("dxOut")) judge.Consume(block);
                               });
  EXPECT_FALSE(judge.Verdict().passed());
}

}  // namespace
}  // namespace normgrad
