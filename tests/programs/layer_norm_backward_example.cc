// SPDX-License-Identifier: Apache-2.0
// Prints every gradient of a call whose exact results have few digits, then one of them of a call
// without the other outputs, weight and bias. mean and rstd are not those of x: a device that
// computes them again prints something else.
#include "aclnnop/aclnn_layer_norm_backward.h"
#include "program.h"

namespace {

void Run(aclrtStream stream) {
  const int64_t extents[] = {2};
  aclIntArray* const normalized_shape = aclCreateIntArray(extents, 1);
  const DeviceTensor dy({2, 2}, {2, 3, 4, 5});
  const DeviceTensor x({2, 2}, {2, 3, 4, 5});
  const DeviceTensor mean({2, 1}, {2, 3});
  const DeviceTensor rstd({2, 1}, {4, 5});
  const DeviceTensor weight({2}, {1, 1});
  const DeviceTensor bias({2}, {0, 0});
  const auto launch = [&](const Mask& mask, aclTensor* weight_or_null, aclTensor* bias_or_null,
                          aclTensor* dx, aclTensor* dweight, aclTensor* dbias) {
    Launch("aclnnLayerNormBackward", aclnnLayerNormBackwardGetWorkspaceSize, aclnnLayerNormBackward,
           stream, dy.Get(), x.Get(), normalized_shape, mean.Get(), rstd.Get(), weight_or_null,
           bias_or_null, mask.Get(), dx, dweight, dbias);
  };

  const DeviceTensor dx({2, 2}, std::vector<float>(4));
  const DeviceTensor dweight({2}, std::vector<float>(2));
  const DeviceTensor dbias({2}, std::vector<float>(2));
  launch(Mask(true, true, true), weight.Get(), bias.Get(), dx.Get(), dweight.Get(), dbias.Get());
  Print("dx", dx.Download());
  Print("dweight", dweight.Download());
  Print("dbias", dbias.Download());

  const DeviceTensor only_dx({2, 2}, std::vector<float>(4));
  launch(Mask(true, false, false), nullptr, nullptr, only_dx.Get(), nullptr, nullptr);
  Print("only dx", only_dx.Download());
  const DeviceTensor only_dbias({2}, std::vector<float>(2));
  launch(Mask(false, false, true), weight.Get(), nullptr, nullptr, nullptr, only_dbias.Get());
  Print("only dbias", only_dbias.Download());
  Check(aclDestroyIntArray(normalized_shape), "aclDestroyIntArray");
}

}  // namespace

int main() { return RunProgram(Run); }
