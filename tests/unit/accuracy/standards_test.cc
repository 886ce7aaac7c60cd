// SPDX-License-Identifier: Apache-2.0
#include "accuracy/standards.h"

#include <limits>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "ops/operators.h"

namespace normgrad {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kLargestFloat32 = 0x1.fffffep127;

OutputKind Kind(DType dtype) { return {.op = "rms_norm_grad", .dtype = dtype, .data = dtype}; }

// A device's output in `kind.dtype`, and the reference.
struct Scene {
  OutputKind kind;
  std::vector<double> golden;
  std::vector<std::byte> storage;

  Scene(const OutputKind& output, const std::vector<double>& actual, std::vector<double> reference)
      : kind(output), golden(std::move(reference)), storage(actual.size() * SizeOf(output.dtype)) {
    for (std::size_t i = 0; i < actual.size(); ++i) {
      Store(kind.dtype, actual[i], &storage[i * SizeOf(kind.dtype)]);
    }
  }
  Scene(DType dtype, const std::vector<double>& actual, std::vector<double> reference)
      : Scene(Kind(dtype), actual, std::move(reference)) {}

  OutputComparison Start() const {
    return {{kind.dtype, {static_cast<std::int64_t>(golden.size())}, storage.data()},
            LimitsOf(kind)};
  }
  ReferenceBlock Block(std::size_t first, std::size_t count) const {
    ReferenceBlock block;
    block.first = first;
    block.value = std::span(golden).subspan(first, count);
    return block;
  }
  Comparison Compare() const {
    OutputComparison comparison = Start();
    comparison.Consume(Block(0, golden.size()));
    return comparison.Total();
  }
  Statistic Ask(std::string_view standard) const {
    return FindStandard(standard)->judge(kind, Compare());
  }
  bool Passes(std::string_view standard) const { return Ask(standard).passed(); }

  std::set<std::string_view> Passing() const {
    const Comparison comparison = Compare();
    std::set<std::string_view> names;
    for (const Standard& standard : Standards()) {
      if (standard.judge(kind, comparison).passed()) names.insert(standard.name);
    }
    return names;
  }
};

// `count` elements of golden 1, of which the first `wrong` are `actual`.
Scene Ones(DType dtype, std::size_t count, std::size_t wrong, double actual) {
  std::vector<double> elements(count, 1);
  std::fill_n(elements.begin(), wrong, actual);
  return {dtype, elements, std::vector<double>(count, 1)};
}

TEST(CannMixed, AllowsOnePercentBeyondTheTolerance) {
  // 2^-13 + 2^-13 * 1.
  EXPECT_EQ(Ones(DType::kFloat32, 100, 100, 1 + 0x1p-12).Ask("cann-mixed").value, 0);
  EXPECT_TRUE(Ones(DType::kFloat32, 100, 1, 1 + 0x1p-12 + 0x1p-23).Passes("cann-mixed"));
  const Statistic two = Ones(DType::kFloat32, 100, 2, 1 + 0x1p-12 + 0x1p-23).Ask("cann-mixed");
  EXPECT_FALSE(two.passed());
  EXPECT_EQ(two.name, "mismatched share");
  EXPECT_EQ(two.value, 0.02);
  EXPECT_EQ(two.limit, 0.01);
}

TEST(CannMixed, HasATolerancePerDType) {
  EXPECT_TRUE(Ones(DType::kFloat16, 1, 1, 1 + 2 * 0x1p-10).Passes("cann-mixed"));
  EXPECT_FALSE(Ones(DType::kFloat16, 1, 1, 1 + 3 * 0x1p-10).Passes("cann-mixed"));
  EXPECT_TRUE(Ones(DType::kBFloat16, 1, 1, 1 + 2 * 0x1p-7).Passes("cann-mixed"));
  EXPECT_FALSE(Ones(DType::kBFloat16, 1, 1, 1 + 3 * 0x1p-7).Passes("cann-mixed"));
}

TEST(CannMixed, ItsEarlierVersionTakesMore) {
  EXPECT_TRUE(Ones(DType::kFloat32, 1, 1, 1 + 0x1p-10).Passes("cann-mixed-v2"));
  EXPECT_FALSE(Ones(DType::kFloat32, 1, 1, 1 + 0x1p-10 + 0x1p-15).Passes("cann-mixed-v2"));
  EXPECT_TRUE(Ones(DType::kFloat16, 1, 1, 1 + 4 * 0x1p-10).Passes("cann-mixed-v2"));
  EXPECT_FALSE(Ones(DType::kFloat16, 1, 1, 1 + 5 * 0x1p-10).Passes("cann-mixed-v2"));
  EXPECT_TRUE(Ones(DType::kBFloat16, 1, 1, 1 + 4 * 0x1p-7).Passes("cann-mixed-v2"));
  EXPECT_FALSE(Ones(DType::kBFloat16, 1, 1, 1 + 5 * 0x1p-7).Passes("cann-mixed-v2"));
}

TEST(CannMixed, LimitsTheErrorOfEveryElement) {
  const Statistic beyond = Ones(DType::kFloat32, 1000, 1, 1.02).Ask("cann-mixed");
  EXPECT_EQ(beyond.name, "elements beyond the error limit");
  EXPECT_EQ(beyond.value, 1);
  EXPECT_EQ(beyond.limit, 0);
  EXPECT_TRUE(Ones(DType::kFloat32, 1000, 1, 1.009).Passes("cann-mixed"));
  EXPECT_TRUE(Ones(DType::kFloat16, 1000, 1, 1.099).Passes("cann-mixed"));
  EXPECT_FALSE(Ones(DType::kFloat16, 1000, 1, 1.102).Passes("cann-mixed"));
  // bfloat16 takes 32 ulp of 1, a quarter, which is more than 0.1; before, it took 1.
  EXPECT_TRUE(Ones(DType::kBFloat16, 1000, 1, 1.25).Passes("cann-mixed"));
  EXPECT_FALSE(Ones(DType::kBFloat16, 1000, 1, 1.25 + 0x1p-7).Passes("cann-mixed"));
  EXPECT_TRUE(Ones(DType::kBFloat16, 1000, 1, 2).Passes("cann-mixed-v2"));
  EXPECT_FALSE(Ones(DType::kBFloat16, 1000, 1, 2 + 0x1p-6).Passes("cann-mixed-v2"));
}

TEST(CannMixed, TakesThirtyTwoUnitsInTheLastPlaceOfLargeValues) {
  // 2^-3 each in [2^20, 2^21).
  EXPECT_TRUE(Scene(DType::kFloat32, {0x1p20 + 4}, {0x1p20}).Passes("cann-mixed"));
  EXPECT_FALSE(Scene(DType::kFloat32, {0x1p20 + 4.125}, {0x1p20}).Passes("cann-mixed"));
}

TEST(MereMare, HoldsTheMeanAndTheLargestRelativeError) {
  EXPECT_TRUE(Ones(DType::kFloat32, 4, 1, 1 + 0x1p-12).Passes("mere-mare"));
  const Statistic mean = Ones(DType::kFloat32, 4, 4, 1 + 0x1p-12).Ask("mere-mare");
  EXPECT_FALSE(mean.passed());
  EXPECT_EQ(mean.name, "mean relative error");
  EXPECT_EQ(mean.value, 0x1p-12 / (1 + 1e-7));
  EXPECT_EQ(mean.limit, 0x1p-13);
  const Statistic largest = Ones(DType::kFloat32, 1000, 1, 1 + 0x1p-9).Ask("mere-mare");
  EXPECT_FALSE(largest.passed());
  EXPECT_EQ(largest.name, "largest relative error");
  EXPECT_EQ(largest.value, 0x1p-9 / (1 + 1e-7));
  EXPECT_EQ(largest.limit, 10 * 0x1p-13);
}

TEST(MereMare, HasAThresholdPerDType) {
  // Half of the elements one unit in the last place off: a mean of half that unit.
  EXPECT_TRUE(Ones(DType::kFloat16, 8, 4, 1 + 0x1p-10).Passes("mere-mare"));
  EXPECT_FALSE(Ones(DType::kFloat16, 8, 4, 1 + 3 * 0x1p-10).Passes("mere-mare"));
  EXPECT_TRUE(Ones(DType::kBFloat16, 8, 4, 1 + 0x1p-7).Passes("mere-mare"));
  EXPECT_FALSE(Ones(DType::kBFloat16, 8, 4, 1 + 3 * 0x1p-7).Passes("mere-mare"));
}

TEST(CannBench, ForgivesTwoSmallElements) {
  const auto scene = [](std::size_t wrong) {
    std::vector<double> actual(10, 1), golden(10, 1);
    std::fill_n(actual.begin(), wrong, 0x1p-14);
    std::fill_n(golden.begin(), wrong, 0x1p-15);
    return Scene(DType::kFloat32, actual, golden);
  };
  EXPECT_FALSE(scene(1).Passes("mere-mare"));
  EXPECT_TRUE(scene(2).Passes("cann-bench"));
  const Statistic three = scene(3).Ask("cann-bench");
  EXPECT_FALSE(three.passed());
  EXPECT_EQ(three.name, "small elements");
  EXPECT_EQ(three.value, 3);
  EXPECT_EQ(three.limit, 2);
}

TEST(CannBench, ForgivesTwoCancelledElements) {
  const auto scene = [](std::size_t wrong) {
    std::vector<double> actual(10, 1), golden(10, 1);
    std::fill_n(actual.begin(), wrong, -0x1p-9);
    std::fill_n(golden.begin(), wrong, 0x1p-10);
    return Scene(DType::kFloat32, actual, golden);
  };
  EXPECT_FALSE(scene(1).Passes("mere-mare"));
  EXPECT_TRUE(scene(2).Passes("cann-bench"));
  EXPECT_EQ(scene(3).Ask("cann-bench").name, "cancelled elements");
  EXPECT_FALSE(scene(3).Passes("cann-bench"));
}

TEST(CannBench, ForgivesNoOtherElement) {
  const Statistic far = Ones(DType::kFloat32, 1000, 1, 1 + 0x1p-9).Ask("cann-bench");
  EXPECT_FALSE(far.passed());
  EXPECT_EQ(far.name, "far elements");
  EXPECT_EQ(far.value, 1);
}

TEST(CannBench, CountsAnElementOnALimitAmongTheLargerOnes) {
  const auto kind_of = [](double golden) {
    std::vector<double> actual(10, 1), goldens(10, 1);
    std::fill_n(actual.begin(), 3, golden / 2);
    std::fill_n(goldens.begin(), 3, golden);
    return Scene(DType::kFloat32, actual, goldens).Ask("cann-bench").name;
  };
  EXPECT_EQ(kind_of(0x1p-14 - 0x1p-37), "small elements");
  EXPECT_EQ(kind_of(0x1p-14), "cancelled elements");
  EXPECT_EQ(kind_of(0x1p-8 - 0x1p-31), "cancelled elements");
  EXPECT_EQ(kind_of(0x1p-8), "far elements");
}

TEST(CannBench, DropsTheMeanOnceItFails) {
  EXPECT_TRUE(Ones(DType::kFloat32, 4, 4, 1 + 0x1p-12).Passes("cann-bench"));
}

TEST(Close, AllowsAShareBeyondTheTolerance) {
  EXPECT_TRUE(Ones(DType::kFloat32, 10000, 1, 1.001).Passes("close"));
  EXPECT_FALSE(Ones(DType::kFloat32, 10000, 2, 1.001).Passes("close"));
  EXPECT_TRUE(Ones(DType::kFloat32, 1, 1, 1 + 0.99e-4).Passes("close"));
  EXPECT_FALSE(Ones(DType::kFloat32, 1, 1, 1 + 1.01e-4).Passes("close"));
  for (const DType dtype : {DType::kFloat16, DType::kBFloat16}) {
    EXPECT_TRUE(Ones(dtype, 1000, 1, 2).Passes("close"));
    EXPECT_FALSE(Ones(dtype, 1000, 2, 2).Passes("close"));
  }
  EXPECT_TRUE(Ones(DType::kFloat16, 1, 1, 1 + 0x1p-10).Passes("close"));
  EXPECT_FALSE(Ones(DType::kFloat16, 1, 1, 1 + 0x1p-9).Passes("close"));
}

TEST(Cosine, SeesDirectionsOnly) {
  EXPECT_TRUE(Scene(DType::kFloat32, {7, 0}, {1, 0}).Passes("cosine"));
  const Statistic near = Scene(DType::kFloat32, {1, 0.125}, {1, 0}).Ask("cosine");
  EXPECT_TRUE(near.passed());
  EXPECT_NEAR(near.value, 1 - 8 / std::sqrt(65.0), 1e-15);
  EXPECT_FALSE(Scene(DType::kFloat32, {1, 0.25}, {1, 0}).Passes("cosine"));
  EXPECT_NEAR(Scene(DType::kFloat32, {1, 1}, {1, 0}).Ask("cosine").value, 1 - std::sqrt(0.5),
              1e-15);
}

TEST(Cosine, OfZerosIsDecidedWithoutADirection) {
  EXPECT_TRUE(Scene(DType::kFloat32, {0, 0}, {0, 0}).Passes("cosine"));
  EXPECT_EQ(Scene(DType::kFloat32, {0, 0}, {1, 0}).Ask("cosine").value, 1);
}

TEST(Binary, WantsTheBitsOfTheRoundedReference) {
  EXPECT_TRUE(Scene(DType::kFloat16, {1}, {1 + 0x1p-12}).Passes("binary"));
  const Statistic one = Scene(DType::kFloat16, {1 + 0x1p-10, 1}, {1 + 0x1p-12, 1}).Ask("binary");
  EXPECT_FALSE(one.passed());
  EXPECT_EQ(one.name, "different elements");
  EXPECT_EQ(one.value, 1);
  EXPECT_FALSE(Scene(DType::kFloat32, {-0.0}, {0.0}).Passes("binary"));
}

TEST(Torch, AllowsNoElementBeyondTheTolerance) {
  EXPECT_TRUE(Ones(DType::kFloat32, 1000, 1000, 1 + 11 * 0x1p-20).Passes("torch"));
  const Statistic one = Ones(DType::kFloat32, 1000, 1, 1 + 12 * 0x1p-20).Ask("torch");
  EXPECT_FALSE(one.passed());
  EXPECT_EQ(one.name, "mismatched elements");
  EXPECT_EQ(one.value, 1);
  EXPECT_TRUE(Ones(DType::kFloat16, 1, 1, 1 + 0x1p-10).Passes("torch"));
  EXPECT_FALSE(Ones(DType::kFloat16, 1, 1, 1 + 0x1p-9).Passes("torch"));
  EXPECT_TRUE(Ones(DType::kBFloat16, 1, 1, 1 + 2 * 0x1p-7).Passes("torch"));
  EXPECT_FALSE(Ones(DType::kBFloat16, 1, 1, 1 + 3 * 0x1p-7).Passes("torch"));
}

TEST(Benchdnn, FallsBackToTheNormOfTheWholeOutput) {
  EXPECT_EQ(Ones(DType::kFloat32, 2, 2, 1 + 4 * 0x1p-23).Ask("benchdnn").name, "elements beyond");
  const Statistic one = Ones(DType::kFloat32, 2, 1, 1 + 5 * 0x1p-23).Ask("benchdnn");
  EXPECT_TRUE(one.passed());
  EXPECT_EQ(one.name, "relative L2 error");
  EXPECT_NEAR(one.value, 5 * 0x1p-23 / std::sqrt(2.0), 1e-20);
  EXPECT_EQ(one.limit, 5e-7);
  EXPECT_FALSE(Ones(DType::kFloat32, 2, 2, 1 + 5 * 0x1p-23).Passes("benchdnn"));
}

TEST(Benchdnn, ComparesTinyElementsByTheirAbsoluteError) {
  EXPECT_TRUE(Scene(DType::kFloat32, {1.1e-6}, {1e-6}).Passes("benchdnn"));
  EXPECT_TRUE(Scene(DType::kFloat32, {9e-7}, {5e-7}).Passes("benchdnn"));
  EXPECT_FALSE(Scene(DType::kFloat32, {2e-6}, {1e-6}).Passes("benchdnn"));
}

TEST(Benchdnn, HasAThresholdPerOperatorOutputAndDTypeOfTheData) {
  const auto threshold = [](std::string_view op, Role role, DType data) {
    return LimitsOf({.op = op, .role = role, .dtype = DType::kFloat32, .data = data}).benchdnn;
  };
  EXPECT_EQ(threshold("layer_norm_backward", Role::kData, DType::kFloat32), 5e-7);
  EXPECT_EQ(threshold("group_norm_backward", Role::kData, DType::kFloat32), 6e-7);
  EXPECT_EQ(threshold("batch_norm_elemt_backward", Role::kData, DType::kFloat16), 6e-7 * 8192);
  EXPECT_EQ(threshold("rms_norm_grad", Role::kScaleGrad, DType::kFloat32), 5e-6);
  EXPECT_EQ(threshold("rms_norm_grad", Role::kScaleGrad, DType::kBFloat16), 5e-6 * 65536);
  EXPECT_THROW(threshold("soft_max", Role::kData, DType::kFloat32), std::logic_error);
}

TEST(Mlu, Diff1IsTheMeanErrorRelativeToTheMeanMagnitude) {
  const Statistic one = Ones(DType::kFloat32, 4, 1, 1 + 0x1p-7).Ask("mlu-diff1");
  EXPECT_TRUE(one.passed());
  EXPECT_EQ(one.value, 0x1p-7 / (4 + 1e-9));
  EXPECT_EQ(one.limit, 3e-3);
  EXPECT_FALSE(Ones(DType::kFloat32, 4, 2, 1 + 0x1p-7).Passes("mlu-diff1"));
}

TEST(Mlu, Diff2IsTheRelativeL2Error) {
  const Statistic one = Ones(DType::kFloat32, 4, 1, 1 + 0x1p-7).Ask("mlu-diff2");
  EXPECT_FALSE(one.passed());
  EXPECT_EQ(one.value, std::sqrt(0x1p-14 / (4 + 1e-9)));
  EXPECT_TRUE(Ones(DType::kFloat32, 16, 1, 1 + 0x1p-7).Passes("mlu-diff2"));
}

TEST(Mlu, Diff3IsTheLargestErrorOfOneElement) {
  EXPECT_TRUE(Ones(DType::kFloat32, 1000, 1, 1 + 0x1p-9).Passes("mlu-diff3"));
  EXPECT_FALSE(Ones(DType::kFloat32, 1000, 1, 1 + 0x1p-8).Passes("mlu-diff3"));
  // Absolute below 1e-6 of float32 and 1e-4 of float16, never of bfloat16.
  EXPECT_EQ(Scene(DType::kFloat32, {0x1p-9}, {0}).Ask("mlu-diff3").value, 0x1p-9);
  EXPECT_FALSE(Scene(DType::kFloat32, {0x1p-9}, {0x1p-19}).Passes("mlu-diff3"));
  EXPECT_TRUE(Scene(DType::kFloat16, {0x1p-9}, {0x1p-14}).Passes("mlu-diff3"));
  EXPECT_FALSE(Scene(DType::kBFloat16, {0x1p-9}, {0x1p-21}).Passes("mlu-diff3"));
}

TEST(Standards, AllTakeTheRoundedReference) {
  const Scene scene(DType::kFloat16, {1, 0.5}, {1 + 0x1p-12, 0.5 - 0x1p-14});
  EXPECT_EQ(scene.Passing().size(), Standards().size());
  EXPECT_EQ(scene.Compare().sums[Comparison::kError], 0);
}

TEST(Standards, AnEmptyOutputPasses) {
  const Scene empty(DType::kFloat32, {}, {});
  EXPECT_EQ(empty.Passing().size(), Standards().size());
}

TEST(Standards, TorchAloneRefusesANanThatBelongs) {
  std::set<std::string_view> all;
  for (const Standard& standard : Standards()) all.insert(standard.name);
  EXPECT_EQ(Scene(DType::kFloat32, {1, kInfinity}, {1, kInfinity}).Passing(), all);
  all.erase("torch");
  EXPECT_EQ(Scene(DType::kFloat32, {1, kNan}, {1, kNan}).Passing(), all);
}

TEST(Standards, AReferenceThatIsNotFiniteStandsForAnySuchNumber) {
  EXPECT_TRUE(Scene(DType::kFloat32, {kInfinity}, {kNan}).Passes("cann-mixed"));
  EXPECT_TRUE(Scene(DType::kFloat32, {-kInfinity}, {kInfinity}).Passes("binary"));
  // One that overflows only in the output's dtype has a sign.
  EXPECT_TRUE(Scene(DType::kFloat16, {kInfinity}, {1e6}).Passes("binary"));
  EXPECT_FALSE(Scene(DType::kFloat16, {-kInfinity}, {1e6}).Passes("binary"));
}

TEST(Standards, NonePassesAStrayNan) {
  EXPECT_THAT(Scene(DType::kFloat32, {1, kNan}, {1, 1}).Passing(), testing::IsEmpty());
}

TEST(Standards, CannBenchTakesALoneInfinityForTheLargestNumber) {
  EXPECT_THAT(Scene(DType::kFloat32, {1, kInfinity}, {1, kLargestFloat32}).Passing(),
              ElementsAre("cann-bench"));
  EXPECT_FALSE(Scene(DType::kFloat32, {1, kInfinity}, {1, 1}).Passes("cann-bench"));
}

TEST(Standards, BenchdnnJudgesNothingWhereTheReferenceIsNotFinite) {
  EXPECT_THAT(Scene(DType::kFloat32, {1, 7}, {1, kNan}).Passing(), ElementsAre("benchdnn"));
}

TEST(Standards, MluStopsLookingAtTheFirstNanThatBelongs) {
  EXPECT_THAT(Scene(DType::kFloat32, {7, -3, kNan}, {1, 1, kNan}).Passing(),
              UnorderedElementsAre("mlu-diff1", "mlu-diff2", "mlu-diff3"));
}

TEST(OutputComparison, RoundsAsTheRestOfTheProgramDoes) {
  std::mt19937_64 random(1);
  std::uniform_int_distribution<int> exponent(-160, 140);
  std::uniform_real_distribution<double> significand(-2, 2);
  std::vector<double> golden = {0,
                                65519.999,
                                65520,
                                0x1p-25,
                                0x1.8p-24,
                                0x1p-150,
                                0x1.8p-149,
                                0x1p-14 - 0x1p-26,
                                0x1p-126 - 0x1p-151,
                                3.4028235677973366e38,
                                1 + 0x1p-11,
                                1 + 3 * 0x1p-11,
                                1 + 0x1p-24,
                                1 + 0x1p-8};
  for (int i = 0; i < 4000; ++i) {
    golden.push_back(std::ldexp(significand(random), i % 2 == 0 ? exponent(random) : 0));
  }
  for (const DType dtype : {DType::kFloat32, DType::kFloat16, DType::kBFloat16}) {
    // Store() rounds once.
    const Comparison comparison = Scene(dtype, golden, golden).Compare();
    EXPECT_EQ(comparison.elements, golden.size());
    EXPECT_EQ(comparison.counts[Comparison::kDifferent], 0U) << Name(dtype);
    EXPECT_EQ(comparison.counts[Comparison::kDisagreeing], 0U) << Name(dtype);
    EXPECT_EQ(comparison.sums[Comparison::kError], 0) << Name(dtype);
  }
}

TEST(OutputComparison, DoesNotDependOnThreadsOrOrder) {
  std::mt19937_64 random(2);
  std::normal_distribution<double> normal;
  std::vector<double> golden(20000), actual(20000);
  for (std::size_t i = 0; i < golden.size(); ++i) {
    golden[i] = normal(random);
    actual[i] = golden[i] * (1 + 1e-3 * normal(random));
  }
  actual[77] = kNan;
  const Scene scene(DType::kBFloat16, actual, golden);
  constexpr std::size_t kBlock = 37;
  const std::size_t blocks = (golden.size() + kBlock - 1) / kBlock;
  const auto consume = [&](OutputComparison* comparison, std::size_t block) {
    const std::size_t first = block * kBlock;
    comparison->Consume(scene.Block(first, std::min(kBlock, golden.size() - first)));
  };
  OutputComparison forward = scene.Start();
  for (std::size_t block = 0; block < blocks; ++block) consume(&forward, block);
  OutputComparison backward = scene.Start();
  for (std::size_t block = blocks; block-- > 0;) consume(&backward, block);
  OutputComparison parallel = scene.Start();
  std::vector<std::jthread> threads;
  for (std::size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (std::size_t block = t; block < blocks; block += 4) consume(&parallel, block);
    });
  }
  threads.clear();
  EXPECT_EQ(forward.Total(), backward.Total());
  EXPECT_EQ(forward.Total(), parallel.Total());
  EXPECT_EQ(forward.Total().elements, 20000U);
  EXPECT_GT(forward.Total().sums[Comparison::kError], 0);
}

TEST(Standards, HaveThresholdsForEveryOperator) {
  for (const Operator* op : AllOperators()) {
    EXPECT_GT(LimitsOf({.op = op->name}).benchdnn, 0) << op->name;
  }
}

TEST(Standards, AreFoundByName) {
  for (const Standard& standard : Standards()) {
    EXPECT_EQ(FindStandard(standard.name), &standard);
  }
  EXPECT_EQ(FindStandard("derived"), nullptr);
  try {
    FindStandard("cosin");
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "unknown standard 'cosin': did you mean 'cosine'?");
  }
}

TEST(Standards, AreDescribedWithThresholdsAndSources) {
  const std::string text = DescribeStandards();
  EXPECT_THAT(text, HasSubstr("\ncann-mixed\n"));
  EXPECT_THAT(text, HasSubstr("rtol 2^-13, atol 2^-13, no error beyond both 0.01 and 32 ulp"));
  EXPECT_THAT(text, HasSubstr("mean < 2^-7, largest < 10 * 2^-7"));
  EXPECT_THAT(text, HasSubstr("rtol 1.3e-06, atol 1e-05"));
  EXPECT_THAT(text, HasSubstr("group and batch norm 0.039, their scales and biases 0.33"));
  for (const Standard& standard : Standards()) {
    EXPECT_THAT(text, HasSubstr(std::string(standard.source)));
  }
}

}  // namespace
}  // namespace normgrad
