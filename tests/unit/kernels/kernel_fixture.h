// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/layout.h"
#include "kernels/api/kernel.h"
#include "kernels/cpu/caches.h"
#include "kernels/cpu/instruction_set.h"
#include "kernels/cpu/thread_pool.h"

namespace normgrad {

inline constexpr double kUnit = 0x1p-24;  // of float32's rounding

inline constexpr DType kF32 = DType::kFloat32, kF16 = DType::kFloat16, kBF16 = DType::kBFloat16;

/// A tensor in an allocation of exactly its storage, so that a sanitizer sees any step outside. As
/// on a device, it begins with a cache line.
/// Gaps hold bytes 0xFF, a NaN in every format, which must be neither read nor written.
class TestTensor {
 public:
  TestTensor(DType dtype, const Shape& shape, LayoutKind kind)
      : dtype_(dtype),
        layout_(MakeLayout(kind, shape)),
        bytes_(StorageCount(layout_) * SizeOf(dtype)),
        storage_(static_cast<std::byte*>(::operator new(bytes_, kAlignment))) {
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

  DType dtype() const { return dtype_; }

  KernelTensor ForKernel() {
    const auto offset = static_cast<std::size_t>(layout_.offset) * SizeOf(dtype_);
    return {storage_.get() + offset, dtype_, layout_.shape, layout_.strides, IsDense(layout_)};
  }

 private:
  static constexpr std::align_val_t kAlignment{64};
  struct Free {
    void operator()(std::byte* storage) const { ::operator delete(storage, kAlignment); }
  };

  DType dtype_;
  Layout layout_;
  std::size_t bytes_;
  std::unique_ptr<std::byte[], Free> storage_;
};

/// One call of a kernel into poisoned outputs, with a poisoned workspace of exactly the size it
/// asks for between two guards.
class KernelCall {
 public:
  KernelCall(std::string_view kernel, Dims dims, std::size_t params)
      : kernel_(Find(kernel)), dims_(std::move(dims)), tensors_(params), output_(params) {}

  TestTensor& AddInput(std::size_t param, DType dtype, const Shape& shape,
                       LayoutKind kind = LayoutKind::kContiguous) {
    return tensors_[param].emplace(dtype, shape, kind);
  }
  void AddOutput(std::size_t param, DType dtype, const Shape& shape,
                 LayoutKind kind = LayoutKind::kContiguous) {
    tensors_[param].emplace(dtype, shape, kind);
    output_[param] = true;
  }
  TestTensor& Input(std::size_t param) { return *tensors_[param]; }
  const TestTensor& operator[](std::size_t param) const { return *tensors_[param]; }
  bool Has(std::size_t param) const { return tensors_[param].has_value(); }

  void Run() {
    std::vector<KernelTensor> views(tensors_.size());
    std::vector<std::vector<std::byte>> before(tensors_.size());
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
      if (!tensors_[i]) continue;
      if (output_[i]) tensors_[i]->Poison();
      if (!output_[i]) before[i] = tensors_[i]->Bytes();
      views[i] = tensors_[i]->ForKernel();
    }
    Launch launch{dims_, views};
    const std::size_t bytes = kernel_.workspace_bytes(launch);
    constexpr std::size_t kAlignment = 32;
    const std::size_t whole = bytes + 2 * kAlignment;
    const auto deleter = [](std::byte* p) { ::operator delete[](p, std::align_val_t{kAlignment}); };
    const std::unique_ptr<std::byte[], decltype(deleter)> workspace(
        new (std::align_val_t{kAlignment}) std::byte[whole], deleter);
    constexpr std::byte kPoison{0xFF};
    std::fill_n(workspace.get(), whole, kPoison);
    launch.workspace = bytes == 0 ? nullptr : workspace.get() + kAlignment;
    kernel_.launch(launch);

    for (std::size_t i = 0; i < kAlignment; ++i) {
      ASSERT_EQ(workspace[i], kPoison) << "before the workspace";
      ASSERT_EQ(workspace[kAlignment + bytes + i], kPoison) << "behind the workspace";
    }
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
      if (!tensors_[i]) continue;
      EXPECT_TRUE(tensors_[i]->GapsAreUntouched()) << "tensor " << i;
      EXPECT_TRUE(output_[i] || tensors_[i]->Bytes() == before[i]) << "tensor " << i;
    }
  }

  /// Of every output, one after the other.
  std::vector<std::byte> OutputBytes() const {
    std::vector<std::byte> all;
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
      if (!output_[i]) continue;
      const std::vector<std::byte> bytes = tensors_[i]->Bytes();
      all.insert(all.end(), bytes.begin(), bytes.end());
    }
    return all;
  }

  std::uint64_t WorkspaceBytes() {
    std::vector<KernelTensor> views(tensors_.size());
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
      if (tensors_[i]) views[i] = tensors_[i]->ForKernel();
    }
    return kernel_.workspace_bytes(Launch{dims_, views});
  }

 private:
  static const Kernel& Find(std::string_view name) {
    for (const Kernel& kernel : Kernels()) {
      if (kernel.name == name) return kernel;
    }
    throw std::logic_error("no such kernel");
  }

  const Kernel& kernel_;
  Dims dims_;
  std::vector<std::optional<TestTensor>> tensors_;
  std::vector<bool> output_;
};

/// What an output should be, and by how much it may differ before it is rounded to its dtype.
struct Golden {
  std::vector<double> value;
  std::vector<double> error;
};

inline void ExpectWithin(std::string_view name, const TestTensor& actual, const Golden& golden) {
  const std::vector<double> values = actual.Values();
  ASSERT_EQ(values.size(), golden.value.size()) << name;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double low = Round(actual.dtype(), golden.value[i] - golden.error[i]);
    const double high = Round(actual.dtype(), golden.value[i] + golden.error[i]);
    ASSERT_TRUE(low <= values[i] && values[i] <= high)
        << fmt::format("{}[{}] is {}, expected {} to {}", name, i, values[i], low, high);
  }
}

/// Runs `body` once per instruction set this machine has and the kernels were built for.
template <typename Body>
void ForEachInstructionSet(Body body) {
  for (const std::string& name : cpu::InstructionSets()) {
    SCOPED_TRACE(name);
    ASSERT_TRUE(cpu::SetInstructionSet(name));
    body();
    cpu::SetInstructionSet("");
  }
}

/// As long as one lives, tensors are, for all kernels know, not in the caches: they are taken and
/// written in other ways. Which, depends on the first-level cache.
class FromMemory {
 public:
  static constexpr std::size_t kCommon = std::size_t{32} << 10, kLarge = std::size_t{48} << 10;

  explicit FromMemory(std::size_t first_level = kCommon) {
    cpu::AssumeFirstLevelCache(first_level);
    cpu::AssumeLastLevelCache(1);
  }
  FromMemory(const FromMemory&) = delete;
  FromMemory& operator=(const FromMemory&) = delete;
  ~FromMemory() {
    cpu::AssumeFirstLevelCache({});
    cpu::AssumeLastLevelCache({});
  }
};

/// Runs `body` from memory, with either first-level cache.
template <typename Body>
void ForEachWayFromMemory(Body body) {
  for (const std::size_t first_level : {FromMemory::kCommon, FromMemory::kLarge}) {
    SCOPED_TRACE(fmt::format("from memory, through {} KiB", first_level >> 10));
    const FromMemory tensors(first_level);
    body();
  }
}

/// ForEachInstructionSet(), and again from memory.
template <typename Body>
void ForEachTarget(Body body) {
  ForEachInstructionSet(body);
  ForEachWayFromMemory(body);
}

/// Runs `call`, a KernelCall, on 1, 2 and 3 threads, from the caches and from memory, with either
/// first-level cache, on which it may depend how a call is split, and expects the same bits.
inline void ExpectSameBitsOnAllThreads(KernelCall* call) {
  for (const std::size_t first_level : {FromMemory::kCommon, FromMemory::kLarge}) {
    SCOPED_TRACE(fmt::format("through {} KiB", first_level >> 10));
    std::vector<std::byte> alone;
    for (const unsigned threads : {1, 2, 3}) {
      cpu::SetThreads(threads);
      for (const bool from_memory : {false, true}) {
        const FromMemory tensors(first_level);
        if (!from_memory) cpu::AssumeLastLevelCache({});
        call->Run();
        if (alone.empty()) alone = call->OutputBytes();
        EXPECT_TRUE(call->OutputBytes() == alone)
            << threads << " threads" << (from_memory ? ", from memory" : "");
      }
    }
    cpu::SetThreads(0);
  }
}

}  // namespace normgrad
