// SPDX-License-Identifier: Apache-2.0
// Compares the gradients of a call, and of one without gamma and two of the outputs, with what they
// are in real numbers. dy is x, so everything cancels in dx: what is left of it is roundings, which
// nobody can predict.
#include <cmath>
#include <numeric>

#include "aclnnop/aclnn_group_norm_backward.h"
#include "program.h"

namespace {

void Expect(const char* name, const DeviceTensor& tensor, const std::vector<double>& golden,
            double tolerance) {
  const std::vector<float> actual = tensor.Download();
  for (std::size_t i = 0; i < golden.size(); ++i) {
    const double value = static_cast<double>(actual[i]);
    if (std::fabs(value - golden[i]) <= tolerance) continue;
    throw std::runtime_error(std::string(name) + "[" + std::to_string(i) + "] is " +
                             std::to_string(value) + ", expected " + std::to_string(golden[i]));
  }
}

void Run(aclrtStream stream) {
  constexpr int64_t kN = 2, kC = 3, kHxW = 4, kGroup = 1;
  constexpr double kTolerance = 1e-5, kTwoUlpsOf155 = 0x1p-15;
  const std::vector<double> dgamma_golden = {-75.89686381816864, 2.8968268632888794,
                                             155.8492852449417};
  std::vector<float> numbers(24);
  std::iota(numbers.begin(), numbers.end(), 1.0F);
  const DeviceTensor dy({2, 3, 4}, numbers);
  const DeviceTensor x({2, 3, 4}, numbers);
  const DeviceTensor mean({2, 1}, {6.5F, 18.5F});
  const DeviceTensor rstd({2, 1}, {0.2896827F, 0.2896827F});
  const DeviceTensor gamma({3}, {1, 1, 1});
  const auto launch = [&](const Mask& mask, aclTensor* gamma_or_null, aclTensor* dx,
                          aclTensor* dgamma, aclTensor* dbeta) {
    Launch("aclnnGroupNormBackward", aclnnGroupNormBackwardGetWorkspaceSize, aclnnGroupNormBackward,
           stream, dy.Get(), x.Get(), mean.Get(), rstd.Get(), gamma_or_null, kN, kC, kHxW, kGroup,
           mask.Get(), dx, dgamma, dbeta);
  };

  const DeviceTensor dx({2, 3, 4}, std::vector<float>(24, 1));
  const DeviceTensor dgamma({3}, std::vector<float>(3));
  const DeviceTensor dbeta({3}, std::vector<float>(3));
  launch(Mask(true, true, true), gamma.Get(), dx.Get(), dgamma.Get(), dbeta.Get());
  Expect("dx", dx, std::vector<double>(24), kTolerance);
  Expect("dgamma", dgamma, dgamma_golden, kTwoUlpsOf155);
  Expect("dbeta", dbeta, {68, 100, 132}, 0);

  const DeviceTensor only_dgamma({3}, std::vector<float>(3));
  launch(Mask(false, true, false), nullptr, nullptr, only_dgamma.Get(), nullptr);
  Expect("only dgamma", only_dgamma, dgamma_golden, kTwoUlpsOf155);
  const DeviceTensor only_dx({2, 3, 4}, std::vector<float>(24, 1));
  launch(Mask(true, false, false), nullptr, only_dx.Get(), nullptr, nullptr);
  Expect("only dx", only_dx, std::vector<double>(24), kTolerance);
  std::puts("as expected");
}

}  // namespace

int main() { return RunProgram(Run); }
