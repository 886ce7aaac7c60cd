// SPDX-License-Identifier: Apache-2.0
// Kernel of aclnnGroupNormBackward. Per group of adjacent channels of one sample:
//
//   xhat    = (x - mean) * rstd
//   dx      = rstd * (dy * gamma - mean(dy * gamma) - xhat * mean(dy * gamma * xhat))
//   dgamma += sum over a channel of dy * xhat
//   dbeta  += sum over a channel of dy
//
// All sums come from those over one channel of one sample, a plane. Where planes are shorter than a
// few vectors, a group is a row of layer norm's instead, with every gamma as often as its plane has
// elements.
#include "kernels/cpu/group_norm_backward.h"

#include "kernels/cpu/kernels.h"

namespace normgrad::cpu {
namespace {

std::uint64_t WorkspaceBytes(const Launch& launch) {
  const GroupNormExtents e(launch);
  if (e.Elements() == 0) return 0;
  return e.uses_rows ? short_planes::WorkspaceBytes(e) : long_planes::WorkspaceBytes(e);
}

void Run(const Launch& launch) {
  const GroupNormExtents e(launch);
  if (e.Elements() == 0) {
    const GroupNormTensors tensors(launch);
    if (!tensors.WantsSums()) return;  // no tensor bounds the number of channels then
    for (std::size_t c = 0; c < e.channels; ++c) {
      tensors.dgamma.Set(c, 0);
      tensors.dbeta.Set(c, 0);
    }
  } else if (e.uses_rows) {
    short_planes::Run(launch, e);
  } else {
    long_planes::Run(launch, e);
  }
}

}  // namespace

constinit const Kernel kGroupNormBackward = {
    .name = "group_norm_backward",
    .workspace_bytes = WorkspaceBytes,
    .launch = Run,
    .prompt = true,
};

}  // namespace normgrad::cpu
