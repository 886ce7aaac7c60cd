// SPDX-License-Identifier: Apache-2.0
// The row norms' kernels against plain float64 loops, on every target this machine can run.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <hwy/highway.h>

#include "base/layout.h"
#include "base/random.h"
#include "kernels/api/kernel.h"
#include "kernels/cpu/thread_pool.h"

namespace normgrad {
namespace {

constexpr double kUnit = 0x1p-24;  // of float32's rounding

const Kernel& RmsNormGrad() {
  for (const Kernel& kernel : Kernels()) {
    if (kernel.name == "rms_norm_grad") return kernel;
  }
  throw std::logic_error("no kernel rms_norm_grad");
}

/// A tensor in an allocation of exactly its storage, so that a sanitizer sees any step outside.
/// Gaps hold bytes 0xFF, a NaN in every format, which must be neither read nor written.
class TestTensor {
 public:
  TestTensor(DType dtype, const Shape& shape, LayoutKind kind)
      : dtype_(dtype),
        layout_(MakeLayout(kind, shape)),
        bytes_(StorageCount(layout_) * SizeOf(dtype)),
        storage_(std::make_unique<std::byte[]>(bytes_)) {
    Poison();
  }

  void Poison() { std::fill_n(storage_.get(), bytes_, std::byte{0xFF}); }

  void Set(const std::vector<double>& values) {
    std::vector<std::byte> dense(values.size() * SizeOf(dtype_));
    for (std::size_t i = 0; i < values.size(); ++i) {
      Store(dtype_, values[i], dense.data() + i * SizeOf(dtype_));
    }
    Scatter(layout_, SizeOf(dtype_), dense.data(), storage_.get());
  }

  std::vector<std::byte> Bytes() const {
    std::vector<std::byte> dense(ElementCount(layout_.shape) * SizeOf(dtype_));
    Gather(layout_, SizeOf(dtype_), storage_.get(), dense.data());
    return dense;
  }

  std::vector<double> Values() const {
    const std::vector<std::byte> dense = Bytes();
    std::vector<double> values(ElementCount(layout_.shape));
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = Load(dtype_, dense.data() + i * SizeOf(dtype_));
    }
    return values;
  }

  /// Whether the gaps are as Poison() left them.
  bool GapsAreUntouched() const {
    const std::vector<std::uint8_t> occupied = Occupancy(layout_);
    for (std::size_t i = 0; i < bytes_; ++i) {
      if (occupied[i / SizeOf(dtype_)] == 0 && storage_[i] != std::byte{0xFF}) return false;
    }
    return true;
  }

  KernelTensor ForKernel() {
    const auto offset = static_cast<std::size_t>(layout_.offset) * SizeOf(dtype_);
    return {storage_.get() + offset, dtype_, layout_.shape, layout_.strides, IsDense(layout_)};
  }

 private:
  DType dtype_;
  Layout layout_;
  std::size_t bytes_;
  std::unique_ptr<std::byte[]> storage_;
};

struct RmsDTypes {
  DType data, rstd, gamma, dgamma;
};

constexpr DType kF32 = DType::kFloat32, kF16 = DType::kFloat16, kBF16 = DType::kBFloat16;

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

/// One call of the RMS norm's backward pass with its float64 result and what it may differ by.
class RmsCall {
 public:
  /// `kinds` gives the layouts of dy, x, rstd, gamma, dx, dgamma, and is repeated as needed.
  RmsCall(const Shape& a, const Shape& r, const RmsDTypes& dtypes,
          const std::vector<LayoutKind>& kinds = {LayoutKind::kContiguous})
      : dims_{{"A", a}, {"R", r}}, rows_(ElementCount(a)), cols_(ElementCount(r)) {
    const Shape matrix = Expand("*A *R", dims_);
    const Shape* shapes[] = {&matrix, &matrix, &a, &r, &matrix, &r};
    const DType types[] = {dtypes.data,  dtypes.data, dtypes.rstd,
                           dtypes.gamma, dtypes.data, dtypes.dgamma};
    for (std::size_t i = 0; i < 6; ++i) {
      tensors_.emplace_back(types[i], *shapes[i], kinds[i % kinds.size()]);
    }
    dx_dtype_ = dtypes.data;
    dgamma_dtype_ = dtypes.dgamma;
    Fill();
    ComputeReference();
  }

  /// Runs the kernel into poisoned outputs and a poisoned workspace of exactly the size it asks.
  void Run() {
    tensors_[4].Poison();
    tensors_[5].Poison();
    std::vector<KernelTensor> views;
    for (TestTensor& tensor : tensors_) views.push_back(tensor.ForKernel());
    Launch launch{dims_, views};
    const std::size_t bytes = RmsNormGrad().workspace_bytes(launch);
    constexpr std::size_t kAlignment = 32;
    const auto deleter = [](std::byte* p) { ::operator delete[](p, std::align_val_t{kAlignment}); };
    const std::unique_ptr<std::byte[], decltype(deleter)> workspace(
        new (std::align_val_t{kAlignment}) std::byte[bytes], deleter);
    std::fill_n(workspace.get(), bytes, std::byte{0xFF});
    launch.workspace = bytes == 0 ? nullptr : workspace.get();
    RmsNormGrad().launch(launch);
  }

  std::vector<std::byte> OutputBytes() const {
    std::vector<std::byte> bytes = tensors_[4].Bytes();
    const std::vector<std::byte> more = tensors_[5].Bytes();
    bytes.insert(bytes.end(), more.begin(), more.end());
    return bytes;
  }

  void ExpectCorrect() const {
    ExpectWithin("dx", dx_dtype_, tensors_[4].Values(), dx_, dx_error_);
    ExpectWithin("dgamma", dgamma_dtype_, tensors_[5].Values(), dgamma_, dgamma_error_);
    for (const TestTensor& tensor : tensors_) EXPECT_TRUE(tensor.GapsAreUntouched());
  }

 private:
  void Fill() {
    const RandomStream random(HashText(ToString(dims_)));
    std::vector<double> dy(rows_ * cols_);
    std::vector<double> x(rows_ * cols_);
    std::vector<double> gamma(cols_);
    for (std::size_t i = 0; i < dy.size(); ++i) {
      dy[i] = random.Normal(2 * i);
      x[i] = random.Normal(2 * i + 1);
    }
    for (std::size_t c = 0; c < cols_; ++c)
      gamma[c] = 1 + random.Normal(3 * (rows_ + 1) * cols_ + c);
    std::vector<double> rstd(rows_);
    for (std::size_t row = 0; row < rows_; ++row) {
      const auto first = x.begin() + static_cast<std::ptrdiff_t>(row * cols_);
      const auto last = first + static_cast<std::ptrdiff_t>(cols_);
      rstd[row] =
          1 / std::sqrt(std::inner_product(first, last, first, 1e-6) / static_cast<double>(cols_));
    }
    tensors_[0].Set(dy);
    tensors_[1].Set(x);
    tensors_[2].Set(rstd);
    tensors_[3].Set(gamma);
  }

  // The bounds hold for every order of summation: local roundings and those of the sums, counted
  // for dx = rstd * (p - xhat * m) with p = dy * gamma, and for dgamma = sum of dy * xhat.
  void ComputeReference() {
    const std::vector<double> dy = tensors_[0].Values();
    const std::vector<double> x = tensors_[1].Values();
    const std::vector<double> rstd = tensors_[2].Values();
    const std::vector<double> gamma = tensors_[3].Values();
    const auto count = static_cast<double>(cols_);
    dx_.resize(dy.size());
    dx_error_.resize(dy.size());
    dgamma_.assign(cols_, 0);
    std::vector<double> magnitude(cols_, 0);
    for (std::size_t row = 0; row < rows_; ++row) {
      const double r = rstd[row];
      double sum = 0;
      double sum_magnitude = 0;
      for (std::size_t c = 0; c < cols_; ++c) {
        const double term = dy[row * cols_ + c] * x[row * cols_ + c] * r;
        sum += term * gamma[c];
        sum_magnitude += std::fabs(term * gamma[c]);
        dgamma_[c] += term;
        magnitude[c] += std::fabs(term);
      }
      const double mean = sum / count;
      const double mean_error = kUnit * (count + 3) * sum_magnitude / count;
      for (std::size_t c = 0; c < cols_; ++c) {
        const std::size_t i = row * cols_ + c;
        const double p = dy[i] * gamma[c];
        const double xhat = x[i] * r;
        dx_[i] = r * (p - xhat * mean);
        dx_error_[i] = r * (7 * kUnit * (std::fabs(p) + std::fabs(xhat * mean)) +
                            std::fabs(xhat) * mean_error);
      }
    }
    dgamma_error_.resize(cols_);
    for (std::size_t c = 0; c < cols_; ++c) {
      dgamma_error_[c] = kUnit * (static_cast<double>(rows_) + 2) * magnitude[c];
    }
  }

  static void ExpectWithin(const char* name, DType dtype, const std::vector<double>& actual,
                           const std::vector<double>& golden, const std::vector<double>& error) {
    for (std::size_t i = 0; i < golden.size(); ++i) {
      const double low = Round(dtype, golden[i] - error[i]);
      const double high = Round(dtype, golden[i] + error[i]);
      ASSERT_TRUE(low <= actual[i] && actual[i] <= high)
          << fmt::format("{}[{}] is {}, expected {} to {}", name, i, actual[i], low, high);
    }
  }

  Dims dims_;
  std::size_t rows_;
  std::size_t cols_;
  DType dx_dtype_ = kF32;
  DType dgamma_dtype_ = kF32;
  std::vector<TestTensor> tensors_;
  std::vector<double> dx_, dx_error_, dgamma_, dgamma_error_;
};

/// Runs `body` once per instruction set this machine has and the kernels were built for.
template <typename Body>
void ForEachTarget(Body body) {
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
    SCOPED_TRACE(hwy::TargetName(target));
    hwy::SetSupportedTargetsForTest(target);
    body();
    hwy::SetSupportedTargetsForTest(0);
  }
}

class RmsNormGradKernel : public testing::TestWithParam<RmsDTypes> {};

TEST_P(RmsNormGradKernel, IsWithinItsBoundForEveryLength) {
  // Around one and two vectors of 16, the widest there are; blocks are two of them.
  for (const std::int64_t r : {1, 15, 16, 17, 31, 32, 33, 65, 257, 1000, 4099}) {
    for (const std::int64_t a : {1, 2, 7, 65}) {
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
  // Many short rows, rows and columns, few long rows.
  const std::pair<std::int64_t, std::int64_t> shapes[] = {{30001, 3}, {300, 1000}, {3, 70001}};
  for (const auto& [a, r] : shapes) {
    SCOPED_TRACE(fmt::format("A={}, R={}", a, r));
    RmsCall call({a}, {r}, GetParam());
    cpu::SetThreads(1);
    call.Run();
    call.ExpectCorrect();
    const std::vector<std::byte> alone = call.OutputBytes();
    for (const unsigned threads : {2, 3}) {
      cpu::SetThreads(threads);
      call.Run();
      EXPECT_TRUE(call.OutputBytes() == alone) << threads << " threads";
    }
    cpu::SetThreads(0);
  }
}

TEST_P(RmsNormGradKernel, GivesTheSameBitsForEveryLayout) {
  for (const auto& [a, r] : {std::pair<std::int64_t, std::int64_t>{300, 100}, {3, 9001}}) {
    RmsCall dense({a}, {r}, GetParam());
    dense.Run();
    for (const LayoutKind kind : AllLayoutKinds()) {
      RmsCall call({a}, {r}, GetParam(), {kind});
      call.Run();
      EXPECT_TRUE(call.OutputBytes() == dense.OutputBytes()) << Name(kind);
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
  const Dims dims{{"A", {1}}, {"R", {cols}}};
  std::vector<TestTensor> tensors;
  for (const Shape& shape :
       {Shape{1, cols}, Shape{1, cols}, Shape{1}, Shape{cols}, Shape{1, cols}, Shape{cols}}) {
    tensors.emplace_back(kF32, shape, LayoutKind::kContiguous);
  }
  tensors[0].Set(dy);
  tensors[1].Set(x);
  tensors[2].Set({rstd});
  tensors[3].Set(std::vector<double>(x.size(), 1));
  std::vector<KernelTensor> views;
  views.reserve(tensors.size());
  for (TestTensor& tensor : tensors) views.push_back(tensor.ForKernel());
  Launch launch{dims, views};
  std::vector<float> workspace(RmsNormGrad().workspace_bytes(launch) / sizeof(float));
  launch.workspace = reinterpret_cast<std::byte*>(workspace.data());
  RmsNormGrad().launch(launch);
  return {tensors[4].Values(), tensors[5].Values()};
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
