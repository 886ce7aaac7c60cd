// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "abi/acl_abi.h"
#include "base/dtype.h"
#include "base/layout.h"

namespace normgrad {

/// What aclCreateTensor() was told; nothing of it is checked before phase 1.
struct TensorView {
  Shape shape;
  Shape strides;  // in elements, one per axis
  std::int64_t offset = 0;
  Shape storage_shape;
  aclDataType dtype = ACL_DT_UNDEFINED;
  aclFormat format = ACL_FORMAT_UNDEFINED;
  void* storage = nullptr;  // borrowed
};

/// The tensor behind a handle; nullptr for a null handle, ACLNN_ERR_PARAM_INVALID for one that is
/// not alive.
std::shared_ptr<const TensorView> FindTensor(const aclTensor* handle);

/// The elements of an array, as FindTensor().
std::shared_ptr<const std::vector<std::int64_t>> FindArray(const aclIntArray* handle);
std::shared_ptr<const std::vector<bool>> FindArray(const aclBoolArray* handle);

/// The dtype of the norm-gradient operators' tensors that `type` is; empty for any other.
std::optional<DType> ToDType(aclDataType type);

}  // namespace normgrad
