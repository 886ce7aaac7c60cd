// SPDX-License-Identifier: Apache-2.0
// Kernel of aclnnLayerNormBackward. Per row of R elements:
//
//   xhat    = (x - mean) * rstd
//   dx      = rstd * (dy * gamma - mean(dy * gamma) - xhat * mean(dy * gamma * xhat))
//   dgamma += dy * xhat
//   dbeta  += dy
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/layer_norm_backward.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/centred-inl.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/row_pass-inl.h"
#include "kernels/cpu/row_pass.h"

HWY_BEFORE_NAMESPACE();
namespace normgrad::cpu::HWY_NAMESPACE {

struct LayerNorm {
  static constexpr std::size_t kStatistics = 2;  // mean, rstd
  static constexpr std::size_t kRowSums = 2;     // of dy * gamma, of dy * gamma * xhat
  static constexpr std::size_t kColumnSums = 2;  // dgamma, dbeta

  static HWY_INLINE void AddToRow(VF dy, VF x, VF gamma, const VF (&statistics)[2], VF (&sums)[2]) {
    const VF g = hn::Mul(dy, gamma);
    sums[0] = hn::Add(sums[0], g);
    sums[1] = hn::MulAdd(g, Normalized(x, statistics[0], statistics[1]), sums[1]);
  }

  static HWY_INLINE void AddToColumns(VF dy, VF x, const VF (&statistics)[2], VF (&columns)[2]) {
    columns[0] = hn::MulAdd(dy, Normalized(x, statistics[0], statistics[1]), columns[0]);
    columns[1] = hn::Add(columns[1], dy);
  }

  static HWY_INLINE VF Gradient(VF dy, VF x, VF gamma, const VF (&statistics)[2],
                                const VF (&means)[2]) {
    const VF xhat = Normalized(x, statistics[0], statistics[1]);
    return CentredGradient(dy, xhat, gamma, means[0], means[1], statistics[1]);
  }
};

RowKernels LayerNormKernels(DType data) { return RowKernelsFor<LayerNorm>(data); }

}  // namespace normgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace normgrad::cpu {
namespace {

HWY_EXPORT(LayerNormKernels);

constexpr RowPass kPass = {
    .statistics = 2,
    .row_sums = 2,
    .column_sums = 2,
    .most_packed_cols = [](DType data) -> std::size_t {
      return data == DType::kBFloat16 ? 14 : 12;
    },
    .kernels = LayerNormRowKernels,
};

std::uint64_t WorkspaceBytes(const Launch& launch) {
  return RowPassWorkspaceBytes(kPass, launch.tensors[0].dtype, Count("*A", launch.dims),
                               Count("*R", launch.dims));
}

void Run(const Launch& launch) {
  const std::span<const KernelTensor> t = launch.tensors;
  const RowPassTensors tensors = {
      .leading_axes = launch.dims.find("A")->second.size(),
      .dy = t[0],
      .x = t[1],
      .dx = t[8],
      .gamma = t[5],
      .statistics = {&t[3], &t[4]},
      .column_sums = {&t[9], &t[10]},
  };
  RunRowPass(kPass, tensors, Count("*A", launch.dims), Count("*R", launch.dims), launch.workspace);
}

}  // namespace

RowKernels LayerNormRowKernels(DType data) { return HWY_DYNAMIC_DISPATCH(LayerNormKernels)(data); }

constinit const Kernel kLayerNormBackward = {
    .name = "layer_norm_backward",
    .workspace_bytes = WorkspaceBytes,
    .launch = Run,
    .prompt = true,
};

}  // namespace normgrad::cpu
#endif  // HWY_ONCE
