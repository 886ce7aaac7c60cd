// SPDX-License-Identifier: Apache-2.0
// The kernel of batch norm against plain float64 loops, on every target this machine can run.
#include <array>
#include <cmath>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "tests/unit/kernels/kernel_fixture.h"

namespace normgrad {
namespace {

constexpr std::size_t kParams = 9, kWeight = 4, kCounter = 7, kDx = 8;

/// One dtype per param.
using BatchDTypes = std::array<DType, kParams>;

constexpr BatchDTypes AllOf(DType dtype) {
  BatchDTypes all{};
  all.fill(dtype);
  return all;
}

constexpr BatchDTypes kDTypes[] = {
    AllOf(kF32),
    AllOf(kF16),
    {kBF16, kBF16, kF32, kF32, kBF16, kF32, kF32, DType::kInt32, kBF16},
    {kF16, kF32, kBF16, kF32, kF16, kBF16, kF16, DType::kInt32, kBF16},
    {kF32, kBF16, kF16, kBF16, kF32, kF16, kBF16, kF16, kF32},
    {kBF16, kBF16, kF32, kF16, kF32, kF32, kF32, kF32, kF16},
    {kF32, kF32, kF32, kF32, kF32, kF32, kF32, DType::kInt32, kF16},
};

class BatchNormCall : public KernelCall {
 public:
  /// `kinds` gives the layouts of the params, repeated as needed. `counter` holds small integers.
  BatchNormCall(std::int64_t n, std::int64_t c, const Shape& s, const BatchDTypes& dtypes,
                const std::vector<LayoutKind>& kinds = {LayoutKind::kContiguous},
                bool with_weight = true, const Shape& counter = {3})
      : KernelCall("batch_norm_elemt_backward", {{"N", {n}}, {"C", {c}}, {"S", s}, {"K", counter}},
                   kParams),
        channels_(static_cast<std::size_t>(c)),
        plane_(ElementCount(s)) {
    Shape shape{n, c};
    shape.insert(shape.end(), s.begin(), s.end());
    const RandomStream random(HashText(ToString(shape)));
    std::uint64_t next = 0;
    for (std::size_t i = 0; i < kDx; ++i) {
      if (i == kWeight && !with_weight) continue;
      const Shape& own = i < 2 ? shape : i == kCounter ? counter : Shape{c};
      std::vector<double> values(ElementCount(own));
      random.Normals(next, values);
      next += values.size();
      for (double& value : values) value += 0.5;
      if (i == kCounter) {
        for (std::size_t k = 0; k < values.size(); ++k) values[k] = static_cast<double>(2 * k + 3);
      }
      AddInput(i, dtypes[i], own, kinds[i % kinds.size()]).Set(values);
    }
    AddOutput(kDx, dtypes[kDx], shape, kinds[kDx % kinds.size()]);
    ComputeReference();
  }

  void ExpectCorrect() const { ExpectWithin("dx", (*this)[kDx], dx_); }

 private:
  void ComputeReference() {
    const std::vector<double> dy = (*this)[0].Values();
    const std::vector<double> x = (*this)[1].Values();
    const std::vector<double> mean = (*this)[2].Values();
    const std::vector<double> invstd = (*this)[3].Values();
    const std::vector<double> weight =
        Has(kWeight) ? (*this)[kWeight].Values() : std::vector<double>(channels_, 1);
    const std::vector<double> sum_dy = (*this)[5].Values();
    const std::vector<double> sum_dy_xmu = (*this)[6].Values();
    double n = 0;
    for (const double count : (*this)[kCounter].Values()) n += count;
    for (std::size_t i = 0; i < dy.size(); ++i) {
      const std::size_t c = i / plane_ % channels_;
      const double centre = sum_dy[c] / n;
      const double slope = (x[i] - mean[c]) * invstd[c] * invstd[c] * (sum_dy_xmu[c] / n);
      const double factor = invstd[c] * weight[c];
      dx_.value.push_back((dy[i] - centre - slope) * factor);
      dx_.error.push_back(10 * kUnit * std::fabs(factor) *
                          (std::fabs(dy[i]) + std::fabs(centre) + std::fabs(slope)));
    }
  }

  std::size_t channels_;
  std::size_t plane_;
  Golden dx_;
};

void ExpectCorrectOnEveryTarget(BatchNormCall call) {
  ForEachTarget([&] {
    call.Run();
    call.ExpectCorrect();
  });
}

class BatchNormKernel : public testing::TestWithParam<BatchDTypes> {};

TEST_P(BatchNormKernel, IsRightForEveryLengthOfPlanes) {
  // Around vectors, the step from short to long planes, and pieces.
  for (const std::int64_t s :
       {1, 2, 7, 15, 16, 17, 31, 32, 33, 49, 63, 64, 65, 127, 129, 1023, 1025, 2047, 2049, 4097}) {
    for (const std::int64_t c : {1, 3, 17}) {
      SCOPED_TRACE(fmt::format("S={}, C={}", s, c));
      ExpectCorrectOnEveryTarget({3, c, {s}, GetParam()});
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(BatchNormKernel, IsRightForManySamplesAndChannels) {
  for (const auto& [n, c, s] : {std::tuple<std::int64_t, std::int64_t, Shape>{1030, 7, {}},
                                {2, 4100, {}},
                                {67, 1000, {1, 2}},
                                {3, 5, {1100}},
                                {9, 300, {7, 7}},
                                {9, 300, {8, 8}}}) {
    SCOPED_TRACE(fmt::format("N={}, C={}", n, c));
    BatchNormCall call(n, c, s, GetParam());
    call.Run();
    call.ExpectCorrect();
  }
}

TEST_P(BatchNormKernel, IsRightForEveryLayout) {
  const std::vector<LayoutKind> kinds = AllLayoutKinds();
  for (const Shape& s : {Shape{}, Shape{5, 7}, Shape{40, 61}}) {
    for (const LayoutKind first : kinds) {
      for (const std::size_t other : {0, 1, 2}) {
        std::vector<LayoutKind> mixture{first};
        for (std::size_t i = 1; i < kParams && other != 0; ++i) {
          mixture.push_back(kinds[(static_cast<std::size_t>(first) + other * i) % kinds.size()]);
        }
        SCOPED_TRACE(fmt::format("S={}: {} and mixture {}", ToString(s), Name(first), other));
        ExpectCorrectOnEveryTarget({3, 5, s, GetParam(), mixture});
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(BatchNormKernel, GivesTheSameBitsForEveryNumberOfThreadsAndLayout) {
  for (const auto& [n, c, s] : {std::tuple<std::int64_t, std::int64_t, Shape>{300, 40, {7}},
                                {3, 40, {9, 97}},
                                {1, 3, {13, 2049}}}) {
    SCOPED_TRACE(fmt::format("N={}, C={}", n, c));
    BatchNormCall dense(n, c, s, GetParam());
    ExpectSameBitsOnAllThreads(&dense);
    dense.ExpectCorrect();
    for (const LayoutKind kind : AllLayoutKinds()) {
      BatchNormCall call(n, c, s, GetParam(), {kind});
      call.Run();
      EXPECT_TRUE(call.OutputBytes() == dense.OutputBytes()) << Name(kind);
    }
  }
}

TEST_P(BatchNormKernel, TakesANullWeightAsOnes) {
  for (const Shape& s : {Shape{}, Shape{65}}) {
    BatchNormCall call(3, 5, s, GetParam(), {LayoutKind::kContiguous}, false);
    call.Run();
    call.ExpectCorrect();
  }
}

TEST_P(BatchNormKernel, SumsCountersOfEveryShape) {
  for (const Shape& counter : {Shape{}, Shape{1}, Shape{2, 3}, Shape{2, 1, 2, 1, 2}}) {
    BatchNormCall call(3, 5, {9}, GetParam(), {LayoutKind::kStrided, LayoutKind::kTransposed}, true,
                       counter);
    call.Run();
    call.ExpectCorrect();
  }
}

TEST_P(BatchNormKernel, DoesNothingWithoutElements) {
  for (const auto& [n, s] : {std::pair<std::int64_t, Shape>{0, {5}}, {2, {3, 0}}}) {
    BatchNormCall call(n, 6, s, GetParam());
    EXPECT_EQ(call.WorkspaceBytes(), 0U);
    call.Run();
  }
}

INSTANTIATE_TEST_SUITE_P(DTypes, BatchNormKernel, testing::ValuesIn(kDTypes),
                         [](const testing::TestParamInfo<BatchDTypes>& param) {
                           std::string name;
                           for (const DType dtype : param.param) name += Name(dtype);
                           return name;
                         });

TEST(BatchNormKernel, GivesTheLiteralGradients) {
  BatchNormCall call(1, 2, {2}, AllOf(kF32));
  call.Input(0).Set({1, 2, 3, 4});
  call.Input(1).Set({1, 3, 5, 7});
  call.Input(2).Set({2, 4});
  call.Input(3).Set({0.5, 2});
  call.Input(kWeight).Set({4, 0.25});
  call.Input(5).Set({4, 8});
  call.Input(6).Set({16, 2});
  call.Input(kCounter).Set({1, 1, 2});  // n = 4
  call.Run();
  // (dy - 1 - (x - 2) / 4 * 4) * 2 and (dy - 2 - (x - 4) * 4 / 2) / 2
  EXPECT_EQ(call[kDx].Values(), (std::vector<double>{2, 0, -0.5, -2}));
}

TEST(BatchNormKernel, SumsIntegerCountersBeyondTheirRange) {
  const std::int64_t largest = 2147483647;
  BatchDTypes dtypes = AllOf(kF32);
  dtypes[kCounter] = DType::kInt32;
  BatchNormCall call(1, 1, {1}, dtypes);
  call.Input(0).Set({0});
  call.Input(1).Set({0});
  call.Input(2).Set({0});
  call.Input(3).Set({1});
  call.Input(kWeight).Set({1});
  call.Input(5).Set({-3.0 * static_cast<double>(largest)});
  call.Input(6).Set({0});
  call.Input(kCounter).Set(std::vector<double>(3, static_cast<double>(largest)));
  call.Run();
  EXPECT_EQ(call[kDx].Values(), std::vector<double>{1});
}

TEST(BatchNormKernel, KeepsNanInItsChannelAndElement) {
  for (const std::int64_t s : {1, 3, 16, 63, 64, 65, 2049}) {
    SCOPED_TRACE(s);
    ForEachTarget([&] {
      BatchNormCall call(2, 3, {s}, AllOf(kF32));
      const auto plane = static_cast<std::size_t>(s);
      std::vector<double> x(6 * plane, 1);
      x[plane - 1] = std::nan("");
      call.Input(1).Set(x);
      call.Input(3).Set({1, 2, std::nan("")});
      call.Run();
      const std::vector<double> dx = call[kDx].Values();
      for (std::size_t i = 0; i < dx.size(); ++i) {
        ASSERT_EQ(std::isnan(dx[i]), i == plane - 1 || i / plane % 3 == 2) << i;
      }
    });
  }
}

}  // namespace
}  // namespace normgrad
