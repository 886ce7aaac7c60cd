// SPDX-License-Identifier: Apache-2.0
// The operators' C functions: names, order, forwarding, nothing else.
//
// All four operators are exported, because programs are linked against all of them. Those without a
// kernel refuse in phase 1: ACLNN_ERR_INNER_FIND_KERNEL_ERROR.
#include "kernels/api/shell.h"
#include "ops/operators.h"

using normgrad::Execute;
using normgrad::ExecuteMissing;
using normgrad::Prepare;
using normgrad::PrepareMissing;

aclnnStatus aclnnRmsNormGradGetWorkspaceSize(const aclTensor* dy, const aclTensor* x,
                                             const aclTensor* rstd, const aclTensor* gamma,
                                             const aclTensor* dx, const aclTensor* dgamma,
                                             std::uint64_t* bytes, aclOpExecutor** executor) {
  return Prepare(normgrad::kRmsNormGrad, {dy, x, rstd, gamma, dx, dgamma}, bytes, executor);
}
aclnnStatus aclnnRmsNormGrad(void* workspace, std::uint64_t bytes, aclOpExecutor* executor,
                             aclrtStream stream) {
  return Execute(normgrad::kRmsNormGrad, workspace, bytes, executor, stream);
}

aclnnStatus aclnnLayerNormBackwardGetWorkspaceSize(const aclTensor*, const aclTensor*,
                                                   const aclIntArray*, const aclTensor*,
                                                   const aclTensor*, const aclTensor*,
                                                   const aclTensor*, const aclBoolArray*,
                                                   aclTensor*, aclTensor*, aclTensor*,
                                                   std::uint64_t* bytes, aclOpExecutor** executor) {
  return PrepareMissing("aclnnLayerNormBackward", bytes, executor);
}
aclnnStatus aclnnLayerNormBackward(void*, std::uint64_t, aclOpExecutor* executor, aclrtStream) {
  return ExecuteMissing("aclnnLayerNormBackward", executor);
}

aclnnStatus aclnnGroupNormBackwardGetWorkspaceSize(const aclTensor*, const aclTensor*,
                                                   const aclTensor*, const aclTensor*,
                                                   const aclTensor*, std::int64_t, std::int64_t,
                                                   std::int64_t, std::int64_t, const aclBoolArray*,
                                                   aclTensor*, aclTensor*, aclTensor*,
                                                   std::uint64_t* bytes, aclOpExecutor** executor) {
  return PrepareMissing("aclnnGroupNormBackward", bytes, executor);
}
aclnnStatus aclnnGroupNormBackward(void*, std::uint64_t, aclOpExecutor* executor, aclrtStream) {
  return ExecuteMissing("aclnnGroupNormBackward", executor);
}

aclnnStatus aclnnBatchNormElemtBackwardGetWorkspaceSize(const aclTensor*, const aclTensor*,
                                                        const aclTensor*, const aclTensor*,
                                                        const aclTensor*, const aclTensor*,
                                                        const aclTensor*, aclTensor*, aclTensor*,
                                                        std::uint64_t* bytes,
                                                        aclOpExecutor** executor) {
  return PrepareMissing("aclnnBatchNormElemtBackward", bytes, executor);
}
aclnnStatus aclnnBatchNormElemtBackward(void*, std::uint64_t, aclOpExecutor* executor,
                                        aclrtStream) {
  return ExecuteMissing("aclnnBatchNormElemtBackward", executor);
}
