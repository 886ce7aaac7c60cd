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
