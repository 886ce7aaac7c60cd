// SPDX-License-Identifier: Apache-2.0
// Prints dx, then dgamma, of a call whose exact results are small integers.
#include <numeric>

#include "aclnnop/aclnn_rms_norm_grad.h"
#include "program.h"

namespace {

void Run(aclrtStream stream) {
  // Operators that do not care about axes take any public format.
  constexpr aclFormat kFormat = aclFormat::ACL_FORMAT_NCDHW;
  std::vector<float> numbers(32);
  std::iota(numbers.begin(), numbers.end(), 1.0F);
  const DeviceTensor dy({2, 1, 16}, numbers, kFormat);
  const DeviceTensor x({2, 1, 16}, numbers, kFormat);
  // The second leading axis, of extent 1, may be left out.
  const DeviceTensor rstd({2}, {1, 2}, kFormat);
  const DeviceTensor gamma({16}, {numbers.begin(), numbers.begin() + 16}, kFormat);
  const DeviceTensor dx({2, 1, 16}, std::vector<float>(32), kFormat);
  const DeviceTensor dgamma({16}, std::vector<float>(16), kFormat);
  Launch("aclnnRmsNormGrad", aclnnRmsNormGradGetWorkspaceSize, aclnnRmsNormGrad, stream, dy.Get(),
         x.Get(), rstd.Get(), gamma.Get(), dx.Get(), dgamma.Get());
  Print("dx", dx.Download());
  Print("dgamma", dgamma.Download());
}

}  // namespace

int main() { return RunProgram(Run); }
