// SPDX-License-Identifier: Apache-2.0
#include "kernels/api/shell.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "abi/status.h"
#include "kernels/api/device.h"
#include "kernels/api/kernel.h"
#include "kernels/api/memory.h"
#include "kernels/api/meta.h"
#include "kernels/api/refusal.h"
#include "kernels/api/registry.h"
#include "ops/contract.h"

namespace normgrad {
namespace {

constexpr std::uintptr_t kWorkspaceAlignment = 64;  // as Launch::workspace promises

// A checked call. Never changed once made: work that is under way may be using it.
struct Call {
  const Operator* op = nullptr;
  const Kernel* kernel = nullptr;
  Dims dims;
  std::vector<KernelTensor> tensors;
  std::uint64_t workspace_bytes = 0;
  bool deterministic = false;
};

struct Executor {
  std::mutex mutex;  // guards what follows
  std::shared_ptr<const Call> call;
  bool repeatable = false;
};

Registry<Executor, aclOpExecutor*>& Executors() {
  static auto& executors = *new Registry<Executor, aclOpExecutor*>;  // outlives every thread
  return executors;
}

const Kernel& KernelOf(const Operator& op) {
  const auto found = std::ranges::find(Kernels(), op.name, &Kernel::name);
  if (found != Kernels().end()) return *found;
  throw Refusal(kAclnnInner, "this device has no kernel for it");
}

// Address of the view's first element, when the storage is at `storage`.
void* FirstElement(const TensorView& tensor, DType dtype, void* storage) {
  if (storage == nullptr) return nullptr;
  return static_cast<std::byte*>(storage) +
         tensor.offset * static_cast<std::int64_t>(SizeOf(dtype));
}

KernelTensor ToKernelTensor(const TensorView& tensor) {
  KernelTensor result;
  result.dtype = ToDType(tensor.dtype).value();
  result.data = FirstElement(tensor, result.dtype, tensor.storage);
  result.shape = tensor.shape;
  result.strides = tensor.strides;
  result.dense = IsDense({tensor.shape, tensor.strides, 0, tensor.storage_shape});
  return result;
}

// The contract is about legal shapes only; a tensor can be made with any numbers.
void CheckExtents(const Operator& op, std::span<const TensorArg> args) {
  for (std::size_t i = 0; i < args.size(); ++i) {
    const Shape& shape = args[i].shape;
    if (std::ranges::all_of(shape, [](std::int64_t extent) { return extent >= 0; })) continue;
    throw Refusal(op.shape_status, "{}: shape {} has a negative extent", op.params[i].name,
                  ToString(shape));
  }
}

std::shared_ptr<const Call> MakeCall(const Operator& op,
                                     std::span<const aclTensor* const> handles) {
  std::vector<std::shared_ptr<const TensorView>> tensors;
  std::vector<TensorArg> args;
  for (const aclTensor* handle : handles) {
    const auto& tensor = tensors.emplace_back(FindTensor(handle));
    args.push_back(tensor ? TensorArg{true, tensor->shape, ToDType(tensor->dtype), tensor->dtype}
                          : TensorArg{});
  }
  auto call = std::make_shared<Call>();
  DTypes dtypes;
  if (const auto violation = CheckContract(op, CurrentProduct().key, args, &call->dims, &dtypes)) {
    throw Refusal(StatusOf(op, *violation), "{}", violation->message);
  }
  CheckExtents(op, args);
  for (const auto& tensor : tensors) {
    call->tensors.push_back(tensor ? ToKernelTensor(*tensor) : KernelTensor{});
  }
  call->op = &op;
  call->kernel = &KernelOf(op);
  call->deterministic = DeterminismRequested();
  call->workspace_bytes =
      call->kernel->workspace_bytes({call->dims, call->tensors, nullptr, call->deterministic});
  return call;
}

// Takes the call out of a handle; a single-use executor ends here, whatever comes of the call.
std::shared_ptr<const Call> Use(aclOpExecutor* handle) {
  RequireAclnnPointer(handle, "executor");
  const auto executor = Executors().Find(handle);
  if (!executor) {
    throw Refusal(kAclnnInner, "executor {} does not exist, or was used before: call phase 1 again",
                  fmt::ptr(handle));
  }
  const std::lock_guard lock(executor->mutex);
  if (!executor->repeatable) Executors().Remove(handle);
  return executor->call;
}

void CheckWorkspace(const Call& call, const void* workspace, std::uint64_t bytes) {
  if (bytes > 0) RequireAclnnPointer(workspace, "workspace");
  if (bytes < call.workspace_bytes) {
    throw Refusal(kAclnnParamInvalid, "workspace of {} bytes, phase 1 asked for {}", bytes,
                  call.workspace_bytes);
  }
  if (call.workspace_bytes > 0 &&
      reinterpret_cast<std::uintptr_t>(workspace) % kWorkspaceAlignment != 0) {
    throw Refusal(kAclnnParamInvalid, "workspace {} is not {}-byte aligned", fmt::ptr(workspace),
                  kWorkspaceAlignment);
  }
}

void CheckAddresses(const Call& call) {
  for (std::size_t i = 0; i < call.tensors.size(); ++i) {
    const KernelTensor& tensor = call.tensors[i];
    const bool optional = call.op->params[i].optional;
    if (tensor.data != nullptr || optional || ElementCount(tensor.shape) == 0) continue;
    throw Refusal(kAclnnParamNullptr, "{}: data address is null", call.op->params[i].name);
  }
}

// A host's memory is all one; a device's is not. Keeps programs honest that a device would fault.
void RequireResident(std::string_view name, const void* address, std::size_t bytes) {
  if (IsDeviceMemory(address, bytes)) return;
  throw Refusal(ACL_ERROR_RT_AICORE_EXCEPTION, "{}: {} and {} bytes on is not device memory", name,
                fmt::ptr(address), bytes);
}

void RequireResident(const Call& call, const std::byte* workspace) {
  for (std::size_t i = 0; i < call.tensors.size(); ++i) {
    const KernelTensor& tensor = call.tensors[i];
    if (tensor.data == nullptr || ElementCount(tensor.shape) == 0) continue;
    std::int64_t first = 0, last = 0;  // elements of the view farthest from its data address
    for (std::size_t axis = 0; axis < tensor.shape.size(); ++axis) {
      const std::int64_t reach = tensor.strides[axis] * (tensor.shape[axis] - 1);
      (reach < 0 ? first : last) += reach;
    }
    const auto size = static_cast<std::int64_t>(SizeOf(tensor.dtype));
    RequireResident(call.op->params[i].name, static_cast<std::byte*>(tensor.data) + first * size,
                    static_cast<std::size_t>((last - first + 1) * size));
  }
  if (call.workspace_bytes > 0) RequireResident("workspace", workspace, call.workspace_bytes);
}

// The params of `kind`, or all of them, in order: what the set-address functions count.
std::vector<std::size_t> ParamsOf(const Operator& op, std::optional<Param::Kind> kind) {
  std::vector<std::size_t> indices;
  for (std::size_t i = 0; i < op.params.size(); ++i) {
    if (!kind || op.params[i].kind == *kind) indices.push_back(i);
  }
  return indices;
}

std::shared_ptr<Executor> FindExecutor(aclOpExecutor* handle) {
  if (handle == nullptr) throw Refusal(kAclnnInnerNullptr, "executor is null");
  if (auto executor = Executors().Find(handle)) return executor;
  throw Refusal(kAclnnInner, "executor {} does not exist, or was used before", fmt::ptr(handle));
}

aclnnStatus SetAddress(std::string_view function, aclOpExecutor* handle,
                       std::optional<Param::Kind> kind, std::size_t index, aclTensor* tensor_handle,
                       void* address) noexcept try {
  RequireAclnnPointer(handle, "executor");
  RequireAclnnPointer(tensor_handle, "tensor");
  RequireAclnnPointer(address, "addr");
  const auto executor = FindExecutor(handle);
  const auto tensor = FindTensor(tensor_handle);
  const std::lock_guard lock(executor->mutex);
  if (!executor->repeatable) {
    throw Refusal(kAclnnParamInvalid, "the executor is not repeatable");
  }
  const auto params = ParamsOf(*executor->call->op, kind);
  if (index >= params.size()) {
    throw Refusal(kAclnnParamInvalid, "index {}: there are {}", index, params.size());
  }
  auto call = std::make_shared<Call>(*executor->call);
  KernelTensor& changed = call->tensors[params[index]];
  if (ToDType(tensor->dtype) != changed.dtype || tensor->shape != changed.shape) {
    throw Refusal(kAclnnParamInvalid, "tensor {} is not of the dtype and shape phase 1 saw", index);
  }
  changed.data = FirstElement(*tensor, changed.dtype, address);
  executor->call = std::move(call);
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAclnn(function);
}

// None of this library's operators takes a tensor list.
aclnnStatus SetListAddress(std::string_view function, aclOpExecutor* handle) noexcept try {
  RequireAclnnPointer(handle, "executor");
  throw Refusal(kAclnnParamInvalid, "{} takes no tensor list", FindExecutor(handle)->call->op->api);
} catch (...) {
  return RefuseAclnn(function);
}

}  // namespace

aclnnStatus Prepare(const Operator& op, std::initializer_list<const aclTensor*> tensors,
                    std::uint64_t* workspace_bytes, aclOpExecutor** executor) noexcept try {
  RequireAclnnPointer(workspace_bytes, "workspaceSize");
  RequireAclnnPointer(executor, "executor");
  auto prepared = std::make_shared<Executor>();
  prepared->call = MakeCall(op, {tensors.begin(), tensors.size()});
  const std::uint64_t bytes = prepared->call->workspace_bytes;
  *executor = Executors().Add(std::move(prepared));
  *workspace_bytes = bytes;
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAclnn(std::string(op.api) + "GetWorkspaceSize");
}

aclnnStatus Execute(const Operator& op, void* workspace, std::uint64_t workspace_bytes,
                    aclOpExecutor* executor, aclrtStream stream) noexcept try {
  const auto call = Use(executor);
  if (call->op != &op) {
    throw Refusal(kAclnnParamInvalid, "the executor is one of {}", call->op->api);
  }
  CheckWorkspace(*call, workspace, workspace_bytes);
  CheckAddresses(*call);
  auto* const scratch = call->workspace_bytes > 0 ? static_cast<std::byte*>(workspace) : nullptr;
  FindStream(stream)->queue->Submit([call, scratch] {
    RequireResident(*call, scratch);
    call->kernel->launch({call->dims, call->tensors, scratch, call->deterministic});
  });
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAclnn(op.api);
}

}  // namespace normgrad

using Kind = normgrad::Param::Kind;

aclnnStatus aclSetAclOpExecutorRepeatable(aclOpExecutor* executor) try {
  const auto found = normgrad::FindExecutor(executor);
  const std::lock_guard lock(found->mutex);
  found->repeatable = true;
  return ACL_SUCCESS;
} catch (...) {
  return normgrad::RefuseAclnn(__func__);
}

aclnnStatus aclDestroyAclOpExecutor(aclOpExecutor* executor) try {
  normgrad::FindExecutor(executor);
  normgrad::Executors().Remove(executor);
  return ACL_SUCCESS;
} catch (...) {
  return normgrad::RefuseAclnn(__func__);
}

aclnnStatus aclSetInputTensorAddr(aclOpExecutor* executor, const std::size_t index,
                                  aclTensor* tensor, void* address) {
  return normgrad::SetAddress(__func__, executor, Kind::kInput, index, tensor, address);
}

aclnnStatus aclSetOutputTensorAddr(aclOpExecutor* executor, const std::size_t index,
                                   aclTensor* tensor, void* address) {
  return normgrad::SetAddress(__func__, executor, Kind::kOutput, index, tensor, address);
}

aclnnStatus aclSetTensorAddr(aclOpExecutor* executor, const std::size_t index, aclTensor* tensor,
                             void* address) {
  return normgrad::SetAddress(__func__, executor, std::nullopt, index, tensor, address);
}

aclnnStatus AclSetInputTensorAddr(aclOpExecutor* executor, const std::size_t index,
                                  aclTensor* tensor, void* address) {
  return normgrad::SetAddress(__func__, executor, Kind::kInput, index, tensor, address);
}

aclnnStatus AclSetOutputTensorAddr(aclOpExecutor* executor, const std::size_t index,
                                   aclTensor* tensor, void* address) {
  return normgrad::SetAddress(__func__, executor, Kind::kOutput, index, tensor, address);
}

aclnnStatus AclSetTensorAddr(aclOpExecutor* executor, const std::size_t index, aclTensor* tensor,
                             void* address) {
  return normgrad::SetAddress(__func__, executor, std::nullopt, index, tensor, address);
}

aclnnStatus aclSetDynamicInputTensorAddr(aclOpExecutor* executor, std::size_t, const std::size_t,
                                         aclTensorList*, void*) {
  return normgrad::SetListAddress(__func__, executor);
}

aclnnStatus aclSetDynamicOutputTensorAddr(aclOpExecutor* executor, std::size_t, const std::size_t,
                                          aclTensorList*, void*) {
  return normgrad::SetListAddress(__func__, executor);
}

aclnnStatus aclSetDynamicTensorAddr(aclOpExecutor* executor, std::size_t, const std::size_t,
                                    aclTensorList*, void*) {
  return normgrad::SetListAddress(__func__, executor);
}

aclnnStatus AclSetDynamicInputTensorAddr(aclOpExecutor* executor, std::size_t, const std::size_t,
                                         aclTensorList*, void*) {
  return normgrad::SetListAddress(__func__, executor);
}

aclnnStatus AclSetDynamicOutputTensorAddr(aclOpExecutor* executor, std::size_t, const std::size_t,
                                          aclTensorList*, void*) {
  return normgrad::SetListAddress(__func__, executor);
}

aclnnStatus AclSetDynamicTensorAddr(aclOpExecutor* executor, std::size_t, const std::size_t,
                                    aclTensorList*, void*) {
  return normgrad::SetListAddress(__func__, executor);
}
