// SPDX-License-Identifier: Apache-2.0
// The kernels of layer norm and group norm against plain float64 loops, on every target this
// machine can run. To the loops both are one norm: sets of adjacent elements, each with a channel.
#include <cmath>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "tests/unit/kernels/kernel_fixture.h"

namespace normgrad {
namespace {

/// What a norm with a mean is called, and how large it is.
struct Norm {
  std::string_view kernel;
  std::size_t params, mean, rstd, gamma, dx, dgamma, dbeta;  // indices of params
  Dims dims;
  Shape data_shape, statistic_shape, scale_shape;
  std::size_t sets, set_elements, channels, plane;
};

std::size_t Extent(std::int64_t extent) { return static_cast<std::size_t>(extent); }

Norm LayerNorm(const Shape& a, const Shape& r) {
  const Dims dims{{"A", a}, {"R", r}};
  const std::size_t cols = ElementCount(r);
  return {"layer_norm_backward",
          11,
          3,
          4,
          5,
          8,
          9,
          10,
          dims,
          Expand("*A *R", dims),
          Expand("*A ones(R)", dims),
          r,
          ElementCount(a),
          cols,
          cols,
          1};
}

Norm GroupNorm(std::int64_t n, std::int64_t c, const Shape& s, std::int64_t g) {
  const Dims dims{{"N", {n}}, {"C", {c}}, {"S", s}, {"G", {g}}};
  const std::size_t plane = ElementCount(s);
  return {"group_norm_backward",
          13,
          2,
          3,
          4,
          10,
          11,
          12,
          dims,
          Expand("N C *S", dims),
          {n, g},
          {c},
          Extent(n * g),
          Extent(c / g) * plane,
          Extent(c),
          plane};
}

struct NormDTypes {
  DType data, statistic, scale, scale_grad;
};

constexpr NormDTypes kDTypes[] = {
    {kF32, kF32, kF32, kF32},    {kF16, kF32, kF32, kF32},    {kF16, kF16, kF16, kF16},
    {kBF16, kF32, kBF16, kBF16}, {kBF16, kBF16, kF32, kBF16}, {kF32, kBF16, kF16, kBF16},
};

/// Which tensors a call has.
struct Wanted {
  bool gamma = true, dx = true, dgamma = true, dbeta = true;
};

class NormCall : public KernelCall {
 public:
  /// `kinds` gives the layouts of dy, x, mean, rstd, gamma, dx, dgamma, dbeta, repeated as needed.
  NormCall(const Norm& norm, const NormDTypes& dtypes, const Wanted& wanted = {},
           const std::vector<LayoutKind>& kinds = {LayoutKind::kContiguous})
      : KernelCall(norm.kernel, norm.dims, norm.params), norm_(norm) {
    const auto kind = [&](std::size_t i) { return kinds[i % kinds.size()]; };
    const std::size_t count = norm.sets * norm.set_elements;
    const RandomStream random(HashText(ToString(norm.dims)));
    std::vector<double> dy(count);
    std::vector<double> x(count);
    std::vector<double> gamma(norm.channels);
    std::vector<double> normals(2 * (count + norm.channels));
    random.Normals(0, normals);
    for (std::size_t i = 0; i < count; ++i) {
      dy[i] = 0.25 + normals[2 * i];
      x[i] = 1.5 + 2 * normals[2 * i + 1];
    }
    for (std::size_t c = 0; c < norm.channels; ++c) gamma[c] = 1 + normals[2 * (count + c)];
    std::vector<double> mean(norm.sets);
    std::vector<double> rstd(norm.sets);
    for (std::size_t set = 0; set < norm.sets; ++set) {
      double sum = 0;
      double squares = 0;
      for (std::size_t i = 0; i < norm.set_elements; ++i) {
        const double value = x[set * norm.set_elements + i];
        sum += value;
        squares += value * value;
      }
      const auto n = static_cast<double>(norm.set_elements);
      mean[set] = sum / n;
      rstd[set] = 1 / std::sqrt(std::fabs(squares / n - mean[set] * mean[set]) + 0.25);
    }
    AddInput(0, dtypes.data, norm.data_shape, kind(0)).Set(dy);
    AddInput(1, dtypes.data, norm.data_shape, kind(1)).Set(x);
    AddInput(norm.mean, dtypes.statistic, norm.statistic_shape, kind(2)).Set(mean);
    AddInput(norm.rstd, dtypes.statistic, norm.statistic_shape, kind(3)).Set(rstd);
    if (wanted.gamma) {
      AddInput(norm.gamma, dtypes.scale, norm.scale_shape, kind(4)).Set(gamma);
    }
    if (wanted.dx) AddOutput(norm.dx, dtypes.data, norm.data_shape, kind(5));
    if (wanted.dgamma) AddOutput(norm.dgamma, dtypes.scale_grad, norm.scale_shape, kind(6));
    if (wanted.dbeta) AddOutput(norm.dbeta, dtypes.scale_grad, norm.scale_shape, kind(7));
    ComputeReference();
  }

  void ExpectCorrect() const {
    if (Has(norm_.dx)) ExpectWithin("dx", (*this)[norm_.dx], dx_);
    if (Has(norm_.dgamma)) ExpectWithin("dgamma", (*this)[norm_.dgamma], dgamma_);
    if (Has(norm_.dbeta)) ExpectWithin("dbeta", (*this)[norm_.dbeta], dbeta_);
  }

 private:
  // The bounds hold for every order of summation: local roundings and those of the sums, counted
  // for dx = rstd * (p - m1 - xhat * m2) with p = dy * gamma.
  void ComputeReference() {
    const std::vector<double> dy = (*this)[0].Values();
    const std::vector<double> x = (*this)[1].Values();
    const std::vector<double> mean = (*this)[norm_.mean].Values();
    const std::vector<double> rstd = (*this)[norm_.rstd].Values();
    const std::vector<double> gamma =
        Has(norm_.gamma) ? (*this)[norm_.gamma].Values() : std::vector<double>(norm_.channels, 1);
    dx_ = {std::vector<double>(dy.size()), std::vector<double>(dy.size())};
    dgamma_ = {std::vector<double>(norm_.channels), std::vector<double>(norm_.channels)};
    dbeta_ = dgamma_;
    const auto channel = [&](std::size_t i) { return i / norm_.plane % norm_.channels; };
    const auto n = static_cast<double>(norm_.set_elements);
    for (std::size_t set = 0; set < norm_.sets; ++set) {
      const std::size_t first = set * norm_.set_elements;
      const std::size_t end = first + norm_.set_elements;
      double m1 = 0, m2 = 0, magnitude1 = 0, magnitude2 = 0;
      for (std::size_t i = first; i < end; ++i) {
        const double xhat = (x[i] - mean[set]) * rstd[set];
        const double p = dy[i] * gamma[channel(i)];
        m1 += p / n;
        m2 += p * xhat / n;
        magnitude1 += std::fabs(p) / n;
        magnitude2 += std::fabs(p * xhat) / n;
        dgamma_.value[channel(i)] += dy[i] * xhat;
        dgamma_.error[channel(i)] += std::fabs(dy[i] * xhat);
        dbeta_.value[channel(i)] += dy[i];
        dbeta_.error[channel(i)] += std::fabs(dy[i]);
      }
      for (std::size_t i = first; i < end; ++i) {
        const double xhat = (x[i] - mean[set]) * rstd[set];
        const double p = dy[i] * gamma[channel(i)];
        dx_.value[i] = rstd[set] * (p - m1 - xhat * m2);
        const double local = std::fabs(p) + std::fabs(m1) + std::fabs(xhat * m2);
        const double sums = magnitude1 + std::fabs(xhat) * magnitude2;
        dx_.error[i] = rstd[set] * kUnit * (7 * local + (n + 5) * sums);
      }
    }
    const auto terms = static_cast<double>(dy.size()) / static_cast<double>(norm_.channels);
    for (std::size_t c = 0; c < norm_.channels; ++c) {
      dgamma_.error[c] *= kUnit * (terms + 4);
      dbeta_.error[c] *= kUnit * (terms + 1);
    }
  }

  Norm norm_;
  Golden dx_, dgamma_, dbeta_;
};

void ExpectCorrectOnEveryTarget(NormCall call) {
  ForEachTarget([&] {
    call.Run();
    call.ExpectCorrect();
  });
}

class NormKernel : public testing::TestWithParam<NormDTypes> {};

TEST_P(NormKernel, IsRightForEveryLengthOfRows) {
  // Around one and two vectors of 16, the widest there are; blocks are two of them. Rows that are
  // not short are taken by four from the caches, one by one from memory and if they are whole
  // pages; up to 12 or 14 elements, many to a vector.
  for (const std::int64_t r :
       {1,  2,  3,  4,  5,  6,  7,  8,   9,   10,  11,  12,  13,  14,  15,  16,   17,   31,
        32, 33, 63, 64, 65, 95, 97, 127, 128, 129, 144, 192, 208, 384, 416, 1000, 4096, 4099}) {
    for (const std::int64_t a : {1, 2, 15, 16, 31, 32, 1100}) {
      if (a * r > 150'000) continue;
      SCOPED_TRACE(fmt::format("A={}, R={}", a, r));
      ExpectCorrectOnEveryTarget({LayerNorm({a}, {r}), GetParam()});
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(NormKernel, IsRightForEveryLengthOfPlanes) {
  // Around vectors, the step from short to long planes, and pieces.
  // Groups of up to 24 elements are taken many to a vector.
  for (const std::int64_t s :
       {1,  2,  4,  7,  15, 16, 17,  20,  21,  23,   24,   25,   31,   32,  33,
        47, 48, 49, 63, 64, 65, 127, 128, 129, 1023, 1025, 2047, 2049, 4097}) {
    for (const std::int64_t d : {1, 3, 5, 6, 7}) {
      for (const std::int64_t g : {1, 2}) {
        SCOPED_TRACE(fmt::format("S={}, D={}, G={}", s, d, g));
        ExpectCorrectOnEveryTarget({GroupNorm(2, d * g, {s}, g), GetParam()});
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(NormKernel, IsRightForManySamplesAndChannels) {
  for (const Norm& norm :
       {GroupNorm(1030, 6, {}, 2), GroupNorm(1030, 3, {1}, 3), GroupNorm(67, 1000, {}, 250),
        GroupNorm(67, 1000, {2}, 1000), GroupNorm(1, 4500, {}, 1), GroupNorm(33, 64, {8, 8}, 32),
        GroupNorm(3, 260, {7, 7}, 2), GroupNorm(40, 32, {4, 4}, 4), GroupNorm(600, 12, {3}, 4),
        // Many groups to a vector, samples of which end with one or do not, in parts of groups.
        GroupNorm(90, 1100, {}, 1100), GroupNorm(3, 9001, {2}, 9001), GroupNorm(2, 34000, {}, 2000),
        GroupNorm(300, 32, {2, 2}, 8), GroupNorm(1400, 19, {}, 1), GroupNorm(130, 65, {3}, 13),
        GroupNorm(600, 31, {}, 1), GroupNorm(66, 45, {2}, 3), GroupNorm(66, 506, {}, 22),
        GroupNorm(530, 253, {}, 11), GroupNorm(9, 253, {}, 11), GroupNorm(70, 32, {2}, 2),
        // Several groups at a time, at last fewer.
        GroupNorm(5, 7, {64}, 7), GroupNorm(9, 13, {25}, 13), GroupNorm(11, 30, {32}, 10),
        GroupNorm(6, 70, {30}, 1), GroupNorm(6, 70, {64}, 1)}) {
    SCOPED_TRACE(ToString(norm.dims));
    NormCall call(norm, GetParam());
    call.Run();
    call.ExpectCorrect();
  }
}

TEST_P(NormKernel, IsRightForEveryLayout) {
  const std::vector<LayoutKind> kinds = AllLayoutKinds();
  for (const Norm& norm : {LayerNorm({3, 23}, {2, 1, 35}), LayerNorm({3, 11}, {417}),
                           GroupNorm(3, 6, {5, 7}, 2), GroupNorm(2, 4, {50, 51}, 2)}) {
    for (const LayoutKind first : kinds) {
      for (const std::size_t other : {0, 1, 2}) {
        // The same for all tensors, or two mixtures.
        std::vector<LayoutKind> mixture{first};
        for (std::size_t i = 1; i < 8 && other != 0; ++i) {
          mixture.push_back(kinds[(static_cast<std::size_t>(first) + other * i) % kinds.size()]);
        }
        SCOPED_TRACE(fmt::format("{}: {} and mixture {}", ToString(norm.dims), Name(first), other));
        ExpectCorrectOnEveryTarget({norm, GetParam(), {}, mixture});
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(NormKernel, WritesWhatIsWantedAndTheSameBits) {
  for (const Norm& norm : {LayerNorm({70}, {35}), LayerNorm({70}, {9}), LayerNorm({3}, {700}),
                           LayerNorm({33}, {500}), LayerNorm({17}, {2048}), GroupNorm(3, 6, {7}, 2),
                           GroupNorm(30, 6, {3}, 2), GroupNorm(3, 6, {70}, 2)}) {
    for (const bool gamma : {false, true}) {
      NormCall all(norm, GetParam(), {.gamma = gamma});
      all.Run();
      all.ExpectCorrect();
      for (unsigned mask = 0; mask < 8; ++mask) {
        SCOPED_TRACE(fmt::format("{} with mask {}", ToString(norm.dims), mask));
        NormCall call(norm, GetParam(),
                      {gamma, (mask & 1U) != 0, (mask & 2U) != 0, (mask & 4U) != 0});
        const auto expect_the_same = [&] {
          call.Run();
          call.ExpectCorrect();
          for (const std::size_t output : {norm.dx, norm.dgamma, norm.dbeta}) {
            EXPECT_TRUE(!call.Has(output) || call[output].Bytes() == all[output].Bytes());
          }
        };
        expect_the_same();
        ForEachWayFromMemory(expect_the_same);
      }
    }
  }
}

TEST_P(NormKernel, GivesTheSameBitsForEveryNumberOfThreads) {
  for (const Norm& norm :
       {LayerNorm({30001}, {3}), LayerNorm({300}, {1000}), LayerNorm({3}, {30001}),
        GroupNorm(1, 3, {13, 2049}, 1), GroupNorm(7, 64, {49}, 8), GroupNorm(3, 20, {65, 30}, 5),
        GroupNorm(2, 4, {100, 200}, 2), GroupNorm(1030, 32, {}, 4), GroupNorm(50, 24, {64}, 24),
        GroupNorm(9, 12, {16, 64}, 4), LayerNorm({21}, {2000}), LayerNorm({20001}, {8}),
        GroupNorm(3, 9001, {2}, 9001), GroupNorm(90, 1100, {}, 1100),
        // From memory, two threads share a group.
        GroupNorm(2, 4, {1025, 64}, 2), LayerNorm({360}, {1001}),
        // Rows of 16 bits that are very short, and longer.
        LayerNorm({41}, {512}), LayerNorm({41}, {513}),
        // Through 48 KiB: rows that fit, one by one, longer ones by four and by two.
        LayerNorm({43}, {1433}), LayerNorm({43}, {1434}), LayerNorm({22}, {1792}),
        LayerNorm({22}, {1793}), LayerNorm({35}, {8200})}) {
    SCOPED_TRACE(ToString(norm.dims));
    NormCall call(norm, GetParam());
    ExpectSameBitsOnAllThreads(&call);
    call.ExpectCorrect();
  }
}

TEST_P(NormKernel, GivesTheSameBitsForEveryLayout) {
  // From memory, dense rows and some groups are read while the ones before are written; rows of
  // whole pages from the caches, too.
  for (const Norm& norm :
       {LayerNorm({300}, {100}), LayerNorm({600}, {7}), LayerNorm({33}, {417}),
        LayerNorm({17}, {2048}), LayerNorm({1200}, {8}), LayerNorm({1200}, {11}),
        GroupNorm(90, 1100, {}, 1100), GroupNorm(700, 6, {2}, 2), LayerNorm({3}, {9001}),
        GroupNorm(2, 6, {3, 11}, 2), GroupNorm(70, 6, {2}, 2), GroupNorm(70, 24, {8}, 3),
        GroupNorm(3, 70, {7, 7}, 1), GroupNorm(2, 4, {3, 801}, 1), GroupNorm(9, 12, {3, 801}, 4),
        GroupNorm(9, 12, {16, 64}, 4), GroupNorm(50, 24, {8, 8}, 24),
        GroupNorm(9, 13, {5, 5}, 13)}) {
    NormCall dense(norm, GetParam());
    {
      const FromMemory tensors;
      dense.Run();
    }
    for (const LayoutKind kind : AllLayoutKinds()) {
      NormCall call(norm, GetParam(), {}, {kind});
      call.Run();
      EXPECT_TRUE(call.OutputBytes() == dense.OutputBytes()) << Name(kind);
      ForEachWayFromMemory([&] {
        call.Run();
        EXPECT_TRUE(call.OutputBytes() == dense.OutputBytes()) << Name(kind);
      });
    }
  }
}

TEST_P(NormKernel, TakesGroupsInAnyShape) {
  Norm norm = GroupNorm(2, 6, {4, 5}, 3);
  for (const Shape& shape : {Shape{240}, Shape{6, 40}, Shape{5, 2, 1, 24}, Shape{3, 80, 1}}) {
    norm.data_shape = shape;
    norm.statistic_shape = {3, 2};
    norm.scale_shape = {2, 3};
    SCOPED_TRACE(ToString(shape));
    ExpectCorrectOnEveryTarget(
        {norm, GetParam(), {}, {LayoutKind::kTransposed, LayoutKind::kStrided}});
  }
}

TEST_P(NormKernel, WritesZerosWithoutElementsPerChannel) {
  for (const Norm& norm :
       {GroupNorm(0, 6, {5}, 2), GroupNorm(2, 6, {0}, 2), GroupNorm(2, 6, {3, 0}, 3)}) {
    for (const bool dgamma : {false, true}) {
      NormCall call(norm, GetParam(), {.dgamma = dgamma, .dbeta = !dgamma}, {LayoutKind::kStrided});
      EXPECT_EQ(call.WorkspaceBytes(), 0U);
      call.Run();
      const std::vector<double> sums = call[dgamma ? norm.dgamma : norm.dbeta].Values();
      EXPECT_EQ(sums, std::vector<double>(6, 0));
    }
  }
}

TEST_P(NormKernel, DoesNothingWithoutChannels) {
  NormCall call(GroupNorm(2, 0, {5}, 2), GetParam());
  EXPECT_EQ(call.WorkspaceBytes(), 0U);
  call.Run();
}

TEST_P(NormKernel, TakesEveryRankOfRows) {
  for (const Shape& a : {Shape{}, Shape{5}, Shape{2, 1, 3}, Shape{1, 2, 1, 2, 1, 3, 1}}) {
    NormCall call(LayerNorm(a, {37}), GetParam(), {},
                  {LayoutKind::kTransposed, LayoutKind::kPadded});
    call.Run();
    call.ExpectCorrect();
  }
}

INSTANTIATE_TEST_SUITE_P(DTypes, NormKernel, testing::ValuesIn(kDTypes),
                         [](const testing::TestParamInfo<NormDTypes>& param) {
                           const NormDTypes& dtypes = param.param;
                           return fmt::format("{}_{}_{}_{}", Name(dtypes.data),
                                              Name(dtypes.statistic), Name(dtypes.scale),
                                              Name(dtypes.scale_grad));
                         });

/// The outputs of a call in float32 without gamma.
struct Outputs {
  std::vector<double> dx, dgamma, dbeta;
};

Outputs RunPlain(const Norm& norm, const std::vector<double>& dy, const std::vector<double>& x,
                 const std::vector<double>& mean, const std::vector<double>& rstd) {
  NormCall call(norm, kDTypes[0], {.gamma = false});
  call.Input(0).Set(dy);
  call.Input(1).Set(x);
  call.Input(norm.mean).Set(mean);
  call.Input(norm.rstd).Set(rstd);
  call.Run();
  return {call[norm.dx].Values(), call[norm.dgamma].Values(), call[norm.dbeta].Values()};
}

TEST(NormKernel, GivesTheLiteralGradientsOfOneRow) {
  // xhat = -1, 1, 1, -1; the means of dy and of dy * xhat are 2 and 1.
  const Outputs row = RunPlain(LayerNorm({1}, {4}), {1, 2, 4, 1}, {1, 5, 5, 1}, {3}, {0.5});
  EXPECT_EQ(row.dx, (std::vector<double>{0, -0.5, 0.5, 0}));
  EXPECT_EQ(row.dgamma, (std::vector<double>{-1, 2, 4, -1}));
  EXPECT_EQ(row.dbeta, (std::vector<double>{1, 2, 4, 1}));
}

TEST(NormKernel, GivesTheLiteralGradientsOfOneGroup) {
  const Outputs group = RunPlain(GroupNorm(1, 2, {2}, 1), {1, 2, 4, 1}, {1, 5, 5, 1}, {3}, {0.5});
  EXPECT_EQ(group.dx, (std::vector<double>{0, -0.5, 0.5, 0}));
  EXPECT_EQ(group.dgamma, (std::vector<double>{1, 3}));
  EXPECT_EQ(group.dbeta, (std::vector<double>{3, 5}));
}

/// Norms of two sets of two channels each, so many elements to a channel that every way to walk
/// them is taken, with a tail and without.
std::vector<Norm> NormsOfTwoSets() {
  std::vector<Norm> norms;
  for (const std::int64_t s : {1, 3, 16, 63, 64, 65, 2048, 4097}) {
    norms.push_back(GroupNorm(1, 4, {s}, 2));
    norms.push_back(GroupNorm(2, 2, {s}, 1));
  }
  return norms;
}

TEST(NormKernel, SpreadsNanOverItsGroupAndNoFurther) {
  for (const Norm& norm : NormsOfTwoSets()) {
    SCOPED_TRACE(ToString(norm.dims));
    ForEachTarget([&] {
      const std::size_t count = 2 * norm.set_elements;
      std::vector<double> x(count, 1);
      x[norm.set_elements - 1] = std::nan("");
      const Outputs outputs = RunPlain(norm, std::vector<double>(count, 1), x, {0.5, 0.5}, {1, 1});
      for (std::size_t i = 0; i < count; ++i) {
        ASSERT_EQ(std::isnan(outputs.dx[i]), i < norm.set_elements) << i;
      }
      for (std::size_t c = 0; c < norm.channels; ++c) {
        EXPECT_EQ(std::isnan(outputs.dgamma[c]), c == 1) << c;
        EXPECT_FALSE(std::isnan(outputs.dbeta[c])) << c;
      }
    });
  }
}

TEST(NormKernel, SpreadsNanOverItsRowOfManyAndNoFurther) {
  constexpr std::size_t kRows = 37;
  const std::vector<double> means(kRows, 0.5), rstds(kRows, 1);
  ForEachTarget([&] {
    for (std::size_t cols = 1; cols <= 14; ++cols) {
      for (const std::size_t row : {std::size_t{0}, std::size_t{13}, kRows - 1}) {
        SCOPED_TRACE(fmt::format("row {} of {} columns", row, cols));
        const std::vector<double> dy(kRows * cols, 1);
        std::vector<double> x(kRows * cols, 1);
        x[row * cols + cols / 2] = std::nan("");
        const Norm norm = LayerNorm({std::int64_t{kRows}}, {static_cast<std::int64_t>(cols)});
        const Outputs outputs = RunPlain(norm, dy, x, means, rstds);
        for (std::size_t i = 0; i < dy.size(); ++i) {
          ASSERT_EQ(std::isnan(outputs.dx[i]), i / cols == row) << i;
        }
        for (std::size_t c = 0; c < cols; ++c) {
          EXPECT_EQ(std::isnan(outputs.dgamma[c]), c == cols / 2) << c;
          EXPECT_EQ(outputs.dbeta[c], kRows) << c;
        }
      }
    }
  });
}

TEST(NormKernel, TakesNoStatisticsForGroupsThatAreNotThere) {
  // 900 groups, 512 of which are taken at once, then 388: behind the last one, the statistics of
  // number 388 of the first lot would be those of another channel.
  const Norm norm = GroupNorm(300, 3, {1}, 3);
  const std::vector<double> ones(norm.sets, 1);
  std::vector<double> means(norm.sets, 0.5);
  means[388] = std::nan("");
  ForEachTarget([&] {
    const Outputs outputs = RunPlain(norm, ones, ones, means, ones);
    for (std::size_t c = 0; c < norm.channels; ++c) {
      EXPECT_EQ(std::isnan(outputs.dgamma[c]), c == 388 % 3) << c;
      EXPECT_EQ(outputs.dbeta[c], 300) << c;
    }
  });
}

TEST(NormKernel, GivesInfiniteStatisticsTheSameResultAtEveryLength) {
  // xhat and its sum with dy are infinite, so dx = inf * (1 - 1 - inf * inf).
  ForEachTarget([] {
    for (const Norm& norm : NormsOfTwoSets()) {
      SCOPED_TRACE(ToString(norm.dims));
      const std::vector<double> ones(2 * norm.set_elements, 1);
      const Outputs outputs = RunPlain(norm, ones, ones, {0, 0}, {HUGE_VAL, HUGE_VAL});
      EXPECT_EQ(outputs.dx, std::vector<double>(ones.size(), -HUGE_VAL));
      EXPECT_EQ(outputs.dgamma, std::vector<double>(norm.channels, HUGE_VAL));
    }
    for (const std::int64_t cols : {1, 7, 31, 63, 64, 65, 130}) {
      const std::vector<double> ones(static_cast<std::size_t>(cols), 1);
      const Outputs outputs = RunPlain(LayerNorm({1}, {cols}), ones, ones, {0}, {HUGE_VAL});
      EXPECT_EQ(outputs.dx, std::vector<double>(ones.size(), -HUGE_VAL)) << cols;
      EXPECT_EQ(outputs.dgamma, std::vector<double>(ones.size(), HUGE_VAL)) << cols;
    }
  });
}

TEST(NormKernel, KeepsLargeAndSmallSetsFinite) {
  // xhat is 1 although x * x, rstd * rstd or rstd * mean(dy * xhat) would overflow or vanish.
  for (const double scale : {1e30, 1e-30}) {
    for (const Norm& norm : {LayerNorm({1}, {4}), GroupNorm(1, 2, {2}, 1)}) {
      const Outputs outputs =
          RunPlain(norm, {1, 2, 3, 4}, {scale, scale, -scale, -scale}, {0}, {1 / scale});
      const std::vector<double> golden = {-0.5, 0.5, -0.5, 0.5};  // times rstd
      for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(outputs.dx[i] * scale, golden[i], 1e-6);
    }
  }
}

}  // namespace
}  // namespace normgrad
