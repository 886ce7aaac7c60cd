// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "abi/acl_abi.h"
#include "abi/status.h"

namespace normgrad {

/// The message of this thread's last refusal; "" when there is none.
inline std::string ErrorText() {
  const char* const text = aclGetRecentErrMsg();
  return text == nullptr ? "" : text;
}

/// A process with device 0 set and one stream.
class RuntimeTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(aclInit(nullptr), ACL_SUCCESS);
    ASSERT_EQ(aclrtSetDevice(0), ACL_SUCCESS);
    ASSERT_EQ(normgradSetProduct("atlas-a2"), ACL_SUCCESS);
    ASSERT_EQ(aclrtCreateStream(&stream_), ACL_SUCCESS);
  }
  void TearDown() override {
    EXPECT_EQ(aclFinalize(),
              ACL_SUCCESS);  // ends everything that is left, blocked streams included
    ErrorText();
  }

  void* Malloc(std::size_t bytes) {
    void* address = nullptr;
    EXPECT_EQ(aclrtMalloc(&address, bytes, ACL_MEM_MALLOC_HUGE_FIRST), ACL_SUCCESS);
    return address;
  }

  aclrtEvent NewEvent() {
    aclrtEvent event = nullptr;
    EXPECT_EQ(aclrtCreateEvent(&event), ACL_SUCCESS);
    return event;
  }

  aclrtStream NewStream() {
    aclrtStream stream = nullptr;
    EXPECT_EQ(aclrtCreateStream(&stream), ACL_SUCCESS);
    return stream;
  }

  aclrtStreamStatus Query(aclrtStream stream) {
    aclrtStreamStatus status = ACL_STREAM_STATUS_RESERVED;
    EXPECT_EQ(aclrtStreamQuery(stream, &status), ACL_SUCCESS);
    return status;
  }

  /// A dense row-major tensor.
  static aclTensor* NewTensor(const std::vector<std::int64_t>& dims, void* data,
                              aclDataType dtype = ACL_FLOAT) {
    return aclCreateTensor(dims.data(), dims.size(), dtype, nullptr, 0, ACL_FORMAT_ND, dims.data(),
                           dims.size(), data);
  }

  template <typename T>
  void* Upload(const std::vector<T>& values) {
    const std::size_t bytes = values.size() * sizeof(T);
    void* const address = Malloc(bytes);
    EXPECT_EQ(aclrtMemcpy(address, bytes, values.data(), bytes, ACL_MEMCPY_HOST_TO_DEVICE),
              ACL_SUCCESS);
    return address;
  }

  template <typename T>
  std::vector<T> Download(const void* address, std::size_t count) {
    std::vector<T> values(count);
    const std::size_t bytes = count * sizeof(T);
    EXPECT_EQ(aclrtMemcpy(values.data(), bytes, address, bytes, ACL_MEMCPY_DEVICE_TO_HOST),
              ACL_SUCCESS);
    return values;
  }

  aclrtStream stream_ = nullptr;
};

}  // namespace normgrad
