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

const KernelTensor& Dx(const Scene& scene) {
  static const KernelTensor kNone;
  const KernelTensor* dx = scene.Find(Param::Kind::kOutput, Role::kData);
  return dx != nullptr ? *dx : kNone;
}

/// dx where the call has no gradient of a scale.
const KernelTensor& Dgamma(const Scene& scene) {
  const KernelTensor* dgamma = scene.Find(Param::Kind::kOutput, Role::kScaleGrad);
  return dgamma != nullptr ? *dgamma : Dx(scene);
}

/// 0 for a tensor that is not there.
std::size_t CountOf(const KernelTensor& tensor) {
  return tensor.present() ? ElementCount(tensor.shape) : 0;
}

void WrongElement(const Scene& scene) {
  scene.compute(scene.launch);
  const KernelTensor& dx = Dx(scene);
  const std::size_t count = CountOf(dx);
  if (count > 0) Write(dx, count / 2, Read(dx, count / 2) * 1.02 + 0x1p-20);
}

void OneUlp(const Scene& scene) {
  scene.compute(scene.launch);
  const KernelTensor& dx = Dx(scene);
  const std::size_t count = CountOf(dx);
  if (count > 0) *Element(dx, count / 2) ^= std::byte{1};  // little-endian: the lowest bit
}

void UnwrittenTail(const Scene& scene) {
  const KernelTensor& dx = Dx(scene);
  const std::size_t count = CountOf(dx);
  if (count == 0) return scene.compute(scene.launch);
  std::vector<std::byte> before(Element(dx, count - 1), Element(dx, count - 1) + SizeOf(dx.dtype));
  scene.compute(scene.launch);
  std::ranges::copy(before, Element(dx, count - 1));
}

void OutOfBounds(const Scene& scene) {
  scene.compute(scene.launch);
  const KernelTensor& dgamma = Dgamma(scene);
  const std::size_t count = CountOf(dgamma);
  if (count == 0 || !dgamma.dense) return;
  *(static_cast<std::byte*>(dgamma.data) + count * SizeOf(dgamma.dtype)) = std::byte{0};
}

void OutOfBoundsByDefault(const Scene& scene) {
  scene.launch.deterministic ? scene.compute(scene.launch) : OutOfBounds(scene);
}

void GapWritten(const Scene& scene) {
  scene.compute(scene.launch);
  const KernelTensor& dx = Dx(scene);
  if (dx.dense || CountOf(dx) < 2 || dx.strides.back() < 2) return;
  *(Element(dx, 0) + SizeOf(dx.dtype)) = std::byte{0};
}

void InputChanged(const Scene& scene) {
  scene.compute(scene.launch);
  const KernelTensor& x = *scene.Find(Param::Kind::kInput, Role::kData);
  if (CountOf(x) > 0) *Element(x, 0) ^= std::byte{1};
}

/// dgamma of an RMS norm summed in float32 from a row that depends on how often the kernel ran.
void NondeterministicSum(const Scene& scene) {
  scene.compute(scene.launch);
  if (scene.op.name != "rms_norm_grad") return;
  const KernelTensor& dy = scene.launch.tensors[0];
  const KernelTensor& x = *scene.Find(Param::Kind::kInput, Role::kData);
  const KernelTensor& rstd = *scene.Find(Param::Kind::kInput, Role::kStatistic);
  const KernelTensor& dgamma = Dgamma(scene);
  const std::size_t cols = CountOf(dgamma), rows = ElementCount(rstd.shape);
  if (rows < 3) return;  // two terms add up to the same bits in either order
  for (std::size_t col = 0; col < cols; ++col) {
    float sum = 0;
    for (std::size_t i = 0; i < rows; ++i) {
      const std::size_t row = (i + scene.launches * 7) % rows, at = row * cols + col;
      sum += static_cast<float>(Read(dy, at)) *
             (static_cast<float>(Read(x, at)) * static_cast<float>(Read(rstd, row)));
    }
    Write(dgamma, col, static_cast<double>(sum));
  }
}

/// The low bits of a float32 output depend on how often the kernel ran; no two of three runs agree.
void NondeterministicBits(const Scene& scene) {
  scene.compute(scene.launch);
  const KernelTensor& dgamma = Dgamma(scene);
  if (CountOf(dgamma) == 0 || dgamma.dtype != DType::kFloat32) return;
  *Element(dgamma, 0) ^= static_cast<std::byte>(scene.launches % 3);
}

void NondeterministicBitsByDefault(const Scene& scene) {
  scene.launch.deterministic ? scene.compute(scene.launch) : NondeterministicBits(scene);
}

/// What the document allows: another order of summation unless the option asks for one order.
void NondeterministicByDefault(const Scene& scene) {
  scene.launch.deterministic ? scene.compute(scene.launch) : NondeterministicSum(scene);
}

void StaleAccumulation(const Scene& scene) {
  const KernelTensor& dgamma = Dgamma(scene);
  std::vector<double> before(CountOf(dgamma));
  for (std::size_t i = 0; i < before.size(); ++i) before[i] = Read(dgamma, i);
  scene.compute(scene.launch);
  for (std::size_t i = 0; i < before.size(); ++i) Write(dgamma, i, Read(dgamma, i) + before[i]);
}

void WorkspaceOverrun(const Scene& scene) {
  scene.compute(scene.launch);
  if (scene.workspace_bytes > 0) scene.launch.workspace[scene.workspace_bytes] = std::byte{0};
}

void Slow(const Scene& scene) {
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  scene.compute(scene.launch);
}

void Hang(const Scene&) {
  for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
}

void Throws(const Scene&) { throw std::runtime_error("vector core exception (planted)"); }

void NotANumber(const Scene& scene) {
  scene.compute(scene.launch);
  const KernelTensor& dgamma = Dgamma(scene);
  const std::size_t count = CountOf(dgamma);
  if (count > 0) Write(dgamma, count - 1, std::nan(""));
}

std::optional<Violation> IgnoreFormats(const Operator& op, std::string_view product,
                                       std::span<const CallArg> args, Dims* dims, DTypes* dtypes) {
  std::vector<CallArg> plain(args.begin(), args.end());
  for (CallArg& arg : plain) arg.format = kNdFormat;
  return CheckContract(op, product, plain, dims, dtypes);
}

std::optional<Violation> WrongStatus(const Operator& op, std::string_view product,
                                     std::span<const CallArg> args, Dims* dims, DTypes* dtypes) {
  auto violation = CheckContract(op, product, args, dims, dtypes);
  if (violation) violation->status = 561103;
  return violation;
}

std::optional<Violation> RefuseFloat16(const Operator& op, std::string_view product,
                                       std::span<const CallArg> args, Dims* dims, DTypes* dtypes) {
  auto violation = CheckContract(op, product, args, dims, dtypes);
  if (violation || dtypes->front() != DType::kFloat16) return violation;
  return Violation{Violation::Kind::kDType, kAclnnParamInvalid, "", "float16 is for others"};
}

}  // namespace

const KernelTensor* Scene::Find(Param::Kind kind, Role role) const {
  for (std::size_t i = op.params.size(); i-- > 0;) {
    const bool fits = op.params[i].kind == kind && op.params[i].role == role;
    if (fits && launch.tensors[i].present()) return &launch.tensors[i];
  }
  return nullptr;
}

std::span<const PhaseOneFault> PhaseOneFaults() {
  static constexpr PhaseOneFault kFaults[] = {
      {"ignores-formats", "private formats are taken for plain ones", IgnoreFormats},
      {"wrong-status", "every refusal is 561103", WrongStatus},
      {"refuses-float16", "calls with float16 data are refused", RefuseFloat16},
      {kGrowingWorkspace, "phase 1 asks for another workspace every time", CheckContract},
      {kWorkspaceOfTheProcess, "phase 1 asks for another workspace in every process",
       CheckContract},
  };
  return kFaults;
}

std::span<const Fault> Faults() {
  static constexpr Fault kFaults[] = {
      {"wrong-element", "one element of dx is 2 % off", WrongElement},
      {"one-ulp", "one element of dx is one unit in the last place off", OneUlp},
      {"nan", "the last element of dgamma is NaN", NotANumber},
      {"unwritten-tail", "the last element of dx is not written", UnwrittenTail},
      {"out-of-bounds", "the byte behind dgamma is written", OutOfBounds},
      {"out-of-bounds-by-default", "the same, unless ACL_OPT_DETERMINISTIC is on",
       OutOfBoundsByDefault},
      {"gap-written", "a gap between elements of a strided dx is written", GapWritten},
      {"input-changed", "the first element of x is changed", InputChanged},
      {"nondeterministic-sum", "dgamma is summed in another order in every launch",
       NondeterministicSum},
      {"nondeterministic-by-default",
       "as nondeterministic-sum, unless ACL_OPT_DETERMINISTIC is on: no fault",
       NondeterministicByDefault},
      {"nondeterministic-bits", "low bits of a float32 dgamma are other ones in every launch",
       NondeterministicBits},
      {"nondeterministic-bits-by-default", "the same, unless ACL_OPT_DETERMINISTIC is on",
       NondeterministicBitsByDefault},
      {"stale-accumulation", "dgamma is added to what memory held", StaleAccumulation},
      {"workspace-overrun", "the byte behind the workspace is written", WorkspaceOverrun},
      {"slow", "every launch takes 1.5 s more", Slow},
      {"hang", "a launch never ends", Hang},
      {"throws", "the kernel fails on the device", Throws},
  };
  return kFaults;
}

}  // namespace normgrad::faulty
