// SPDX-License-Identifier: Apache-2.0
// A program as a user of CANN would write it: C++17, the public headers, one library to link.
// Prints dx, then dgamma, of a call whose exact results are small integers.
#include <cstdio>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "acl/acl.h"
#include "aclnnop/aclnn_rms_norm_grad.h"

namespace {

void Check(int status, const char* call) {
  if (status == ACL_SUCCESS) return;
  const char* const why = aclGetRecentErrMsg();
  throw std::runtime_error(std::string(call) + " returned " + std::to_string(status) + ": " +
                           (why == nullptr ? "no message" : why));
}

// A float32 tensor on the device. NCDHW as its format: operators that do not care about axes take
// any.
class DeviceTensor {
 public:
  DeviceTensor(std::vector<int64_t> shape, const std::vector<float>& values)
      : count_(values.size()) {
    Check(aclrtMalloc(&data_, Bytes(), ACL_MEM_MALLOC_HUGE_FIRST), "aclrtMalloc");
    Check(aclrtMemcpy(data_, Bytes(), values.data(), Bytes(), ACL_MEMCPY_HOST_TO_DEVICE),
          "aclrtMemcpy");
    tensor_ = aclCreateTensor(shape.data(), shape.size(), aclDataType::ACL_FLOAT, nullptr, 0,
                              aclFormat::ACL_FORMAT_NCDHW, shape.data(), shape.size(), data_);
  }
  DeviceTensor(const DeviceTensor&) = delete;
  DeviceTensor& operator=(const DeviceTensor&) = delete;
  ~DeviceTensor() {
    aclDestroyTensor(tensor_);
    aclrtFree(data_);
  }

  aclTensor* Get() const { return tensor_; }

  std::vector<float> Download() const {
    std::vector<float> values(count_);
    Check(aclrtMemcpy(values.data(), Bytes(), data_, Bytes(), ACL_MEMCPY_DEVICE_TO_HOST),
          "aclrtMemcpy");
    return values;
  }

 private:
  std::size_t Bytes() const { return count_ * sizeof(float); }

  std::size_t count_;
  void* data_ = nullptr;
  aclTensor* tensor_ = nullptr;
};

void Print(const char* name, const std::vector<float>& values) {
  for (std::size_t i = 0; i < values.size(); ++i) std::printf("%s[%zu] = %f\n", name, i, values[i]);
}

void Run(aclrtStream stream) {
  std::vector<float> numbers(32);
  std::iota(numbers.begin(), numbers.end(), 1.0F);
  const DeviceTensor dy({2, 1, 16}, numbers);
  const DeviceTensor x({2, 1, 16}, numbers);
  const DeviceTensor rstd({2}, {1, 2});  // the second leading axis, of extent 1, may be left out
  const DeviceTensor gamma({16}, {numbers.begin(), numbers.begin() + 16});
  const DeviceTensor dx({2, 1, 16}, std::vector<float>(32));
  const DeviceTensor dgamma({16}, std::vector<float>(16));

  uint64_t workspace_bytes = 0;
  aclOpExecutor* executor = nullptr;
  Check(aclnnRmsNormGradGetWorkspaceSize(dy.Get(), x.Get(), rstd.Get(), gamma.Get(), dx.Get(),
                                         dgamma.Get(), &workspace_bytes, &executor),
        "aclnnRmsNormGradGetWorkspaceSize");
  void* workspace = nullptr;
  if (workspace_bytes > 0) {
    Check(aclrtMalloc(&workspace, workspace_bytes, ACL_MEM_MALLOC_HUGE_FIRST), "aclrtMalloc");
  }
  Check(aclnnRmsNormGrad(workspace, workspace_bytes, executor, stream), "aclnnRmsNormGrad");
  Check(aclrtSynchronizeStream(stream), "aclrtSynchronizeStream");
  if (workspace != nullptr) Check(aclrtFree(workspace), "aclrtFree");
  Print("dx", dx.Download());
  Print("dgamma", dgamma.Download());
}

}  // namespace

int main() try {
  aclrtStream stream = nullptr;
  Check(aclInit(nullptr), "aclInit");
  Check(aclrtSetDevice(0), "aclrtSetDevice");
  Check(aclrtCreateStream(&stream), "aclrtCreateStream");
  Run(stream);
  Check(aclrtDestroyStream(stream), "aclrtDestroyStream");
  Check(aclrtResetDevice(0), "aclrtResetDevice");
  Check(aclFinalize(), "aclFinalize");
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
