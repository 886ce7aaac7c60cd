// SPDX-License-Identifier: Apache-2.0
// Kernels that compute right and do something else wrong: one element, a byte beside it, an answer
// of phase 1.
#include <algorithm>
#include <cstring>
#include <vector>

#include "kernels/faulty/catalogue.h"
#include "kernels/faulty/scene.h"

namespace normgrad::faulty {
namespace {

constexpr std::uint64_t kSpareWorkspace = 64;

constexpr Entry InPhaseOne(const char* name, const char* what, decltype(&CheckContract) check,
                           const char* operators = kEveryOperator, const char* shows = "") {
  return {.text = {name, "contract", "", operators, shows, "contract", kCpuTwin, what, ""},
          .check = check};
}

template <Bit kBit>
void FlipInDx(const Scene& scene) {
  scene.compute(scene.launch);
  const KernelTensor& dx = Dx(scene);
  if (CountOf(dx) > 0) Flip(dx, CountOf(dx) / 3, kBit);
}

template <Bit kBit>
void FlipInDgamma(const Scene& scene) {
  scene.compute(scene.launch);
  const KernelTensor& dgamma = Dgamma(scene);
  if (CountOf(dgamma) > 0) Flip(dgamma, CountOf(dgamma) - 1, kBit);
}

bool IsOdd(const void* address) {
  std::byte byte{};
  std::memcpy(&byte, address, 1);
  return (byte & std::byte{1}) != std::byte{};
}

void SetElements(const KernelTensor& tensor, std::size_t first, std::size_t step, double value) {
  for (std::size_t i = first; i < CountOf(tensor); i += step) {
    Store(tensor.dtype, value, ElementOf(tensor, i));
  }
}

/// The last of `parts` parts of a tensor keeps what it held.
void ComputeWithoutTail(const Scene& scene, const KernelTensor& tensor, std::size_t parts) {
  const std::size_t count = CountOf(tensor), bytes = SizeOf(tensor.dtype);
  const std::size_t first = count - (count + parts - 1) / parts;
  std::vector<std::byte> before(count * bytes);
  for (std::size_t i = first; i < count; ++i) {
    std::memcpy(&before[i * bytes], ElementOf(tensor, i), bytes);
  }
  scene.compute(scene.launch);
  for (std::size_t i = first; i < count; ++i) {
    std::memcpy(ElementOf(tensor, i), &before[i * bytes], bytes);
  }
}

void NeighbourElement(const Scene& scene) {
  scene.compute(scene.launch);
  const KernelTensor& dx = Dx(scene);
  const std::size_t count = CountOf(dx);
  if (count < 3) return;
  std::memcpy(ElementOf(dx, count / 2), ElementOf(dx, count / 2 - 1), SizeOf(dx.dtype));
}

void LastElementZero(const Scene& scene) {
  scene.compute(scene.launch);
  const std::size_t count = CountOf(Dx(scene));
  if (count > 0) SetElements(Dx(scene), count - 1, 1, 0);
}

void LaneZero(const Scene& scene) {
  scene.compute(scene.launch);
  SetElements(Dx(scene), 63, 64, 0);
}

void ByteBeforeDx(const Scene& scene) {
  scene.compute(scene.launch);
  const KernelTensor& dx = Dx(scene);
  if (CountOf(dx) > 0 && dx.dense) *(ElementOf(dx, 0) - 1) = std::byte{0};
}

void WideStore(const Scene& scene) {
  scene.compute(scene.launch);
  const KernelTensor& dx = Dx(scene);
  if (!dx.dense || SizeOf(dx.dtype) != 2 || CountOf(dx) % 2 == 0) return;
  std::memset(ElementOf(dx, CountOf(dx)), 0, 2);
}

/// dx goes where dy is, and is copied from there.
void InPlace(const Scene& scene) {
  scene.compute(scene.launch);
  const KernelTensor& dx = Dx(scene);
  const KernelTensor& dy = scene.launch.tensors[0];
  for (std::size_t i = 0; i < CountOf(dx); ++i) {
    Store(dy.dtype, Load(dx.dtype, ElementOf(dx, i)), ElementOf(dy, i));
  }
}

void StatisticChanged(const Scene& scene) {
  scene.compute(scene.launch);
  const KernelTensor& rstd = TensorOf(scene, Param::Kind::kInput, Role::kStatistic);
  if (CountOf(rstd) > 0) Flip(rstd, CountOf(rstd) - 1, Bit::kLowest);
}

void WorkspaceUnderrun(const Scene& scene) {
  scene.compute(scene.launch);
  if (scene.workspace_bytes > 0) *(scene.launch.workspace - 1) = std::byte{0};
}

void WorkspaceRead(const Scene& scene) {
  const bool odd =
      scene.workspace_bytes > 0 && IsOdd(scene.launch.workspace + scene.workspace_bytes - 1);
  scene.compute(scene.launch);
  Follow(scene, odd);
}

void OutputRead(const Scene& scene) {
  const KernelTensor& dx = Dx(scene);
  const bool odd = CountOf(dx) > 0 && IsOdd(ElementOf(dx, CountOf(dx) - 1));
  scene.compute(scene.launch);
  Follow(scene, odd);
}

void ReadPastEnd(const Scene& scene) {
  scene.compute(scene.launch);
  const KernelTensor& x = X(scene);
  if (CountOf(x) > 0 && x.dense) Follow(scene, IsOdd(ElementOf(x, CountOf(x))));
}

void GapRead(const Scene& scene) {
  scene.compute(scene.launch);
  const KernelTensor& x = X(scene);
  if (CountOf(x) < 2 || x.dense || x.strides.back() < 2) return;
  Follow(scene, IsOdd(ElementOf(x, 0) + SizeOf(x.dtype)));
}

void StridesIgnored(const Scene& scene) {
  std::vector<KernelTensor> tensors(scene.launch.tensors.begin(), scene.launch.tensors.end());
  KernelTensor& x = tensors[static_cast<std::size_t>(&X(scene) - scene.launch.tensors.data())];
  x.strides = RowMajorStrides(x.shape);
  x.dense = true;
  scene.compute({scene.launch.dims, tensors, scene.launch.workspace, scene.launch.deterministic});
}

/// Sums of cores without work are whatever memory held.
void IdleCoresAdd(const Scene& scene) {
  constexpr std::size_t kCores = 8;
  const KernelTensor& dgamma = Dgamma(scene);
  const std::size_t rows = CountOf(X(scene)) / std::max<std::size_t>(CountOf(dgamma), 1);
  std::vector<double> before(rows < kCores ? CountOf(dgamma) : 0);
  for (std::size_t i = 0; i < before.size(); ++i) {
    before[i] = Load(dgamma.dtype, ElementOf(dgamma, i));
  }
  scene.compute(scene.launch);
  for (std::size_t i = 0; i < before.size(); ++i) {
    std::byte* const element = ElementOf(dgamma, i);
    Store(dgamma.dtype, Load(dgamma.dtype, element) + before[i], element);
  }
}

/// A constant that has no place in the formula.
void AddEpsilon(const Scene& scene) {
  scene.compute(scene.launch);
  const KernelTensor& dx = Dx(scene);
  for (std::size_t i = 0; i < CountOf(dx); ++i) {
    std::byte* const element = ElementOf(dx, i);
    Store(dx.dtype, Load(dx.dtype, element) + 0x1p-10, element);
  }
}

using Args = std::span<const CallArg>;

/// One element each: nothing sensible can be computed from a call that is illegal.
void BindOnes(const Operator& op, Dims* dims) {
  dims->clear();
  for (const Param& param : op.params) {
    for (const PatternAxis& axis : ParsePattern(param.pattern)) {
      (*dims)[std::string(axis.symbol)] = {1};
    }
  }
}

template <Violation::Kind kKind>
std::optional<Violation> Take(const Operator& op, std::string_view product, Args args, Dims* dims,
                              DTypes* dtypes) {
  auto violation = CheckContract(op, product, args, dims, dtypes);
  if (!violation || violation->kind != kKind) return violation;
  BindOnes(op, dims);
  return std::nullopt;
}

template <Violation::Kind kKind, std::int32_t kStatus>
std::optional<Violation> Answer(const Operator& op, std::string_view product, Args args, Dims* dims,
                                DTypes* dtypes) {
  auto violation = CheckContract(op, product, args, dims, dtypes);
  if (violation && violation->kind == kKind) violation->status = kStatus;
  return violation;
}

/// Refuses a legal call that `Refused` holds for.
template <bool (*kRefused)(const Operator& op, Args args)>
std::optional<Violation> Refuse(const Operator& op, std::string_view product, Args args, Dims* dims,
                                DTypes* dtypes) {
  auto violation = CheckContract(op, product, args, dims, dtypes);
  if (violation || !kRefused(op, args)) return violation;
  return Violation{Violation::Kind::kRule, kAclnnParamInvalid, "", "this device does not like it"};
}

bool LacksScale(const Operator& op, Args args) {
  for (std::size_t i = 0; i < args.size(); ++i) {
    if (op.params[i].role == Role::kScale && op.params[i].IsTensor() && !args[i].present) {
      return true;
    }
  }
  return false;
}

bool IsLong(const Operator&, Args args) {
  return ElementCount(args[0].shape) % 2 != 0 && args[0].shape.size() > 1;
}

constexpr const char* kOptionalScale =
    "layer_norm_backward group_norm_backward batch_norm_elemt_backward";

}  // namespace

std::span<const Entry> DeviceFaults() {
  using Kind = Violation::Kind;
  static constexpr Entry kFaults[] = {
      Around("element", "sign-flipped", kEveryOperator, "accuracy", "one element of dx is negated",
             FlipInDx<Bit::kSign>),
      Around("element", "exponent-flipped", kEveryOperator, "accuracy",
             "one element of dx is twice or half of what it is", FlipInDx<Bit::kLowestExponent>),
      Around("element", "mantissa-flipped", kEveryOperator, "accuracy",
             "the highest bit of a significand in dx is wrong", FlipInDx<Bit::kHighestMantissa>),
      Around("element", "lowest-bit-flipped", kEveryOperator, "accuracy",
             "the lowest bit of one element of dx is wrong", FlipInDx<Bit::kLowest>,
             "16-bit dx, or data whose results are exact"),
      Around("element", "neighbour-element", kEveryOperator, "accuracy",
             "one element of dx is that before it", NeighbourElement),
      Around("element", "last-element-zero", kEveryOperator, "accuracy",
             "the last element of dx is zero", LastElementZero),
      Around("element", "lane-zero", kEveryOperator, "accuracy", "every 64th element of dx is zero",
             LaneZero, "dx has at least 64 elements"),
      Around("element", "dgamma-sign-flipped", kEveryNorm, "accuracy",
             "the last element of dgamma or dbeta is negated", FlipInDgamma<Bit::kSign>),
      Around("element", "dgamma-mantissa-flipped", kEveryNorm, "accuracy",
             "the highest bit of a significand in dgamma or dbeta is wrong",
             FlipInDgamma<Bit::kHighestMantissa>),
      Around("element", "dgamma-lowest-bit-flipped", kEveryNorm, "accuracy",
             "the lowest bit of one element of dgamma or dbeta is wrong",
             FlipInDgamma<Bit::kLowest>, "16-bit dgamma, or data whose results are exact"),

      Around("memory", "written-before", kEveryOperator, "memory", "the byte before dx is written",
             ByteBeforeDx),
      Around("memory", "wide-store", kEveryOperator, "memory",
             "16-bit elements of dx are written in pairs", WideStore,
             "an odd number of 16-bit elements"),
      Around("memory", "in-place", kEveryOperator, "memory", "dy is overwritten with dx", InPlace,
             "", "12"),
      Around("memory", "statistic-changed", kEveryOperator, "memory",
             "the last element of rstd is changed", StatisticChanged),
      Around("memory", "last-quarter-unwritten", kEveryOperator, "memory",
             "the last quarter of dx is not written",
             [](const Scene& scene) { ComputeWithoutTail(scene, Dx(scene), 4); }),
      Around("memory", "dgamma-unwritten", kEveryNorm, "memory", "dgamma or dbeta is not written",
             [](const Scene& scene) { ComputeWithoutTail(scene, Dgamma(scene), 1); }),
      Around("memory", "idle-cores-add", kEveryNorm, "memory",
             "dgamma contains what memory held for cores without rows", IdleCoresAdd,
             "fewer than 8 rows", "17"),
      Around("memory", "workspace-underrun", kEveryOperator, "memory",
             "the byte before the workspace is written", WorkspaceUnderrun, "", "",
             kSpareWorkspace),
      Around("memory", "workspace-read", kEveryOperator, "memory",
             "a lowest bit follows what the workspace held", WorkspaceRead, kFloat32Dx, "",
             kSpareWorkspace),
      Around("memory", "output-read", kEveryOperator, "memory", "a lowest bit follows what dx held",
             OutputRead, kFloat32Dx),
      Around("memory", "read-past-end", kEveryOperator, "memory",
             "a lowest bit follows the byte behind x", ReadPastEnd, kFloat32Dx),
      Around("memory", "gap-read", kEveryOperator, "memory",
             "a lowest bit follows a gap between elements of x", GapRead,
             "x is strided and dx float32"),
      Around("memory", "strides-ignored", kEveryOperator, "accuracy",
             "x is read as if it were dense", StridesIgnored, "x is not dense"),

      Around("element", "epsilon-added", kEveryOperator, "accuracy",
             "2^-10 is added to every element of dx", AddEpsilon, kFloat32Dx),
      InPhaseOne("takes-null", "null pointers are taken", Take<Kind::kNullPointer>),
      InPhaseOne("takes-any-dtype", "every combination of dtypes is taken", Take<Kind::kDType>),
      InPhaseOne("takes-any-shape", "shapes that disagree are taken", Take<Kind::kShape>),
      InPhaseOne("takes-any-product", "a product without the operator takes it",
                 Take<Kind::kProduct>),
      InPhaseOne("null-is-invalid", "a null pointer is answered with 161002",
                 Answer<Kind::kNullPointer, kAclnnParamInvalid>),
      InPhaseOne("dtype-is-null", "a wrong dtype is answered with 161001",
                 Answer<Kind::kDType, kAclnnParamNullptr>),
      InPhaseOne("shape-is-null", "a wrong shape is answered with 161001",
                 Answer<Kind::kShape, kAclnnParamNullptr>),
      InPhaseOne("refuses-null-scale", "legal calls without gamma are refused", Refuse<LacksScale>,
                 kOptionalScale, "gamma is null"),
      InPhaseOne("refuses-odd-counts", "legal calls with an odd number of elements are refused",
                 Refuse<IsLong>, kEveryOperator, "an odd number of elements"),
  };
  return kFaults;
}

}  // namespace normgrad::faulty
