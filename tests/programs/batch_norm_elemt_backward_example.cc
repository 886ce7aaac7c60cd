// SPDX-License-Identifier: Apache-2.0
// Prints dx of a call, with a weight of ones and without one. The elements of counter are 10
// together, which makes dx 0.9 x; taken one by one they would make it 0.8 x.
#include <numeric>

#include "aclnnop/aclnn_batch_norm_elemt_backward.h"
#include "program.h"

namespace {

void Run(aclrtStream stream) {
  std::vector<float> numbers(8);
  std::iota(numbers.begin(), numbers.end(), 0.0F);
  const DeviceTensor dy({1, 2, 4}, numbers);
  const DeviceTensor x({1, 2, 4}, numbers);
  const DeviceTensor mean({2}, {0, 0});
  const DeviceTensor invstd({2}, {1, 1});
  const DeviceTensor weight({2}, {1, 1});
  const DeviceTensor sum_dy({2}, {0, 0});
  const DeviceTensor sum_dy_xmu({2}, {1, 1});
  const DeviceTensor counter({2}, {5, 5});
  const DeviceTensor dx({1, 2, 4}, std::vector<float>(8));
  const DeviceTensor unweighted({1, 2, 4}, std::vector<float>(8));
  const auto launch = [&](aclTensor* weight_or_null, const DeviceTensor& out) {
    Launch("aclnnBatchNormElemtBackward", aclnnBatchNormElemtBackwardGetWorkspaceSize,
           aclnnBatchNormElemtBackward, stream, dy.Get(), x.Get(), mean.Get(), invstd.Get(),
           weight_or_null, sum_dy.Get(), sum_dy_xmu.Get(), counter.Get(), out.Get());
  };
  launch(weight.Get(), dx);
  Print("dx", dx.Download());
  launch(nullptr, unweighted);
  Print("without a weight", unweighted.Download());
}

}  // namespace

int main() { return RunProgram(Run); }
