// SPDX-License-Identifier: Apache-2.0
#include "run/fill.h"

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

class EveryFill : public ::testing::TestWithParam<std::string_view> {};

TEST_P(EveryFill, GivesFiniteNumbersInEveryDType) {
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

TEST_P(EveryFill, LeavesTensorsOfOneShapeUncorrelated) {
  // Two equal tensors would let a kernel that swaps them pass.
  const Case the_case = SmallCase(std::string(GetParam()));
  const auto inputs = FillInputs(the_case, 2);
  const double correlation =
      Correlation(Values(the_case, *inputs, kDy), Values(the_case, *inputs, kX));
  EXPECT_LT(std::fabs(correlation), 6 / std::sqrt(64 * 1024.0));
}

TEST_P(EveryFill, DerivesRstdFromTheRoundedData) {
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

TEST_P(EveryFill, NeverMakesGammaConstant) {
  const Case the_case = SmallCase(std::string(GetParam()));
  const std::vector<double> gamma = Values(the_case, *FillInputs(the_case, 1), kGamma);
  EXPECT_NE(gamma[0], gamma[1]);
  EXPECT_NE(gamma[0], 1.0);
}

INSTANTIATE_TEST_SUITE_P(Fills, EveryFill,
                         ::testing::ValuesIn(FillNames().begin(), FillNames().end()),
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
}

}  // namespace
}  // namespace normgrad
