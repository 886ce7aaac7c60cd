// SPDX-License-Identifier: Apache-2.0
// What the data of every fill promise, on every operator: no correct kernel is refused, exact data
// leave no kernel a choice, and planted faults show.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <map>
#include <set>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "accuracy/judge.h"
#include "checks/check.h"
#include "cpu_device.h"
#include "ops/operators.h"
#include "run/executor.h"
#include "run/fill.h"
#include "tests/unit/accuracy/float32_kernel.h"

namespace normgrad {
namespace {

constexpr DType kF32 = DType::kFloat32, kF16 = DType::kFloat16, kBF16 = DType::kBFloat16;

bool HasRows(const Operator& op) { return &op == &kRmsNormGrad || &op == &kLayerNormBackward; }

// 64 elements a set and 64 sets; or, of a size that is no power of two, fewer.
Dims DimsOf(const Operator& op, bool even) {
  if (HasRows(op)) {
    return even ? Dims{{"A", {64}}, {"R", {64}}} : Dims{{"A", {13}}, {"R", {27}}};
  }
  return even ? Dims{{"N", {16}}, {"C", {16}}, {"G", {4}}, {"S", {16}}, {"K", {4}}}
              : Dims{{"N", {5}}, {"C", {6}}, {"G", {2}}, {"S", {9}}, {"K", {3}}};
}

std::vector<DTypes> RowsOf(const Operator& op) {
  if (&op == &kBatchNormElemtBackward) {
    return {DTypesOf(op, kF32, {{"counter", DType::kInt32}}), DTypesOf(op, kF16),
            DTypesOf(op, kBF16, {{"counter", kF32}})};
  }
  return {DTypesOf(op, kF32), DTypesOf(op, kF32, {{"data", kF16}}), DTypesOf(op, kBF16)};
}

Case CaseOf(const Operator& op, std::string_view fill, const DTypes& dtypes, bool even = true) {
  Case the_case;
  the_case.op = &op;
  the_case.product = "ascend-950";
  the_case.dims = DimsOf(op, even);
  the_case.dtypes = dtypes;
  the_case.fill = fill;
  return the_case;
}

TensorSet TensorsOf(const Case& the_case, const CaseInputs& inputs) {
  TensorSet set(*the_case.op, the_case.dims, the_case.dtypes);
  for (std::size_t i = 0; i < inputs.tensors.size(); ++i) {
    if (inputs.tensors[i].empty()) continue;
    std::memcpy(set.Element(the_case.op->params[i].name, 0), inputs.tensors[i].data(),
                inputs.tensors[i].size());
  }
  return set;
}

BoundRule RuleOf(const TensorSet& set, const CaseInputs& inputs) {
  return {.mode = inputs.quantum > 0    ? SumMode::kExact
                  : inputs.exchangeable ? SumMode::kSharp
                                        : SumMode::kCertified,
          .sixteen_bit_inputs = SizeOf(set.All()[0].dtype) == 2,
          .quantum = inputs.quantum,
          .exact_elements = inputs.exact_elements};
}

std::map<std::string_view, OutputVerdict> Judge(const TensorSet& set, const BoundRule& rule) {
  std::map<std::size_t, OutputJudge> judges;
  for (std::size_t i = 0; i < set.All().size(); ++i) {
    if (set.Op().params[i].kind == Param::Kind::kOutput) judges.try_emplace(i, set.All()[i], rule);
  }
  OracleOf(set.Op()).reference(
      set.BoundDims(), set.All(), Profile::kExpanded, 1,
      [&](const ReferenceBlock& block) { judges.at(block.param).Consume(block); });
  std::map<std::string_view, OutputVerdict> verdicts;
  for (const auto& [i, judge] : judges) verdicts[set.Op().params[i].name] = judge.Verdict();
  return verdicts;
}

std::string_view DxOf(const Operator& op) {
  return std::ranges::find(op.params, Param::Kind::kOutput, &Param::kind)->name;
}

class EveryFillOfEveryOperator
    : public ::testing::TestWithParam<std::tuple<std::string_view, const Operator*>> {};

TEST_P(EveryFillOfEveryOperator, LetsEveryCorrectKernelPass) {
  const auto& [fill, op] = GetParam();
  for (const bool even : {true, false}) {
    for (const DTypes& dtypes : RowsOf(*op)) {
      const Case the_case = CaseOf(*op, fill, dtypes, even);
      if (WhyFillDoesNotApply(the_case)) continue;
      const auto inputs = FillInputs(the_case, 2);
      TensorSet set = TensorsOf(the_case, *inputs);
      for (const Float32Kernel& kernel : CorrectKernels()) {
        kernel.Run(&set);
        for (const auto& [output, verdict] : Judge(set, RuleOf(set, *inputs))) {
          ASSERT_TRUE(verdict.passed())
              << the_case.Id() << " " << output << ", " << kernel.name << ": " << verdict.violations
              << " wrong, margin " << verdict.margin << " at " << verdict.worst << ": "
              << verdict.worst_actual << " for " << verdict.worst_golden;
          ASSERT_GT(verdict.nonzero_reference, 0) << the_case.Id() << " " << output;
        }
      }
    }
  }
}

TEST_P(EveryFillOfEveryOperator, IsAPureFunctionOfTheCase) {
  const auto& [fill, op] = GetParam();
  Case the_case = CaseOf(*op, fill, RowsOf(*op)[1]);
  if (WhyFillDoesNotApply(the_case)) return;
  const auto inputs = FillInputs(the_case, 1);
  EXPECT_EQ(FillInputs(the_case, 3)->tensors, inputs->tensors);
  the_case.seed = 2;
  EXPECT_NE(FillInputs(the_case, 1)->tensors, inputs->tensors);
}

INSTANTIATE_TEST_SUITE_P(
    Fills, EveryFillOfEveryOperator,
    ::testing::Combine(::testing::ValuesIn(FillNames().begin(), FillNames().end()),
                       ::testing::ValuesIn(AllOperators().begin(), AllOperators().end())),
    [](const auto& test) {
      return fmt::format("{}_{}", std::get<0>(test.param), std::get<1>(test.param)->name);
    });

// The bits of an output after every correct kernel.
std::set<std::vector<double>> ResultsOf(TensorSet* set, std::string_view output) {
  std::set<std::vector<double>> results;
  for (const Float32Kernel& kernel : CorrectKernels()) {
    kernel.Run(set);
    std::vector<double> values(set->CountOf(output));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = set->Get(output, i);
    results.insert(std::move(values));
  }
  return results;
}

void ExpectOneResult(std::string_view fill, bool even) {
  for (const Operator* op : AllOperators()) {
    for (const DTypes& dtypes : RowsOf(*op)) {
      const Case the_case = CaseOf(*op, fill, dtypes, even);
      if (WhyFillDoesNotApply(the_case)) continue;
      const auto inputs = FillInputs(the_case, 1);
      EXPECT_GT(inputs->quantum, 0) << the_case.Id();
      TensorSet set = TensorsOf(the_case, *inputs);
      for (const Param& param : op->params) {
        if (param.kind != Param::Kind::kOutput) continue;
        // The mean of a number of elements that is no power of two may be rounded.
        const bool rounded = param.role == Role::kData && (!even || fill == "small_sum");
        if (rounded && set[param.name].dtype == kF32) continue;
        if (rounded && fill == "small_sum") continue;
        EXPECT_EQ(ResultsOf(&set, param.name).size(), 1) << the_case.Id() << " " << param.name;
      }
    }
  }
}

TEST(ExactData, LeaveNoKernelAChoice) { ExpectOneResult("exact", true); }

TEST(ExactData, OfAnyNumberOfElementsLeaveNoChoiceInSumsAndSixteenBits) {
  ExpectOneResult("exact", false);
}

TEST(Ties, LeaveNoKernelAChoice) { ExpectOneResult("ties", true); }

TEST(SmallSums, LeaveNoKernelAChoiceInTheGradientsOfScaleAndBias) {
  ExpectOneResult("small_sum", true);
  ExpectOneResult("small_sum", false);
}

TEST(SmallSums, AreNumbersOfEveryDType) {
  for (const Operator* op : AllOperators()) {
    const Case the_case = CaseOf(*op, "small_sum", DTypesOf(*op, kBF16));
    if (WhyFillDoesNotApply(the_case)) continue;
    TensorSet set = TensorsOf(the_case, *FillInputs(the_case, 1));
    OracleOf(*op).reference(set.BoundDims(), set.All(), Profile::kExpanded, 1,
                            [&](const ReferenceBlock& block) {
                              if (block.own.empty()) return;
                              for (const double value : block.value) {
                                EXPECT_LE(std::fabs(value), 12);
                                EXPECT_EQ(value, std::trunc(value));
                              }
                            });
  }
}

TEST(Ties, AreHalfwayBetweenTwoNumbersOfTheOutput) {
  for (const Operator* op : AllOperators()) {
    for (const DType dtype : {kF16, kBF16}) {
      DTypes dtypes = DTypesOf(*op, dtype);
      const Case the_case = CaseOf(*op, "ties", dtypes);
      ASSERT_EQ(WhyFillDoesNotApply(the_case), std::nullopt);
      TensorSet set = TensorsOf(the_case, *FillInputs(the_case, 1));
      OracleOf(*op).reference(
          set.BoundDims(), set.All(), Profile::kExpanded, 1, [&](const ReferenceBlock& block) {
            if (!block.own.empty()) return;
            for (const double value : block.value) {
              const double spacing = std::exp2(std::ilogb(value) - (dtype == kF16 ? 10 : 7));
              EXPECT_EQ(std::fabs(Round(dtype, value) - value), spacing / 2);
            }
          });
    }
  }
}

TEST(Ties, ShowRoundingAwayFromZero) {
  for (const Operator* op : AllOperators()) {
    for (const DType dtype : {kF16, kBF16}) {
      const Case the_case = CaseOf(*op, "ties", DTypesOf(*op, dtype));
      const auto inputs = FillInputs(the_case, 1);
      TensorSet set = TensorsOf(the_case, *inputs);
      CorrectKernels()[0].Run(&set);
      const std::string_view dx = DxOf(*op);
      const std::size_t count = set.CountOf(dx);
      std::size_t changed = 0;
      OracleOf(*op).reference(
          set.BoundDims(), set.All(), Profile::kExpanded, 1, [&](const ReferenceBlock& block) {
            if (!block.own.empty()) return;
            for (std::size_t i = 0; i < block.value.size(); ++i) {
              const double value = block.value[i], even = Round(dtype, value);
              const double away = value + (value - even);  // the other neighbour
              if (std::fabs(away) < std::fabs(even)) continue;
              set.Set(dx, block.first + i, away);
              ++changed;
            }
          });
      const OutputVerdict verdict = Judge(set, RuleOf(set, *inputs)).at(dx);
      EXPECT_EQ(verdict.violations, changed) << op->name;
      EXPECT_GT(changed, count / 3) << op->name;
    }
  }
}

TEST(NonFiniteData, TaintSomeElementsAndLeaveOthers) {
  for (const Operator* op : AllOperators()) {
    const Case the_case = CaseOf(*op, "nonfinite", DTypesOf(*op, kF32));
    TensorSet set = TensorsOf(the_case, *FillInputs(the_case, 1));
    std::map<std::size_t, std::size_t> finite, tainted;
    OracleOf(*op).reference(set.BoundDims(), set.All(), Profile::kExpanded, 1,
                            [&](const ReferenceBlock& block) {
                              for (const double value : block.value) {
                                ++(std::isfinite(value) ? finite : tainted)[block.param];
                                EXPECT_FALSE(std::isfinite(value) && block.may_overflow);
                              }
                            });
    for (const auto& [param, count] : finite) {
      EXPECT_GE(tainted[param], 1) << op->name;
      EXPECT_GE(count, tainted[param]) << op->name;
    }
  }
}

TEST(NonFiniteData, ShowInfinitySwallowedAndSpread) {
  for (const Operator* op : AllOperators()) {
    const Case the_case = CaseOf(*op, "nonfinite", DTypesOf(*op, kF32));
    const auto inputs = FillInputs(the_case, 1);
    TensorSet set = TensorsOf(the_case, *inputs);
    CorrectKernels()[0].Run(&set);
    const std::string_view dx = DxOf(*op);
    std::size_t swallowed = 0;
    for (std::size_t i = 0; i < set.CountOf(dx); ++i) {
      if (std::isfinite(set.Get(dx, i))) continue;
      set.Set(dx, i, 0);
      ++swallowed;
    }
    ASSERT_GT(swallowed, 0);
    EXPECT_EQ(Judge(set, RuleOf(set, *inputs)).at(dx).nonfinite_errors, swallowed) << op->name;
    for (std::size_t i = 0; i < set.CountOf(dx); ++i) set.Set(dx, i, std::nan(""));
    EXPECT_EQ(Judge(set, RuleOf(set, *inputs)).at(dx).nonfinite_errors, set.CountOf(dx) - swallowed)
        << op->name;
  }
}

// Statistics of float32 beside data of bfloat16: bits that the result has no room for.
TEST(NonFiniteData, ShowNaNCarriedIntoZero) {
  for (const Operator* op : {&kGroupNormBackward, &kBatchNormElemtBackward}) {
    const Case the_case = CaseOf(*op, "nonfinite", SixteenBitData(*op, kBF16));
    const auto inputs = FillInputs(the_case, 1);
    TensorSet set = TensorsOf(the_case, *inputs);
    const auto errors = [&](Fault fault) {
      Float32Kernel kernel = CorrectKernels()[0];
      kernel.fault = fault;
      kernel.Run(&set);
      return Judge(set, RuleOf(set, *inputs)).at(DxOf(*op)).nonfinite_errors;
    };
    const std::size_t set_size = op == &kGroupNormBackward ? 64 : 256;
    EXPECT_EQ(errors(Fault::kNone), 0) << op->name;
    EXPECT_EQ(errors(Fault::kRoundedBits), set_size) << op->name;
  }
}

bool Shows(const Operator& op, std::string_view fill, Fault fault, const DTypes& dtypes) {
  const Case the_case = CaseOf(op, fill, dtypes);
  const auto inputs = FillInputs(the_case, 1);
  TensorSet set = TensorsOf(the_case, *inputs);
  Float32Kernel kernel = CorrectKernels()[3];
  kernel.fault = fault;
  kernel.Run(&set);
  return std::ranges::any_of(Judge(set, RuleOf(set, *inputs)),
                             [](const auto& entry) { return !entry.second.passed(); });
}

// A column per fault below; x: shown on layer norm with bfloat16 data. Small numbers need no more
// digits than bfloat16 has, so that exact data cannot show truncation or means in 16 bits; the
// middle element of edges is subnormal, where a bit more does not show; dx of collinear data is
// rounding errors, among which a forgotten scale of ones or a bit more does not show.
TEST(Fills, ShowTheFaultsTheyAreFor) {
  constexpr Fault kFaults[] = {
      Fault::kLastElementDropped,  Fault::kDividedByOneLess,     Fault::kScaleForgotten,
      Fault::kNextScale,           Fault::kNextStatistics,       Fault::kMeanForgotten,
      Fault::kMeanSubtractedTwice, Fault::kLastRowDropped,       Fault::kTruncatedOutput,
      Fault::kSixteenBitMean,      Fault::kOneUnitInTheLastPlace};
  const std::map<std::string_view, std::string_view> shown = {
      {"normal", "xxxxxxxxxxx"},        {"uniform", "xxxxxxxxxxx"},
      {"positive", "xxxxxxxxxxx"},      {"offset", "xxxxxxxxxxx"},
      {"tiny", "xxxxxxxxxxx"},          {"outlier", "xxxxxxxxxxx"},
      {"wide", "xxxxxxxxxxx"},          {"exact", "xxxxxxxx..x"},
      {"small_sum", "xxxxxxxxx.x"},     {"ties", "xxxxxxxxx.x"},
      {"nonfinite", "xxxxxxxxxxx"},     {"big_mean", "xxxxxxxxxxx"},
      {"edges", "xxxxxxxxxx."},         {"probe", "xxxxxxxxxxx"},
      {"constant_rows", "xxxxxxxxxxx"}, {"free_stats", "xxxxxxxxxxx"},
      {"pair_cancel", "xxxxxxxxxxx"},   {"collinear", "xx..xxxx.x."}};
  const Operator& op = kLayerNormBackward;
  for (const Fill& fill : Fills()) {
    std::string row;
    for (const Fault fault : kFaults) {
      row += Shows(op, fill.name, fault, DTypesOf(op, kF32, {{"data", kBF16}})) ? 'x' : '.';
    }
    EXPECT_EQ(row, shown.at(fill.name)) << fill.name;
  }
}

TEST(WhyFillDoesNotApply, SaysWhatTheDataWouldNeed) {
  const auto why = [](const Operator& op, std::string_view fill, const DTypes& dtypes, Dims dims) {
    Case the_case = CaseOf(op, fill, dtypes);
    the_case.dims = std::move(dims);
    return WhyFillDoesNotApply(the_case).value_or("");
  };
  const Operator& rms = kRmsNormGrad;
  const DTypes half = DTypesOf(rms, kF16);
  EXPECT_EQ(why(rms, "normal", half, {{"A", {1}}, {"R", {1}}}), "");
  EXPECT_EQ(why(rms, "exact", half, {{"A", {9}}, {"R", {3}}}),
            "exact data need at least 4 elements that share statistics");
  EXPECT_EQ(why(rms, "exact", half, {{"A", {9}}, {"R", {5}}}), "");
  EXPECT_EQ(why(rms, "ties", half, {{"A", {9}}, {"R", {5}}}),
            "ties need a power of two of elements that share statistics");
  EXPECT_EQ(why(rms, "ties", DTypesOf(rms, kF32), {{"A", {9}}, {"R", {8}}}),
            "ties need a 16-bit dx");
  EXPECT_EQ(why(rms, "small_sum", half, {{"A", {3}}, {"R", {8}}}),
            "at least 4 elements must share a scale");
  EXPECT_EQ(why(rms, "nonfinite", half, {{"A", {1}}, {"R", {8}}}),
            "one NaN would reach every element");
  EXPECT_EQ(why(rms, "constant_rows", half, {{"A", {1}}, {"R", {8}}}),
            "the data need two sets of elements that share statistics");
  const Operator& batch = kBatchNormElemtBackward;
  const Dims channels = DimsOf(batch, true);
  EXPECT_EQ(why(batch, "pair_cancel", DTypesOf(batch, kF16), channels),
            "the operator adds nothing up");
  EXPECT_EQ(why(batch, "ties", DTypesOf(batch, kF16, {{"gradOut", kBF16}}), channels),
            "ties need a dy of at least the precision of dx");
  Dims counts = channels;
  counts["K"] = {257};
  EXPECT_EQ(why(batch, "exact", DTypesOf(batch, kF16), counts),
            "so many counts make sums that are not exact");
}

TEST(PairCancellingData, LeaveSumsFarBelowTheirTerms) {
  for (const Operator* op : AllOperators()) {
    const Case the_case = CaseOf(*op, "pair_cancel", DTypesOf(*op, kF32));
    if (WhyFillDoesNotApply(the_case)) continue;
    TensorSet set = TensorsOf(the_case, *FillInputs(the_case, 1));
    OracleOf(*op).reference(set.BoundDims(), set.All(), Profile::kCentred, 1,
                            [&](const ReferenceBlock& block) {
                              for (std::size_t i = 0; i < block.own.size(); ++i) {
                                EXPECT_LT(std::fabs(block.value[i]), block.own[i].magnitude / 100);
                                EXPECT_NE(block.value[i], 0);
                              }
                            });
  }
}

// What CheckAccuracy says of the CPU device on data changed after they were made.
Answer AccuracyOn(const Case& the_case, const std::function<void(CaseInputs*)>& change) {
  const auto inputs = std::make_shared<CaseInputs>(*FillInputs(the_case, 1));
  inputs->exchangeable = false;
  change(inputs.get());
  CaseRun run(the_case, CpuDevice(), inputs);
  Result result;
  return CheckAccuracy(run, {}, &result);
}

TEST(CheckAccuracy, MistrustsDataThatHideMistakes) {
  constexpr std::size_t kDy = 0, kX = 1, kGamma = 3;
  const Case the_case = CaseOf(kRmsNormGrad, "normal", DTypesOf(kRmsNormGrad, kF32));
  const auto ones = [](CaseInputs* inputs) {
    Bytes& gamma = inputs->tensors[kGamma];
    for (std::size_t at = 0; at < gamma.size(); at += SizeOf(kF32)) Store(kF32, 1, &gamma[at]);
  };
  const auto twins = [](CaseInputs* inputs) { inputs->tensors[kDy] = inputs->tensors[kX]; };
  EXPECT_EQ(AccuracyOn(the_case, [](CaseInputs*) {}).outcome, Outcome::kPassed);
  EXPECT_EQ(AccuracyOn(the_case, ones).outcome, Outcome::kMistrusted);
  EXPECT_EQ(AccuracyOn(the_case, ones).reason, "gamma: all ones");
  EXPECT_EQ(AccuracyOn(the_case, twins).outcome, Outcome::kMistrusted);
  EXPECT_EQ(AccuracyOn(the_case, twins).reason, "dy and x are equal");
  // Data that promise nothing may be anything.
  const auto careless = [&](CaseInputs* inputs) {
    ones(inputs);
    inputs->exposing = false;
  };
  EXPECT_EQ(AccuracyOn(the_case, careless).outcome, Outcome::kPassed);
}

TEST(InProcessExecutor, SkipsACaseThatItsFillDoesNotFit) {
  Case the_case = CaseOf(kRmsNormGrad, "ties", DTypesOf(kRmsNormGrad, kF32));
  the_case.checks = {"accuracy"};
  const Result result =
      InProcessExecutor(CpuDevice(), {}, [](const Case&, std::string_view) {}).Execute(the_case);
  EXPECT_EQ(result.outcome, Outcome::kSkipped);
  EXPECT_EQ(result.checks.at(0).reason, "fill ties: ties need a 16-bit dx");
}

}  // namespace
}  // namespace normgrad
