// SPDX-License-Identifier: Apache-2.0
// The objects that describe an operator's arguments: tensors, scalars, arrays and lists.
#include "kernels/api/meta.h"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

#include "kernels/api/refusal.h"
#include "kernels/api/registry.h"
#include "ops/contract.h"

namespace normgrad {
namespace {

struct Scalar {
  aclDataType dtype = ACL_DT_UNDEFINED;
  std::vector<std::byte> value;
};

// Every registry outlives every thread.
template <typename Object, typename Handle>
Registry<Object, Handle>& Live() {
  static auto& live = *new Registry<Object, Handle>;
  return live;
}
auto& Tensors() { return Live<const TensorView, const aclTensor*>(); }
auto& Scalars() { return Live<const Scalar, const aclScalar*>(); }
auto& IntArrays() { return Live<const std::vector<std::int64_t>, const aclIntArray*>(); }
auto& FloatArrays() { return Live<const std::vector<float>, const aclFloatArray*>(); }
auto& BoolArrays() { return Live<const std::vector<bool>, const aclBoolArray*>(); }
auto& TensorLists() { return Live<const std::vector<const aclTensor*>, const aclTensorList*>(); }
auto& ScalarLists() { return Live<const std::vector<const aclScalar*>, const aclScalarList*>(); }

template <typename T>
std::vector<T> CopyOf(const T* values, std::uint64_t count, std::string_view name) {
  if (count > 0) RequireAclnnPointer(values, name);
  return std::vector<T>(values, values + count);
}

std::shared_ptr<const TensorView> MakeTensor(const std::int64_t* dims, std::uint64_t rank,
                                             aclDataType dtype, const std::int64_t* strides,
                                             std::int64_t offset, aclFormat format,
                                             const std::int64_t* storage_dims,
                                             std::uint64_t storage_rank, void* storage) {
  auto tensor = std::make_shared<TensorView>();
  tensor->shape = CopyOf(dims, rank, "viewDims");
  tensor->strides =
      strides == nullptr ? RowMajorStrides(tensor->shape) : Shape(strides, strides + rank);
  tensor->offset = offset;
  tensor->storage_shape = CopyOf(storage_dims, storage_rank, "storageDims");
  tensor->dtype = dtype;
  tensor->format = format;
  tensor->storage = storage;
  return tensor;
}

[[noreturn]] void RefuseHandle(const void* handle, std::string_view name) {
  throw Refusal(kAclnnParamInvalid, "{} {} does not exist, or was destroyed", name,
                fmt::ptr(handle));
}

template <typename Live, typename Handle>
auto Find(const Live& live, Handle handle, std::string_view name) {
  RequireAclnnPointer(handle, name);
  auto object = live.Find(handle);
  if (!object) RefuseHandle(handle, name);
  return object;
}

template <typename Live, typename Handle>
auto Remove(Live& live, Handle handle, std::string_view name) {
  auto object = live.Remove(handle);
  if (!object) RefuseHandle(handle, name);
  return object;
}

// Puts `change(tensor)` in the place of a live tensor.
template <typename Change>
void UpdateTensor(const aclTensor* handle, Change change) {
  RequireAclnnPointer(handle, "tensor");
  if (!Tensors().Update(handle, change)) RefuseHandle(handle, "tensor");
}

// The handle of a new T array; `aclXArray*`, although the registry's handles are const.
template <typename Handle, typename Live, typename T>
Handle* NewArray(Live& live, const T* values, std::uint64_t count) {
  return const_cast<Handle*>(
      live.Add(std::make_shared<const std::vector<T>>(CopyOf(values, count, "value"))));
}

void GiveDims(const Shape& dims, std::int64_t** values, std::uint64_t* count) {
  RequireAclnnPointer(values, "dims");
  RequireAclnnPointer(count, "dimsNum");
  *values = new std::int64_t[dims.size()];
  std::ranges::copy(dims, *values);
  *count = dims.size();
}

template <typename Live, typename Handle>
void GiveSize(const Live& live, Handle handle, std::uint64_t* size) {
  RequireAclnnPointer(size, "size");
  *size = Find(live, handle, "array")->size();
}

}  // namespace

std::shared_ptr<const TensorView> FindTensor(const aclTensor* handle) {
  return handle == nullptr ? nullptr : Find(Tensors(), handle, "tensor");
}

std::shared_ptr<const std::vector<std::int64_t>> FindArray(const aclIntArray* handle) {
  return handle == nullptr ? nullptr : Find(IntArrays(), handle, "array");
}

std::shared_ptr<const std::vector<bool>> FindArray(const aclBoolArray* handle) {
  return handle == nullptr ? nullptr : Find(BoolArrays(), handle, "array");
}

std::optional<DType> ToDType(aclDataType type) {
  switch (type) {
    case ACL_FLOAT: return DType::kFloat32;
    case ACL_FLOAT16: return DType::kFloat16;
    case ACL_BF16: return DType::kBFloat16;
    case ACL_INT32: return DType::kInt32;
    default: return std::nullopt;
  }
}

}  // namespace normgrad

using normgrad::RefuseAclnn;
using normgrad::RequireAclnnPointer;

// ---- creation: a null handle stands for a refusal

aclTensor* aclCreateTensor(const std::int64_t* dims, std::uint64_t rank, aclDataType dtype,
                           const std::int64_t* strides, std::int64_t offset, aclFormat format,
                           const std::int64_t* storage_dims, std::uint64_t storage_rank,
                           void* data) try {
  return const_cast<aclTensor*>(normgrad::Tensors().Add(normgrad::MakeTensor(
      dims, rank, dtype, strides, offset, format, storage_dims, storage_rank, data)));
} catch (...) {
  RefuseAclnn(__func__);
  return nullptr;
}

aclScalar* aclCreateScalar(void* value, aclDataType dtype) try {
  RequireAclnnPointer(value, "value");
  auto scalar = std::make_shared<normgrad::Scalar>();
  scalar->dtype = dtype;
  const auto* const bytes = static_cast<const std::byte*>(value);
  scalar->value.assign(bytes, bytes + aclDataTypeSize(dtype));
  return const_cast<aclScalar*>(normgrad::Scalars().Add(std::move(scalar)));
} catch (...) {
  RefuseAclnn(__func__);
  return nullptr;
}

aclIntArray* aclCreateIntArray(const std::int64_t* value, std::uint64_t size) try {
  return normgrad::NewArray<aclIntArray>(normgrad::IntArrays(), value, size);
} catch (...) {
  RefuseAclnn(__func__);
  return nullptr;
}

aclFloatArray* aclCreateFloatArray(const float* value, std::uint64_t size) try {
  return normgrad::NewArray<aclFloatArray>(normgrad::FloatArrays(), value, size);
} catch (...) {
  RefuseAclnn(__func__);
  return nullptr;
}

aclBoolArray* aclCreateBoolArray(const bool* value, std::uint64_t size) try {
  return normgrad::NewArray<aclBoolArray>(normgrad::BoolArrays(), value, size);
} catch (...) {
  RefuseAclnn(__func__);
  return nullptr;
}

aclTensorList* aclCreateTensorList(const aclTensor* const* value, std::uint64_t size) try {
  return normgrad::NewArray<aclTensorList>(normgrad::TensorLists(), value, size);
} catch (...) {
  RefuseAclnn(__func__);
  return nullptr;
}

aclScalarList* aclCreateScalarList(const aclScalar* const* value, std::uint64_t size) try {
  return normgrad::NewArray<aclScalarList>(normgrad::ScalarLists(), value, size);
} catch (...) {
  RefuseAclnn(__func__);
  return nullptr;
}

// ---- destruction: a null handle is fine

aclnnStatus aclDestroyTensor(const aclTensor* tensor) try {
  if (tensor != nullptr) normgrad::Remove(normgrad::Tensors(), tensor, "tensor");
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAclnn(__func__);
}

aclnnStatus aclDestroyScalar(const aclScalar* scalar) try {
  if (scalar != nullptr) normgrad::Remove(normgrad::Scalars(), scalar, "scalar");
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAclnn(__func__);
}

aclnnStatus aclDestroyIntArray(const aclIntArray* array) try {
  if (array != nullptr) normgrad::Remove(normgrad::IntArrays(), array, "array");
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAclnn(__func__);
}

aclnnStatus aclDestroyFloatArray(const aclFloatArray* array) try {
  if (array != nullptr) normgrad::Remove(normgrad::FloatArrays(), array, "array");
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAclnn(__func__);
}

aclnnStatus aclDestroyBoolArray(const aclBoolArray* array) try {
  if (array != nullptr) normgrad::Remove(normgrad::BoolArrays(), array, "array");
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAclnn(__func__);
}

aclnnStatus aclDestroyTensorList(const aclTensorList* list) try {
  if (list == nullptr) return ACL_SUCCESS;
  const auto members = normgrad::Remove(normgrad::TensorLists(), list, "list");
  for (const aclTensor* tensor : *members) {
    normgrad::Tensors().Remove(tensor);
  }
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAclnn(__func__);
}

aclnnStatus aclDestroyScalarList(const aclScalarList* list) try {
  if (list == nullptr) return ACL_SUCCESS;
  const auto members = normgrad::Remove(normgrad::ScalarLists(), list, "list");
  for (const aclScalar* scalar : *members) {
    normgrad::Scalars().Remove(scalar);
  }
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAclnn(__func__);
}

// ---- getters

aclnnStatus aclGetViewShape(const aclTensor* tensor, std::int64_t** dims,
                            std::uint64_t* count) try {
  normgrad::GiveDims(normgrad::Find(normgrad::Tensors(), tensor, "tensor")->shape, dims, count);
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAclnn(__func__);
}

aclnnStatus aclGetStorageShape(const aclTensor* tensor, std::int64_t** dims,
                               std::uint64_t* count) try {
  normgrad::GiveDims(normgrad::Find(normgrad::Tensors(), tensor, "tensor")->storage_shape, dims,
                     count);
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAclnn(__func__);
}

aclnnStatus aclGetViewStrides(const aclTensor* tensor, std::int64_t** strides,
                              std::uint64_t* count) try {
  normgrad::GiveDims(normgrad::Find(normgrad::Tensors(), tensor, "tensor")->strides, strides,
                     count);
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAclnn(__func__);
}

aclnnStatus aclGetViewOffset(const aclTensor* tensor, std::int64_t* offset) try {
  RequireAclnnPointer(offset, "offset");
  *offset = normgrad::Find(normgrad::Tensors(), tensor, "tensor")->offset;
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAclnn(__func__);
}

aclnnStatus aclGetFormat(const aclTensor* tensor, aclFormat* format) try {
  RequireAclnnPointer(format, "format");
  *format = normgrad::Find(normgrad::Tensors(), tensor, "tensor")->format;
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAclnn(__func__);
}

aclnnStatus aclGetDataType(const aclTensor* tensor, aclDataType* dtype) try {
  RequireAclnnPointer(dtype, "dataType");
  *dtype = normgrad::Find(normgrad::Tensors(), tensor, "tensor")->dtype;
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAclnn(__func__);
}

aclnnStatus aclGetIntArraySize(const aclIntArray* array, std::uint64_t* size) try {
  normgrad::GiveSize(normgrad::IntArrays(), array, size);
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAclnn(__func__);
}

aclnnStatus aclGetFloatArraySize(const aclFloatArray* array, std::uint64_t* size) try {
  normgrad::GiveSize(normgrad::FloatArrays(), array, size);
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAclnn(__func__);
}

aclnnStatus aclGetBoolArraySize(const aclBoolArray* array, std::uint64_t* size) try {
  normgrad::GiveSize(normgrad::BoolArrays(), array, size);
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAclnn(__func__);
}

aclnnStatus aclGetTensorListSize(const aclTensorList* list, std::uint64_t* size) try {
  normgrad::GiveSize(normgrad::TensorLists(), list, size);
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAclnn(__func__);
}

aclnnStatus aclGetScalarListSize(const aclScalarList* list, std::uint64_t* size) try {
  normgrad::GiveSize(normgrad::ScalarLists(), list, size);
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAclnn(__func__);
}

// ---- changes to a tensor; executors that exist keep what it was

aclnnStatus aclInitTensor(aclTensor* tensor, const std::int64_t* dims, std::uint64_t rank,
                          aclDataType dtype, const std::int64_t* strides, std::int64_t offset,
                          aclFormat format, const std::int64_t* storage_dims,
                          std::uint64_t storage_rank, void* data) try {
  normgrad::UpdateTensor(tensor, [&](const normgrad::TensorView&) {
    return normgrad::MakeTensor(dims, rank, dtype, strides, offset, format, storage_dims,
                                storage_rank, data);
  });
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAclnn(__func__);
}

aclnnStatus aclSetRawTensorAddr(aclTensor* tensor, void* address) try {
  normgrad::UpdateTensor(tensor, [&](const normgrad::TensorView& old) {
    auto changed = std::make_shared<normgrad::TensorView>(old);
    changed->storage = address;
    return changed;
  });
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAclnn(__func__);
}

aclnnStatus aclGetRawTensorAddr(const aclTensor* tensor, void** address) try {
  RequireAclnnPointer(address, "addr");
  *address = normgrad::Find(normgrad::Tensors(), tensor, "tensor")->storage;
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAclnn(__func__);
}

aclnnStatus aclDumpOpTensors(const char*, const char*, aclTensor**, std::size_t, std::size_t,
                             aclrtStream) try {
  throw normgrad::Refusal(ACL_ERROR_RT_FEATURE_NOT_SUPPORT, "this device does not dump tensors");
} catch (...) {
  return RefuseAclnn(__func__);
}

// ---- element types

std::size_t aclDataTypeSize(aclDataType type) {
  switch (type) {
    case ACL_INT8:
    case ACL_UINT8:
    case ACL_BOOL:
    case ACL_HIFLOAT8:
    case ACL_FLOAT8_E5M2:
    case ACL_FLOAT8_E4M3FN:
    case ACL_FLOAT8_E8M0: return 1;
    case ACL_FLOAT16:
    case ACL_BF16:
    case ACL_INT16:
    case ACL_UINT16: return 2;
    case ACL_FLOAT:
    case ACL_INT32:
    case ACL_UINT32:
    case ACL_COMPLEX32: return 4;
    case ACL_DOUBLE:
    case ACL_INT64:
    case ACL_UINT64:
    case ACL_COMPLEX64: return 8;
    case ACL_COMPLEX128: return 16;
    default: return 0;
  }
}

float aclFloat16ToFloat(aclFloat16 value) {
  return static_cast<float>(normgrad::Load(normgrad::DType::kFloat16, &value));
}

aclFloat16 aclFloatToFloat16(float value) {
  aclFloat16 rounded = 0;
  normgrad::Store(normgrad::DType::kFloat16, value, &rounded);
  return rounded;
}
