// SPDX-License-Identifier: Apache-2.0
// The CPU device's kernels and contract, bent to deviate as rows of cases/deviations.csv describe.
// NORMGRAD_PRODUCT says which product to be; NORMGRAD_DEVIATION=unlisted adds a deviation that no
// row describes.
#include "kernels/cpu/kernels.h"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <string_view>
#include <vector>

#include "ops/operators.h"

namespace normgrad {
namespace {

bool Is(const Operator& op, const Operator& other) { return op.name == other.name; }

/// Whether the vendor takes a call that breaks this rule.
bool IsTaken(const Operator& op, std::string_view product, const Violation& violation,
             std::span<const CallArg> args) {
  const std::string_view rule = violation.rule;
  const bool floats_only = std::ranges::none_of(args, [](const CallArg& arg) {
    return arg.present && arg.dtype_code != 0 && (!arg.dtype || *arg.dtype == DType::kInt32);
  });
  if (violation.kind == Violation::Kind::kProduct) {
    return !Is(op, kRmsNormGrad) || product == "atlas-training";  // D1, D16
  }
  if (Is(op, kRmsNormGrad)) return rule.starts_with("on atlas-inference");  // D5
  if (Is(op, kGroupNormBackward)) {                                         // D11
    return rule.ends_with("has at most 8 axes") && !rule.starts_with("gradOut ");
  }
  if (!Is(op, kLayerNormBackward)) return false;
  if (rule == "no tensor is empty") return true;                                       // D15
  if (violation.kind == Violation::Kind::kDType) return floats_only;                   // D13, D14
  if (rule == "normalizedShape has at least 1 axis") return true;                      // D12
  return rule.starts_with("gradOut has the shape") && args[0].shape == args[1].shape;  // D12
}

/// Why the vendor refuses a call that is legal.
std::optional<std::int32_t> RefusedStatus(const Operator& op, std::string_view product,
                                          const Dims& dims, const DTypes& dtypes) {
  const auto extent = [&](std::string_view symbol) { return dims.find(symbol)->second.front(); };
  if (Is(op, kRmsNormGrad) && product != "ascend-950" && Count("*A", dims) == 0) {
    return 561002;  // D2
  }
  if (!Is(op, kGroupNormBackward)) return std::nullopt;
  const bool wide = extent("C") / extent("G") > 8000;
  if (product == "ascend-950") {
    if (wide) return 561103;  // D8
    const bool mixed = SizeOf(dtypes[0]) == 2 && dtypes[1] == DType::kFloat32;
    if (mixed && dtypes[2] == DType::kNone) return 561103;  // D10
  } else if (product != "atlas-training" && (wide || extent("C") > 240000)) {
    return kAclnnParamInvalid;  // D8
  }
  return std::nullopt;
}

void LaunchRmsNormGrad(const Launch& launch) {
  std::vector<KernelTensor> tensors(launch.tensors.begin(), launch.tensors.end());
  for (const std::size_t output : {std::size_t{4}, std::size_t{5}}) {  // D4
    tensors[output].strides = RowMajorStrides(tensors[output].shape);
    tensors[output].dense = true;
  }
  cpu::kRmsNormGrad.launch({launch.dims, tensors, launch.workspace, launch.deterministic});
  if (Count("*A", launch.dims) > 0) return;
  const KernelTensor& dgamma = tensors[5];  // D3
  for (std::size_t i = 0; i < ElementCount(dgamma.shape); ++i) {
    Store(dgamma.dtype, std::numeric_limits<double>::quiet_NaN(),
          static_cast<std::byte*>(dgamma.data) + i * SizeOf(dgamma.dtype));
  }
}

bool IsProduct(std::string_view key) {
  const char* product = std::getenv("NORMGRAD_PRODUCT");
  return product != nullptr && product == key;
}

/// `rstd` less a few roundings, as if it had been computed again; its elements are in `storage`.
KernelTensor Rebuilt(const KernelTensor& rstd, std::vector<std::byte>* storage) {
  KernelTensor rebuilt = rstd;
  rebuilt.strides = RowMajorStrides(rstd.shape);
  storage->resize(ElementCount(rstd.shape) * SizeOf(rstd.dtype));
  rebuilt.data = storage->data();
  for (std::size_t at = 0; at < storage->size(); at += SizeOf(rstd.dtype)) {
    const auto* const element = static_cast<const std::byte*>(rstd.data) + at;
    Store(rstd.dtype, Load(rstd.dtype, element) * (1 - 0x1.8p-20), &(*storage)[at]);
  }
  return rebuilt;
}

void LaunchGroupNormBackward(const Launch& launch) {
  if (Count("N C *S", launch.dims) == 0 && !IsProduct("ascend-950")) return;  // D9
  std::vector<KernelTensor> tensors(launch.tensors.begin(), launch.tensors.end());
  std::vector<std::byte> rstd;
  if (IsProduct("atlas-training") && tensors[3].dense)
    tensors[3] = Rebuilt(tensors[3], &rstd);  // D20
  cpu::kGroupNormBackward.launch({launch.dims, tensors, launch.workspace, launch.deterministic});
}

void LaunchBatchNormElemtBackward(const Launch& launch) {
  cpu::kBatchNormElemtBackward.launch(launch);
  const KernelTensor& dx = launch.tensors[8];
  const bool all_float16 = std::ranges::all_of(launch.tensors.first(7), [](const auto& tensor) {
    return !tensor.present() || tensor.dtype == DType::kFloat16;
  });
  if (!all_float16 || !dx.dense) return;
  for (std::size_t i = 0; i < ElementCount(dx.shape); ++i) {  // D18
    auto* const element = static_cast<std::byte*>(dx.data) + i * SizeOf(dx.dtype);
    const double value = Load(dx.dtype, element);
    Store(dx.dtype, Round(DType::kFloat16, value * (1 + 0x1p-10)), element);
  }
}

bool DeviatesBeyondTheTable() {
  const char* value = std::getenv("NORMGRAD_DEVIATION");
  return value != nullptr && std::string_view(value) == "unlisted";
}

}  // namespace

std::span<const Kernel> Kernels() {
  static const Kernel kAll[] = {
      {"batch_norm_elemt_backward", cpu::kBatchNormElemtBackward.workspace_bytes,
       LaunchBatchNormElemtBackward},
      {"group_norm_backward", cpu::kGroupNormBackward.workspace_bytes, LaunchGroupNormBackward},
      cpu::kLayerNormBackward,
      {"rms_norm_grad", cpu::kRmsNormGrad.workspace_bytes, LaunchRmsNormGrad},
  };
  return kAll;
}

std::optional<Violation> CheckCall(const Operator& op, std::string_view product,
                                   std::span<const CallArg> args, Dims* dims, DTypes* dtypes) {
  auto violation = CheckContract(op, product, args, dims, dtypes);
  if (!violation) {
    const auto status = RefusedStatus(op, product, *dims, *dtypes);
    if (!status) return std::nullopt;
    return Violation{Violation::Kind::kRule, *status, "", "the vendor's tiling does not know it"};
  }
  if (violation->rule.ends_with("where its mask bit is true") && Is(op, kGroupNormBackward)) {
    violation->status = kAclnnParamInvalid;  // D7
  }
  if (DeviatesBeyondTheTable()) violation->status = 561103;
  if (!IsTaken(op, product, *violation, args)) return violation;
  // Nothing sensible can be computed: one element each, should anybody launch it.
  dims->clear();
  for (const Param& param : op.params) {
    for (const PatternAxis& axis : ParsePattern(param.pattern)) {
      (*dims)[std::string(axis.symbol)] = {1};
    }
  }
  return std::nullopt;
}

}  // namespace normgrad
