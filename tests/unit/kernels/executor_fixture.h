// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include "tests/unit/kernels/runtime_fixture.h"

namespace normgrad {

/// A call of aclnnRmsNormGrad on x of [2, 4], dy = x = 1 … 8, rstd = {1, 2}, gamma = 1.
class ExecutorTest : public RuntimeTest {
 protected:
  void SetUp() override {
    RuntimeTest::SetUp();
    std::vector<float> x(8);
    std::iota(x.begin(), x.end(), 1.0F);
    dy_ = NewTensor({2, 4}, Upload(x));
    x_ = NewTensor({2, 4}, Upload(x));
    rstd_ = NewTensor({2}, Upload(std::vector<float>{1, 2}));
    gamma_ = NewTensor({4}, Upload(std::vector<float>(4, 1)));
    dx_ = NewTensor({2, 4}, dx_data_ = Upload(std::vector<float>(8, -1)));
    dgamma_ = NewTensor({4}, dgamma_data_ = Upload(std::vector<float>(4, -1)));
  }
  void TearDown() override {
    for (const aclTensor* tensor : {dy_, x_, rstd_, gamma_, dx_, dgamma_}) aclDestroyTensor(tensor);
    RuntimeTest::TearDown();
  }

  aclnnStatus PhaseOne() {
    return aclnnRmsNormGradGetWorkspaceSize(dy_, x_, rstd_, gamma_, dx_, dgamma_, &bytes_,
                                            &executor_);
  }
  /// Phase 1 with `changed` in the place of `tensor`; the executor must stay as it was.
  aclnnStatus PhaseOneWith(aclTensor*& tensor, aclTensor* changed) {
    std::swap(tensor, changed);
    executor_ = nullptr;
    const aclnnStatus status = PhaseOne();
    EXPECT_EQ(executor_, nullptr);
    std::swap(tensor, changed);
    aclDestroyTensor(changed);
    return status;
  }
  void* Workspace() { return bytes_ == 0 ? nullptr : Malloc(bytes_); }
  aclnnStatus PhaseTwo() { return aclnnRmsNormGrad(Workspace(), bytes_, executor_, stream_); }

  aclTensor *dy_ = nullptr, *x_ = nullptr, *rstd_ = nullptr, *gamma_ = nullptr, *dx_ = nullptr,
            *dgamma_ = nullptr;
  void *dx_data_ = nullptr, *dgamma_data_ = nullptr;
  std::uint64_t bytes_ = 0;
  aclOpExecutor* executor_ = nullptr;
};

}  // namespace normgrad
