// SPDX-License-Identifier: Apache-2.0
#pragma once

// What programs as users of CANN write them have in common: C++17 and the public headers.
#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

#include "acl/acl.h"
#include "aclnn/acl_meta.h"

/// Throws std::runtime_error unless `status` is success.
inline void Check(int status, const std::string& call) {
  if (status == ACL_SUCCESS) return;
  const char* const why = aclGetRecentErrMsg();
  throw std::runtime_error(call + " returned " + std::to_string(status) + ": " +
                           (why == nullptr ? "no message" : why));
}

/// A float32 tensor on the device, row-major and dense.
class DeviceTensor {
 public:
  DeviceTensor(std::vector<int64_t> shape, const std::vector<float>& values,
               aclFormat format = aclFormat::ACL_FORMAT_ND)
      : count_(values.size()) {
    Check(aclrtMalloc(&data_, Bytes(), ACL_MEM_MALLOC_HUGE_FIRST), "aclrtMalloc");
    Check(aclrtMemcpy(data_, Bytes(), values.data(), Bytes(), ACL_MEMCPY_HOST_TO_DEVICE),
          "aclrtMemcpy");
    tensor_ = aclCreateTensor(shape.data(), shape.size(), aclDataType::ACL_FLOAT, nullptr, 0,
                              format, shape.data(), shape.size(), data_);
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

/// A mask of outputs.
class Mask {
 public:
  Mask(bool first, bool second, bool third) {
    const bool bits[] = {first, second, third};
    array_ = aclCreateBoolArray(bits, 3);
  }
  Mask(const Mask&) = delete;
  Mask& operator=(const Mask&) = delete;
  ~Mask() { aclDestroyBoolArray(array_); }

  aclBoolArray* Get() const { return array_; }

 private:
  aclBoolArray* array_ = nullptr;
};

/// Prints one element a line: "dx[3] = 0.900000".
inline void Print(const char* name, const std::vector<float>& values) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::printf("%s[%zu] = %f\n", name, i, static_cast<double>(values[i]));
  }
}

/// Both phases of the operator `name` with `args`, and the wait for its end.
template <typename PhaseOne, typename PhaseTwo, typename... Args>
void Launch(const std::string& name, PhaseOne phase_one, PhaseTwo phase_two, aclrtStream stream,
            Args... args) {
  uint64_t workspace_bytes = 0;
  aclOpExecutor* executor = nullptr;
  Check(phase_one(args..., &workspace_bytes, &executor), name + "GetWorkspaceSize");
  void* workspace = nullptr;
  if (workspace_bytes > 0) {
    Check(aclrtMalloc(&workspace, workspace_bytes, ACL_MEM_MALLOC_HUGE_FIRST), "aclrtMalloc");
  }
  Check(phase_two(workspace, workspace_bytes, executor, stream), name);
  Check(aclrtSynchronizeStream(stream), "aclrtSynchronizeStream");
  if (workspace != nullptr) Check(aclrtFree(workspace), "aclrtFree");
}

/// Calls `run` with a stream of device 0. Returns the program's exit code: 1, and why on standard
/// error, when anything went wrong.
inline int RunProgram(void (*run)(aclrtStream stream)) try {
  aclrtStream stream = nullptr;
  Check(aclInit(nullptr), "aclInit");
  Check(aclrtSetDevice(0), "aclrtSetDevice");
  Check(aclrtCreateStream(&stream), "aclrtCreateStream");
  run(stream);
  Check(aclrtDestroyStream(stream), "aclrtDestroyStream");
  Check(aclrtResetDevice(0), "aclrtResetDevice");
  Check(aclFinalize(), "aclFinalize");
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
