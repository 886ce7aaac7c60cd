// SPDX-License-Identifier: Apache-2.0
// Kernel of aclnnRmsNormGrad. Per row of R elements:
//
//   xhat    = x * rstd
//   dx      = rstd * (dy * gamma - xhat * mean(dy * gamma * xhat))
//   dgamma += dy * xhat
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/rms_norm_grad.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/kernels.h"
#include "kernels/cpu/row_pass-inl.h"
#include "kernels/cpu/row_pass.h"

HWY_BEFORE_NAMESPACE();
namespace normgrad::cpu::HWY_NAMESPACE {

struct RmsNorm {
  static constexpr std::size_t kStatistics = 1;
  static constexpr std::size_t kRowSums = 1;
  static constexpr std::size_t kColumnSums = 1;

  static HWY_INLINE void AddToRow(VF dy, VF x, VF gamma, const VF (&rstd)[1], VF (&sum)[1]) {
    sum[0] = hn::MulAdd(hn::Mul(dy, gamma), hn::Mul(x, rstd[0]), sum[0]);
  }

  static HWY_INLINE void AddToColumns(VF dy, VF x, const VF (&rstd)[1], VF (&dgamma)[1]) {
    dgamma[0] = hn::MulAdd(dy, hn::Mul(x, rstd[0]), dgamma[0]);
  }

  // Not x * (rstd * mean), which would save a multiplication per element: rstd * mean can overflow
  // where xhat is an ordinary number.
  static HWY_INLINE VF Gradient(VF dy, VF x, VF gamma, const VF (&rstd)[1], const VF (&mean)[1]) {
    const VF xhat = hn::Mul(x, rstd[0]);
    return hn::Mul(rstd[0], hn::NegMulAdd(xhat, mean[0], hn::Mul(dy, gamma)));
  }
};

RowKernels RmsNormKernels(DType data) { return RowKernelsFor<RmsNorm>(data); }

}  // namespace normgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace normgrad::cpu {
namespace {

HWY_EXPORT(RmsNormKernels);

constexpr RowPass kPass = {
    .statistics = 1,
    .row_sums = 1,
    .column_sums = 1,
    .most_packed_cols = [](DType) -> std::size_t { return 16; },
    .kernels = [](DType data) { return HWY_DYNAMIC_DISPATCH(RmsNormKernels)(data); },
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
      .dx = t[4],
      .gamma = t[3],
      .statistics = {&t[2]},
      .column_sums = {&t[5]},
  };
  RunRowPass(kPass, tensors, Count("*A", launch.dims), Count("*R", launch.dims), launch.workspace);
}

}  // namespace

constinit const Kernel kRmsNormGrad = {
    .name = "rms_norm_grad",
    .workspace_bytes = WorkspaceBytes,
    .launch = Run,
    .prompt = true,
};

}  // namespace normgrad::cpu
#endif  // HWY_ONCE
