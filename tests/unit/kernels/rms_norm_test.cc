// SPDX-License-Identifier: Apache-2.0
// The kernel of RMS norm against plain float64 loops, on every target this machine can run.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "tests/unit/kernels/kernel_fixture.h"

namespace normgrad {
namespace {

struct RmsDTypes {
  DType data, rstd, gamma, dgamma;
};

// The documented rows, then mixtures that only the kernel's own generality promises.
constexpr RmsDTypes kDTypes[] = {
    {kF32, kF32, kF32, kF32},   {kF16, kF32, kF32, kF32},   {kF16, kF32, kF16, kF32},
    {kBF16, kF32, kF32, kF32},  {kBF16, kF32, kBF16, kF32}, {kF32, kBF16, kF16, kBF16},
    {kBF16, kF16, kBF16, kF16},
};

std::string ToText(const RmsDTypes& dtypes) {
  return fmt::format("{}-{}-{}-{}", Name(dtypes.data), Name(dtypes.rstd), Name(dtypes.gamma),
                     Name(dtypes.dgamma));
}

constexpr std::size_t kDx = 4, kDgamma = 5, kParams = 6;

/// One call of the RMS norm's backward pass with its float64 result and what it may differ by.
class RmsCall : public KernelCall {
 public:
  /// `kinds` gives the layouts of dy, x, rstd, gamma, dx, dgamma, and is repeated as needed.
  RmsCall(const Shape& a, const Shape& r, const RmsDTypes& dtypes,
          const std::vector<LayoutKind>& kinds = {LayoutKind::kContiguous})
      : KernelCall("rms_norm_grad", {{"A", a}, {"R", r}}, kParams),
        rows_(ElementCount(a)),
        cols_(ElementCount(r)),
        random_(HashText(ToString(a) + ToString(r))) {
    const auto kind = [&](std::size_t i) { return kinds[i % kinds.size()]; };
    const Shape matrix = Expand("*A *R", {{"A", a}, {"R", r}});
    AddInput(0, dtypes.data, matrix, kind(0));
    AddInput(1, dtypes.data, matrix, kind(1));
    AddInput(2, dtypes.rstd, a, kind(2));
    AddInput(3, dtypes.gamma, r, kind(3));
    AddOutput(kDx, dtypes.data, matrix, kind(kDx));
    AddOutput(kDgamma, dtypes.dgamma, r, kind(kDgamma));
    Fill();
    ComputeReference();
  }

  void ExpectCorrect() const {
    ExpectWithin("dx", (*this)[kDx], dx_);
    ExpectWithin("dgamma", (*this)[kDgamma], dgamma_);
  }

 private:
  void Fill() {
    std::vector<double> dy(rows_ * cols_);
    std::vector<double> x(rows_ * cols_);
    std::vector<double> gamma(cols_);
    std::vector<double> normals(2 * rows_ * cols_);
    random_.Normals(0, normals);
    for (std::size_t i = 0; i < dy.size(); ++i) {
      dy[i] = normals[2 * i];
      x[i] = normals[2 * i + 1];
    }
    random_.Normals(3 * (rows_ + 1) * cols_, gamma);
    for (double& scale : gamma) scale += 1;
    std::vector<double> rstd(rows_);
    for (std::size_t row = 0; row < rows_; ++row) {
      const auto first = x.begin() + static_cast<std::ptrdiff_t>(row * cols_);
      const auto last = first + static_cast<std::ptrdiff_t>(cols_);
      rstd[row] =
          1 / std::sqrt(std::inner_product(first, last, first, 1e-6) / static_cast<double>(cols_));
    }
    Input(0).Set(dy);
    Input(1).Set(x);
    Input(2).Set(rstd);
    Input(3).Set(gamma);
  }

  // The bounds hold for every order of summation: local roundings and those of the sums, counted
  // for dx = rstd * (p - xhat * m) with p = dy * gamma, and for dgamma = sum of dy * xhat.
  void ComputeReference() {
    const std::vector<double> dy = (*this)[0].Values();
    const std::vector<double> x = (*this)[1].Values();
    const std::vector<double> rstd = (*this)[2].Values();
    const std::vector<double> gamma = (*this)[3].Values();
    const auto count = static_cast<double>(cols_);
    dx_ = {std::vector<double>(dy.size()), std::vector<double>(dy.size())};
    dgamma_ = {std::vector<double>(cols_), std::vector<double>(cols_)};
    for (std::size_t row = 0; row < rows_; ++row) {
      const double r = rstd[row];
      double sum = 0;
      double sum_magnitude = 0;
      for (std::size_t c = 0; c < cols_; ++c) {
        const double term = dy[row * cols_ + c] * x[row * cols_ + c] * r;
        sum += term * gamma[c];
        sum_magnitude += std::fabs(term * gamma[c]);
        dgamma_.value[c] += term;
        dgamma_.error[c] += kUnit * (static_cast<double>(rows_) + 2) * std::fabs(term);
      }
      const double mean = sum / count;
      const double mean_error = kUnit * (count + 3) * sum_magnitude / count;
      for (std::size_t c = 0; c < cols_; ++c) {
        const std::size_t i = row * cols_ + c;
        const double p = dy[i] * gamma[c];
        const double xhat = x[i] * r;
        dx_.value[i] = r * (p - xhat * mean);
        dx_.error[i] = r * (7 * kUnit * (std::fabs(p) + std::fabs(xhat * mean)) +
                            std::fabs(xhat) * mean_error);
      }
    }
  }

  std::size_t rows_;
  std::size_t cols_;
  RandomStream random_;
  Golden dx_, dgamma_;
};

class RmsNormGradKernel : public testing::TestWithParam<RmsDTypes> {};

TEST_P(RmsNormGradKernel, IsWithinItsBoundForEveryLength) {
  // Around one and two vectors of 16, the widest there are; blocks are two of them, and up to four
  // of these are a short row, those that do not end with a line and a block up to 191 or 383. 144
  // and 208 end with half a block. Up to 16 elements, many rows are in one vector. Short rows are
  // taken 512 at a time, others by four from the caches and one by one from memory, and from the
  // caches, too, if they are whole pages; few rows are split by columns, fewer than 16, and fewer
  // than 32 of more than 4096 columns.
  for (const std::int64_t r :
       {1,   2,   3,   4,   5,   6,   7,   8,   9,   10,  11,   12,   13,
        15,  16,  17,  31,  32,  33,  63,  64,  65,  95,  97,   127,  128,
        129, 144, 191, 192, 193, 208, 383, 384, 385, 416, 1000, 4096, 4099}) {
    for (const std::int64_t a : {1, 2, 15, 16, 31, 32, 1100}) {
      if (a * r > 150'000) continue;
      SCOPED_TRACE(fmt::format("A={}, R={}", a, r));
      RmsCall call({a}, {r}, GetParam());
      ForEachTarget([&] {
        call.Run();
        call.ExpectCorrect();
      });
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(RmsNormGradKernel, IsWithinItsBoundForEveryLayout) {
  const std::vector<LayoutKind> kinds = AllLayoutKinds();
  for (const LayoutKind first : kinds) {
    for (const std::size_t other : {0, 1, 2}) {
      // The same for all tensors, or two mixtures.
      std::vector<LayoutKind> mixture{first};
      for (std::size_t i = 1; i < 6 && other != 0; ++i) {
        mixture.push_back(kinds[(static_cast<std::size_t>(first) + other * i) % kinds.size()]);
      }
      SCOPED_TRACE(fmt::format("{} and mixture {}", Name(first), other));
      RmsCall call({3, 23}, {2, 1, 35}, GetParam(), mixture);
      ForEachTarget([&] {
        call.Run();
        call.ExpectCorrect();
      });
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(RmsNormGradKernel, GivesTheSameBitsForEveryNumberOfThreads) {
  // Many short rows, rows and columns, few long rows, a few rows, more than second-level caches
  // have room for; rows about the most that a first-level cache has room for; then rows so long
  // that they are split by columns, however many there are, unless that cache is large.
  const std::pair<std::int64_t, std::int64_t> shapes[] = {
      {30001, 3}, {70, 1000}, {3, 70001}, {21, 2000}, {360, 1001},
      {43, 1792}, {43, 1793}, {22, 2389}, {22, 2390}, {33, 49153}};
  for (const auto& [a, r] : shapes) {
    SCOPED_TRACE(fmt::format("A={}, R={}", a, r));
    RmsCall call({a}, {r}, GetParam());
    ExpectSameBitsOnAllThreads(&call);
    call.ExpectCorrect();
  }
}

TEST_P(RmsNormGradKernel, GivesTheSameBitsForEveryLayout) {
  for (const auto& [a, r] : {std::pair<std::int64_t, std::int64_t>{300, 100},
                             {600, 7},
                             {33, 417},
                             {17, 2048},
                             {3, 9001}}) {
    RmsCall dense({a}, {r}, GetParam());
    {
      const FromMemory tensors;
      dense.Run();
    }
    for (const LayoutKind kind : AllLayoutKinds()) {
      RmsCall call({a}, {r}, GetParam(), {kind});
      call.Run();
      EXPECT_TRUE(call.OutputBytes() == dense.OutputBytes()) << Name(kind);
      ForEachWayFromMemory([&] {
        call.Run();
        EXPECT_TRUE(call.OutputBytes() == dense.OutputBytes()) << Name(kind);
      });
    }
  }
}

TEST_P(RmsNormGradKernel, WritesZerosToDgammaWithoutRows) {
  RmsCall call({0}, {35}, GetParam(), {LayoutKind::kStrided});
  call.Run();
  call.ExpectCorrect();
}

TEST_P(RmsNormGradKernel, DoesNothingWithoutColumns) {
  RmsCall call({4}, {0}, GetParam());
  call.Run();
  call.ExpectCorrect();
}

TEST_P(RmsNormGradKernel, TakesEveryRankOfRows) {
  for (const Shape& a : {Shape{}, Shape{5}, Shape{2, 1, 3}, Shape{1, 2, 1, 2, 1, 3, 1}}) {
    RmsCall call(a, {37}, GetParam(), {LayoutKind::kTransposed, LayoutKind::kPadded});
    call.Run();
    call.ExpectCorrect();
  }
}

INSTANTIATE_TEST_SUITE_P(DTypes, RmsNormGradKernel, testing::ValuesIn(kDTypes),
                         [](const testing::TestParamInfo<RmsDTypes>& param) {
                           std::string name = ToText(param.param);
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

struct RmsResult {
  std::vector<double> dx, dgamma;
};

/// One row in float32; gamma is 1.
RmsResult RunRow(const std::vector<double>& dy, const std::vector<double>& x, double rstd) {
  const auto cols = static_cast<std::int64_t>(x.size());
  KernelCall call("rms_norm_grad", {{"A", {1}}, {"R", {cols}}}, kParams);
  call.AddInput(0, kF32, {1, cols}).Set(dy);
  call.AddInput(1, kF32, {1, cols}).Set(x);
  call.AddInput(2, kF32, {1}).Set({rstd});
  call.AddInput(3, kF32, {cols}).Set(std::vector<double>(x.size(), 1));
  call.AddOutput(kDx, kF32, {1, cols});
  call.AddOutput(kDgamma, kF32, {cols});
  call.Run();
  return {call[kDx].Values(), call[kDgamma].Values()};
}

TEST(RmsNormGradKernel, KeepsLargeAndSmallRowsFinite) {
  // xhat is 1 although x * x would overflow or vanish.
  for (const double scale : {1e30, 1e-30}) {
    const RmsResult result = RunRow({1, 2, 3, 4}, {scale, scale, scale, scale}, 1 / scale);
    const std::vector<double> golden = {-1.5, -0.5, 0.5, 1.5};  // times rstd
    for (std::size_t i = 0; i < 4; ++i) {
      EXPECT_NEAR(result.dx[i] * scale, golden[i], 1e-6);
      EXPECT_NEAR(result.dgamma[i], static_cast<double>(i + 1), 1e-6);
    }
  }
}

TEST(RmsNormGradKernel, OverflowsOnlyWhereTheFormulaDoes) {
  // xhat is 1 and 0, their mean product with dy is 5; rstd times that is beyond float32.
  ForEachTarget([] {
    const RmsResult result = RunRow({10, 0.1}, {1e-38, 0}, 1e38);
    EXPECT_TRUE(std::isinf(result.dx[0]));  // 5e38
    EXPECT_NEAR(result.dx[1], 1e37, 1e31);
  });
}

TEST(RmsNormGradKernel, GivesInfiniteRowsTheSameResultAtEveryLength) {
  // xhat and its mean are infinite, so dx = rstd * (1 - inf) at lengths with a tail and without.
  ForEachTarget([] {
    for (const std::size_t cols : {1, 7, 31, 63, 64, 65, 130}) {
      const std::vector<double> ones(cols, 1);
      const RmsResult result = RunRow(ones, ones, HUGE_VAL);
      EXPECT_EQ(result.dx, std::vector<double>(cols, -HUGE_VAL)) << cols;
      EXPECT_EQ(result.dgamma, std::vector<double>(cols, HUGE_VAL)) << cols;
    }
  });
}

}  // namespace
}  // namespace normgrad
