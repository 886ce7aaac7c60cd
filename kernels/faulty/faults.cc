// SPDX-License-Identifier: Apache-2.0
#include "kernels/faulty/faults.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <stdexcept>
#include <thread>
#include <vector>

namespace normgrad::faulty {
namespace {

// Params of aclnnRmsNormGrad, whose kernel these faults are about.
constexpr std::size_t kDy = 0, kX = 1, kRstd = 2, kDx = 4, kDgamma = 5;

std::byte* Element(const KernelTensor& tensor, std::size_t flat) {
  std::int64_t position = 0;
  for (std::size_t axis = tensor.shape.size(); axis-- > 0;) {
    const auto extent = static_cast<std::size_t>(tensor.shape[axis]);
    position += static_cast<std::int64_t>(flat % extent) * tensor.strides[axis];
    flat /= extent;
  }
  return static_cast<std::byte*>(tensor.data) +
         position * static_cast<std::int64_t>(SizeOf(tensor.dtype));
}

double Read(const KernelTensor& tensor, std::size_t flat) {
  return Load(tensor.dtype, Element(tensor, flat));
}

void Write(const KernelTensor& tensor, std::size_t flat, double value) {
  Store(tensor.dtype, value, Element(tensor, flat));
}

void WrongElement(const Scene& scene, void (*compute)(const Launch&)) {
  compute(scene.launch);
  const KernelTensor& dx = scene.launch.tensors[kDx];
  const std::size_t count = ElementCount(dx.shape);
  if (count > 0) Write(dx, count / 2, Read(dx, count / 2) * 1.02 + 0x1p-20);
}

void OneUlp(const Scene& scene, void (*compute)(const Launch&)) {
  compute(scene.launch);
  const KernelTensor& dx = scene.launch.tensors[kDx];
  const std::size_t count = ElementCount(dx.shape);
  if (count > 0) *Element(dx, count / 2) ^= std::byte{1};  // little-endian: the lowest bit
}

void UnwrittenTail(const Scene& scene, void (*compute)(const Launch&)) {
  const KernelTensor& dx = scene.launch.tensors[kDx];
  const std::size_t count = ElementCount(dx.shape);
  if (count == 0) return compute(scene.launch);
  std::vector<std::byte> before(Element(dx, count - 1), Element(dx, count - 1) + SizeOf(dx.dtype));
  compute(scene.launch);
  std::ranges::copy(before, Element(dx, count - 1));
}

void OutOfBounds(const Scene& scene, void (*compute)(const Launch&)) {
  compute(scene.launch);
  const KernelTensor& dgamma = scene.launch.tensors[kDgamma];
  const std::size_t count = ElementCount(dgamma.shape);
  if (count == 0 || !dgamma.dense) return;
  *(static_cast<std::byte*>(dgamma.data) + count * SizeOf(dgamma.dtype)) = std::byte{0};
}

void GapWritten(const Scene& scene, void (*compute)(const Launch&)) {
  compute(scene.launch);
  const KernelTensor& dx = scene.launch.tensors[kDx];
  if (dx.dense || ElementCount(dx.shape) < 2 || dx.strides.back() < 2) return;
  *(Element(dx, 0) + SizeOf(dx.dtype)) = std::byte{0};
}

void InputChanged(const Scene& scene, void (*compute)(const Launch&)) {
  compute(scene.launch);
  const KernelTensor& x = scene.launch.tensors[kX];
  if (ElementCount(x.shape) > 0) *Element(x, 0) ^= std::byte{1};
}

/// dgamma summed in float32 from a row that depends on how often the kernel ran.
void NondeterministicSum(const Scene& scene, void (*compute)(const Launch&)) {
  compute(scene.launch);
  const auto& tensors = scene.launch.tensors;
  const KernelTensor& dgamma = tensors[kDgamma];
  const std::size_t cols = ElementCount(dgamma.shape), rows = ElementCount(tensors[kRstd].shape);
  if (rows < 3) return;  // two terms add up to the same bits in either order
  for (std::size_t col = 0; col < cols; ++col) {
    float sum = 0;
    for (std::size_t i = 0; i < rows; ++i) {
      const std::size_t row = (i + scene.launches * 7) % rows, at = row * cols + col;
      sum += static_cast<float>(Read(tensors[kDy], at)) *
             (static_cast<float>(Read(tensors[kX], at)) *
              static_cast<float>(Read(tensors[kRstd], row)));
    }
    Write(dgamma, col, static_cast<double>(sum));
  }
}

void StaleAccumulation(const Scene& scene, void (*compute)(const Launch&)) {
  const KernelTensor& dgamma = scene.launch.tensors[kDgamma];
  std::vector<double> before(ElementCount(dgamma.shape));
  for (std::size_t i = 0; i < before.size(); ++i) before[i] = Read(dgamma, i);
  compute(scene.launch);
  for (std::size_t i = 0; i < before.size(); ++i) Write(dgamma, i, Read(dgamma, i) + before[i]);
}

void WorkspaceOverrun(const Scene& scene, void (*compute)(const Launch&)) {
  compute(scene.launch);
  if (scene.workspace_bytes > 0) scene.launch.workspace[scene.workspace_bytes] = std::byte{0};
}

void Slow(const Scene& scene, void (*compute)(const Launch&)) {
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  compute(scene.launch);
}

void Hang(const Scene&, void (*)(const Launch&)) {
  for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
}

void Throws(const Scene&, void (*)(const Launch&)) {
  throw std::runtime_error("vector core exception (planted)");
}

void NotANumber(const Scene& scene, void (*compute)(const Launch&)) {
  compute(scene.launch);
  const KernelTensor& dgamma = scene.launch.tensors[kDgamma];
  const std::size_t count = ElementCount(dgamma.shape);
  if (count > 0) Write(dgamma, count - 1, std::nan(""));
}

}  // namespace

std::span<const Fault> Faults() {
  static constexpr Fault kFaults[] = {
      {"wrong-element", "one element of dx is 2 % off", WrongElement},
      {"one-ulp", "one element of dx is one unit in the last place off", OneUlp},
      {"nan", "the last element of dgamma is NaN", NotANumber},
      {"unwritten-tail", "the last element of dx is not written", UnwrittenTail},
      {"out-of-bounds", "the byte behind dgamma is written", OutOfBounds},
      {"gap-written", "a gap between elements of a strided dx is written", GapWritten},
      {"input-changed", "the first element of x is changed", InputChanged},
      {"nondeterministic-sum", "dgamma is summed in another order in every launch",
       NondeterministicSum},
      {"stale-accumulation", "dgamma is added to what memory held", StaleAccumulation},
      {"workspace-overrun", "the byte behind the workspace is written", WorkspaceOverrun},
      {"slow", "every launch takes 1.5 s more", Slow},
      {"hang", "a launch never ends", Hang},
      {"throws", "the kernel fails on the device", Throws},
  };
  return kFaults;
}

}  // namespace normgrad::faulty
