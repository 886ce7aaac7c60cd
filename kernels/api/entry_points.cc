// SPDX-License-Identifier: Apache-2.0
// The operators' C functions: names, order, forwarding, nothing else.
#include "kernels/api/shell.h"
#include "ops/operators.h"

using normgrad::Execute;
using normgrad::Prepare;

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

aclnnStatus aclnnLayerNormBackwardGetWorkspaceSize(const aclTensor* dy, const aclTensor* x,
                                                   const aclIntArray* normalized_shape,
                                                   const aclTensor* mean, const aclTensor* rstd,
                                                   const aclTensor* weight, const aclTensor* bias,
                                                   const aclBoolArray* mask, aclTensor* dx,
                                                   aclTensor* dweight, aclTensor* dbias,
                                                   std::uint64_t* bytes, aclOpExecutor** executor) {
  return Prepare(normgrad::kLayerNormBackward,
                 {dy, x, normalized_shape, mean, rstd, weight, bias, mask, dx, dweight, dbias},
                 bytes, executor);
}
aclnnStatus aclnnLayerNormBackward(void* workspace, std::uint64_t bytes, aclOpExecutor* executor,
                                   aclrtStream stream) {
  return Execute(normgrad::kLayerNormBackward, workspace, bytes, executor, stream);
}

aclnnStatus aclnnGroupNormBackwardGetWorkspaceSize(
    const aclTensor* dy, const aclTensor* x, const aclTensor* mean, const aclTensor* rstd,
    const aclTensor* gamma, std::int64_t n, std::int64_t c, std::int64_t hxw, std::int64_t group,
    const aclBoolArray* mask, aclTensor* dx, aclTensor* dgamma, aclTensor* dbeta,
    std::uint64_t* bytes, aclOpExecutor** executor) {
  return Prepare(normgrad::kGroupNormBackward,
                 {dy, x, mean, rstd, gamma, n, c, hxw, group, mask, dx, dgamma, dbeta}, bytes,
                 executor);
}
aclnnStatus aclnnGroupNormBackward(void* workspace, std::uint64_t bytes, aclOpExecutor* executor,
                                   aclrtStream stream) {
  return Execute(normgrad::kGroupNormBackward, workspace, bytes, executor, stream);
}

aclnnStatus aclnnBatchNormElemtBackwardGetWorkspaceSize(
    const aclTensor* dy, const aclTensor* x, const aclTensor* mean, const aclTensor* invstd,
    const aclTensor* weight, const aclTensor* sum_dy, const aclTensor* sum_dy_xmu,
    aclTensor* counter, aclTensor* dx, std::uint64_t* bytes, aclOpExecutor** executor) {
  return Prepare(normgrad::kBatchNormElemtBackward,
                 {dy, x, mean, invstd, weight, sum_dy, sum_dy_xmu, counter, dx}, bytes, executor);
}
aclnnStatus aclnnBatchNormElemtBackward(void* workspace, std::uint64_t bytes,
                                        aclOpExecutor* executor, aclrtStream stream) {
  return Execute(normgrad::kBatchNormElemtBackward, workspace, bytes, executor, stream);
}
