// SPDX-License-Identifier: Apache-2.0
#include "run/fill.h"

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "ops/operators.h"

namespace normgrad {
namespace {

Case SmallCase(std::string fill, DType data = DType::kFloat32) {
  Case the_case;
  the_case.op = &kRmsNormGrad;
  the_case.product = "atlas-a2";
  the_case.dims = {{"A", {64}}, {"R", {1024}}};
  the_case.dtypes = {data, DType::kFloat32, data, DType::kFloat32};
  the_case.fill = std::move(fill);
  return the_case;
}

std::vector<double> Values(const Case& the_case, const CaseInputs& inputs, std::size_t param) {
  const DType dtype = the_case.DTypeOf(the_case.op->params[param]);
  std::vector<double> values;
  for (std::size_t at = 0; at < inputs.tensors[param].size(); at += SizeOf(dtype)) {
    values.push_back(Load(dtype, &inputs.tensors[param][at]));
  }
  return values;
}

constexpr std::size_t kDy = 0, kX = 1, kRstd = 2, kGamma = 3;

TEST(FillInputs, DoesNotDependOnTheNumberOfThreads) {
  const Case the_case = SmallCase("normal");
  EXPECT_EQ(FillInputs(the_case, 1)->tensors, FillInputs(the_case, 3)->tensors);
}

TEST(FillInputs, GivesEverySeedOtherData) {
  Case the_case = SmallCase("normal");
  const auto first = FillInputs(the_case, 1);
  the_case.seed = 2;
  EXPECT_NE(first->tensors, FillInputs(the_case, 1)->tensors);
}

TEST(FillInputs, LeavesOutputsEmpty) {
  const auto inputs = FillInputs(SmallCase("normal"), 1);
  EXPECT_TRUE(inputs->tensors[4].empty());
  EXPECT_TRUE(inputs->tensors[5].empty());
}

double Correlation(const std::vector<double>& a, const std::vector<double>& b) {
  double ab = 0, aa = 0, bb = 0, mean_a = 0, mean_b = 0;
  const double n = static_cast<double>(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    mean_a += a[i] / n;
    mean_b += b[i] / n;
  }
  for (std::size_t i = 0; i < a.size(); ++i) {
    ab += (a[i] - mean_a) * (b[i] - mean_b);
    aa += (a[i] - mean_a) * (a[i] - mean_a);
    bb += (b[i] - mean_b) * (b[i] - mean_b);
  }
  return ab / std::sqrt(aa * bb);
}

// Fills that only draw; those that compose their data have tests of their own.
class EveryDrawnFill : public ::testing::TestWithParam<std::string_view> {};

TEST_P(EveryDrawnFill, GivesFiniteNumbersInEveryDType) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat16, DType::kBFloat16}) {
    const Case the_case = SmallCase(std::string(GetParam()), dtype);
    const auto inputs = FillInputs(the_case, 2);
    for (const std::size_t param : {kDy, kX, kRstd, kGamma}) {
      for (const double value : Values(the_case, *inputs, param)) {
        ASSERT_TRUE(std::isfinite(value)) << the_case.op->params[param].name;
      }
    }
  }
}

TEST_P(EveryDrawnFill, LeavesTensorsOfOneShapeUncorrelated) {
  // Two equal tensors would let a kernel that swaps them pass.
  const Case the_case = SmallCase(std::string(GetParam()));
  const auto inputs = FillInputs(the_case, 2);
  const double correlation =
      Correlation(Values(the_case, *inputs, kDy), Values(the_case, *inputs, kX));
  EXPECT_LT(std::fabs(correlation), 6 / std::sqrt(64 * 1024.0));
}

TEST_P(EveryDrawnFill, DerivesRstdFromTheRoundedData) {
  const Case the_case = SmallCase(std::string(GetParam()), DType::kBFloat16);
  const auto inputs = FillInputs(the_case, 2);
  const std::vector<double> x = Values(the_case, *inputs, kX);
  const std::vector<double> rstd = Values(the_case, *inputs, kRstd);
  for (std::size_t row = 0; row < 64; ++row) {
    double squares = 0;
    for (std::size_t col = 0; col < 1024; ++col)
      squares += x[row * 1024 + col] * x[row * 1024 + col];
    const double expected = 1 / std::sqrt(squares / 1024 + the_case.eps);
    EXPECT_NEAR(rstd[row], expected, expected * 0x1p-23);
  }
}

TEST_P(EveryDrawnFill, NeverMakesGammaConstant) {
  const Case the_case = SmallCase(std::string(GetParam()));
  const std::vector<double> gamma = Values(the_case, *FillInputs(the_case, 1), kGamma);
  EXPECT_NE(gamma[0], gamma[1]);
  EXPECT_NE(gamma[0], 1.0);
}

INSTANTIATE_TEST_SUITE_P(Fills, EveryDrawnFill,
                         ::testing::Values("normal", "uniform", "positive", "offset", "tiny",
                                           "outlier", "wide"),
                         [](const auto& test) { return std::string(test.param); });

TEST(FillInputs, DrawsWhatItsNameSays) {
  const auto moments = [](const char* fill, std::size_t param) {
    const Case the_case = SmallCase(fill);
    double mean = 0, square = 0;
    const std::vector<double> values = Values(the_case, *FillInputs(the_case, 2), param);
    for (const double value : values) {
      mean += value / static_cast<double>(values.size());
      square += value * value / static_cast<double>(values.size());
    }
    return std::pair(mean, square);
  };
  EXPECT_NEAR(moments("normal", kX).first, 0, 0.02);
  EXPECT_NEAR(moments("normal", kX).second, 1, 0.03);
  EXPECT_NEAR(moments("uniform", kX).second, 25.0 / 3, 0.2);
  EXPECT_NEAR(moments("offset", kDy).first, 1, 0.02);
  EXPECT_NEAR(moments("offset", kX).first, 0, 0.02);
  EXPECT_NEAR(moments("tiny", kDy).second, 0x1p-20, 0x1p-24);
  EXPECT_GT(moments("outlier", kDy).second, 300);
  EXPECT_GT(moments("positive", kX).first, 0.5);
  EXPECT_NEAR(moments("big_mean", kX).first, 1000, 0.02);
  EXPECT_GT(moments("edges", kDy).second, 0x1p118);
  EXPECT_GT(moments("constant_rows", kX).first, 0.5);  // half of it is from 1 to 2
}

// Indices into the params of batch norm.
constexpr std::size_t kGradOut = 0, kInput = 1, kMean = 2, kSumDy = 5, kSumDyXmu = 6, kCounter = 7;

Case BatchCase(DType counter) {
  Case the_case;
  the_case.op = &kBatchNormElemtBackward;
  the_case.product = "atlas-a2";
  the_case.dims = {{"N", {4}}, {"C", {3}}, {"S", {5, 7}}, {"K", {200}}};
  the_case.dtypes.assign(9, DType::kFloat32);
  the_case.dtypes[kCounter] = counter;
  return the_case;
}

TEST(FillInputs, CountsInSmallWholeNumbersInEveryDType) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat16, DType::kInt32}) {
    const Case the_case = BatchCase(dtype);
    const std::vector<double> counts = Values(the_case, *FillInputs(the_case, 1), kCounter);
    ASSERT_EQ(counts.size(), 200U);
    for (const double count : counts) {
      EXPECT_EQ(count, std::trunc(count));
      EXPECT_GE(count, 1);
      EXPECT_LE(count, 64);
    }
    EXPECT_LT(*std::ranges::min_element(counts), 5) << Name(dtype);
    EXPECT_GT(*std::ranges::max_element(counts), 60) << Name(dtype);
  }
}

TEST(FillInputs, SumsOverAsManyElementsAsCounterSays) {
  const Case the_case = BatchCase(DType::kInt32);
  const auto inputs = FillInputs(the_case, 2);
  const auto values = [&](std::size_t param) { return Values(the_case, *inputs, param); };
  const std::vector<double> dy = values(kGradOut), x = values(kInput), mean = values(kMean);
  double n = 0;
  for (const double count : values(kCounter)) n += count;
  for (std::size_t channel = 0; channel < 3; ++channel) {
    double of_x = 0, of_dy = 0, of_products = 0;
    for (std::size_t i = 0; i < dy.size(); ++i) {
      if (i / 35 % 3 != channel) continue;
      of_x += x[i] / 140;
      of_dy += dy[i] / 140;
      of_products += dy[i] * (x[i] - mean[channel]) / 140;
    }
    EXPECT_NEAR(mean[channel], of_x, 1e-6);
    EXPECT_NEAR(values(kSumDy)[channel], n * of_dy, n * 1e-6);
    EXPECT_NEAR(values(kSumDyXmu)[channel], n * of_products, n * 1e-6);
  }
}

TEST(FillInputs, LeavesInputsThatAreNullEmpty) {
  Case the_case = BatchCase(DType::kInt32);
  the_case.dtypes[4] = DType::kNone;  // weight
  EXPECT_TRUE(FillInputs(the_case, 1)->tensors[4].empty());
}

}  // namespace
}  // namespace normgrad
