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
#include <variant>
#include <vector>

#include "abi/status.h"
#include "kernels/api/device.h"
#include "kernels/api/kernel.h"
#include "kernels/api/memory.h"
#include "kernels/api/meta.h"
#include "kernels/api/per_thread.h"
#include "kernels/api/refusal.h"
#include "kernels/api/registry.h"
#include "ops/contract.h"

namespace normgrad {
namespace {

// As Launch::workspace promises, and CANN of device addresses.
constexpr std::uintptr_t kWorkspaceAlignment = 32;

// A checked call. Never changed once made: work that is under way may be using it.
struct Call {
  const Operator* op = nullptr;
  const Kernel* kernel = nullptr;
  Dims dims;
  std::vector<KernelTensor> tensors;
  std::uint64_t workspace_bytes = 0;
  bool deterministic = false;
  bool is_short = false;  // for the caller's own thread
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

[[noreturn]] void RefuseKernel() {
  throw Refusal(kAclnnInnerFindKernelError, "this device has no kernel for it");
}

const Kernel& KernelOf(const Operator& op) {
  const auto found = std::ranges::find(Kernels(), op.name, &Kernel::name);
  if (found == Kernels().end()) RefuseKernel();
  return *found;
}

[[noreturn]] void RefuseExecutor(const aclOpExecutor* handle) {
  throw Refusal(kAclnnInner, "executor {} does not exist, or was used before: call phase 1 again",
                fmt::ptr(handle));
}

// `elements` of `dtype` on from `address`. Not pointer arithmetic: nobody knows yet what is there.
std::byte* Displaced(void* address, std::int64_t elements, DType dtype) {
  const auto size = static_cast<std::int64_t>(SizeOf(dtype));
  const std::uintptr_t target =
      reinterpret_cast<std::uintptr_t>(address) + static_cast<std::uintptr_t>(elements * size);
  return reinterpret_cast<std::byte*>(target);  // NOLINT(performance-no-int-to-ptr): see above
}

// A tensor of checked numbers, its storage at `storage`.
KernelTensor ToKernelTensor(const TensorView& tensor, void* storage) {
  KernelTensor result;
  result.dtype = ToDType(tensor.dtype).value();
  if (storage != nullptr) result.data = Displaced(storage, tensor.offset, result.dtype);
  result.shape = tensor.shape;
  result.strides = tensor.strides;
  result.dense = IsDense({tensor.shape, tensor.strides, 0, tensor.storage_shape});
  return result;
}

// Whether the number of elements of a view, and how far they and its offset reach, are numbers
// that can be calculated with: 16 times as much must fit, because elements have several bytes and
// kernels keep several vectors of them.
bool IsAddressable(const TensorView& tensor) {
  constexpr std::int64_t kRoom = 16;
  std::optional<std::int64_t> count = kRoom;
  std::int64_t reach = 0;
  const auto add_to_reach = [&](std::int64_t stride, std::int64_t steps) {
    auto way = CheckedMultiply(stride, kRoom);
    if (way) way = CheckedMultiply(*way, steps);
    if (way) way = CheckedMultiply(*way, *way < 0 ? -1 : 1);
    return way && !__builtin_add_overflow(reach, *way, &reach);
  };
  if (!add_to_reach(tensor.offset, 1)) return false;
  if (std::ranges::find(tensor.shape, 0) != tensor.shape.end()) return true;
  for (std::size_t axis = 0; axis < tensor.shape.size(); ++axis) {
    count = CheckedMultiply(*count, tensor.shape[axis]);
    if (!count || !add_to_reach(tensor.strides[axis], tensor.shape[axis] - 1)) return false;
  }
  return true;
}

// The contract is about legal shapes only; a tensor can be made with any numbers.
void CheckExtents(const Operator& op, std::size_t param, const TensorView& tensor) {
  if (std::ranges::any_of(tensor.shape, [](std::int64_t extent) { return extent < 0; })) {
    throw Refusal(op.shape_status, "{}: shape {} has a negative extent", op.params[param].name,
                  ToString(tensor.shape));
  }
  if (IsAddressable(tensor)) return;
  throw Refusal(op.shape_status, "{}: shape {} with strides {} and offset {} exceeds 64 bits",
                op.params[param].name, ToString(tensor.shape), ToString(tensor.strides),
                tensor.offset);
}

// One argument of a call. The objects never change once made: the same object says the same.
using IntArray = std::vector<std::int64_t>;
using BoolArray = std::vector<bool>;
using Argument = std::variant<std::shared_ptr<const TensorView>, std::shared_ptr<const IntArray>,
                              std::shared_ptr<const BoolArray>, std::int64_t>;

Argument Find(const aclTensor* handle) { return FindTensor(handle); }
Argument Find(const aclIntArray* handle) { return FindArray(handle); }
Argument Find(const aclBoolArray* handle) { return FindArray(handle); }
Argument Find(std::int64_t value) { return value; }

// An argument as the contract sees it.
CallArg ToCallArg(const std::shared_ptr<const TensorView>& tensor) {
  CallArg arg;
  if (!tensor) return arg;
  arg.present = true;
  arg.shape = tensor->shape;
  arg.dtype = ToDType(tensor->dtype);
  arg.dtype_code = tensor->dtype;
  arg.format = tensor->format;
  return arg;
}
CallArg ToCallArg(const std::shared_ptr<const IntArray>& array) {
  CallArg arg;
  arg.present = array != nullptr;
  if (array) arg.shape = *array;
  return arg;
}
CallArg ToCallArg(const std::shared_ptr<const BoolArray>& array) {
  CallArg arg;
  arg.present = array != nullptr;
  if (array) arg.mask = *array;
  return arg;
}
CallArg ToCallArg(std::int64_t value) {
  CallArg arg;
  arg.present = true;
  arg.shape = {value};
  return arg;
}

// All that a call is made from.
struct Request {
  const Operator* op = nullptr;
  std::string_view product;
  bool deterministic = false;
  std::vector<Argument> arguments;

  bool operator==(const Request&) const = default;
};

// In bytes of tensors: a few times as long as waking up another thread takes, which would be most
// of the time of a call that is not much longer.
constexpr std::size_t kShortBytes = std::size_t{1} << 24;

bool IsShort(const Call& call) {
  std::size_t bytes = 0;
  for (const KernelTensor& tensor : call.tensors) {
    if (tensor.present()) bytes += ElementCount(tensor.shape) * SizeOf(tensor.dtype);
  }
  return bytes <= kShortBytes;
}

std::shared_ptr<const Call> MakeCall(const Request& request) {
  const Operator& op = *request.op;
  std::vector<CallArg> args;
  args.reserve(request.arguments.size());
  for (const Argument& argument : request.arguments) {
    args.push_back(std::visit([](const auto& value) { return ToCallArg(value); }, argument));
  }
  auto call = std::make_shared<Call>();
  DTypes dtypes;
  if (const auto violation = CheckCall(op, request.product, args, &call->dims, &dtypes)) {
    throw Refusal(violation->status, "{}", violation->message);
  }
  std::size_t output = 0;
  for (std::size_t i = 0; i < op.params.size(); ++i) {
    const auto* const tensor =
        std::get_if<std::shared_ptr<const TensorView>>(&request.arguments[i]);
    const bool unwanted =
        op.params[i].kind == Param::Kind::kOutput && !IsWanted(op, args, output++);
    const bool used = tensor != nullptr && *tensor != nullptr && !unwanted;
    if (used) CheckExtents(op, i, **tensor);
    call->tensors.push_back(used ? ToKernelTensor(**tensor, (*tensor)->storage) : KernelTensor{});
  }
  call->op = &op;
  call->kernel = &KernelOf(op);
  call->deterministic = request.deterministic;
  call->workspace_bytes =
      call->kernel->workspace_bytes({call->dims, call->tensors, nullptr, call->deterministic});
  call->is_short = call->kernel->prompt && IsShort(*call);
  return call;
}

// The call a thread asked for last, and what from. Programs ask for the same one again and again,
// because an executor is used once.
struct LastCall {
  Request request;
  std::shared_ptr<const Call> call;
};

PerThread<LastCall>& LastCalls() {
  static auto& calls = *new PerThread<LastCall>;  // outlives every thread
  return calls;
}

std::shared_ptr<const Call> CallOf(const Operator& op, std::initializer_list<CArg> c_args) {
  Request request = {&op, CurrentProduct().key, DeterminismRequested(), {}};
  request.arguments.reserve(c_args.size());
  for (const CArg& arg : c_args) {
    request.arguments.push_back(std::visit([](auto value) { return Find(value); }, arg));
  }
  LastCall& last = LastCalls().Get();
  if (last.call && request == last.request) return last.call;
  last.call = nullptr;
  std::shared_ptr<const Call> call = MakeCall(request);
  if (call->kernel->prompt) last = {std::move(request), call};
  return call;
}

// Takes the call out of a handle; a single-use executor ends here, whatever comes of the call.
std::shared_ptr<const Call> Use(aclOpExecutor* handle) {
  RequireAclnnPointer(handle, "executor");
  const auto executor = Executors().Find(handle);
  if (!executor) RefuseExecutor(handle);
  const std::lock_guard lock(executor->mutex);
  // Another thread may have found it, too: one of them removes it.
  if (!executor->repeatable && !Executors().Remove(handle)) RefuseExecutor(handle);
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
    if (!tensor.present() || tensor.data != nullptr || ElementCount(tensor.shape) == 0) continue;
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
    if (!tensor.present() || ElementCount(tensor.shape) == 0) continue;
    std::int64_t first = 0, last = 0;  // elements of the view farthest from its data address
    for (std::size_t axis = 0; axis < tensor.shape.size(); ++axis) {
      const std::int64_t reach = tensor.strides[axis] * (tensor.shape[axis] - 1);
      (reach < 0 ? first : last) += reach;
    }
    RequireResident(call.op->params[i].name, Displaced(tensor.data, first, tensor.dtype),
                    static_cast<std::size_t>(last - first + 1) * SizeOf(tensor.dtype));
  }
  if (call.workspace_bytes > 0) RequireResident("workspace", workspace, call.workspace_bytes);
}

// The tensors of `kind`, or all of them, in order: what the set-address functions count.
std::vector<std::size_t> ParamsOf(const Operator& op, std::optional<Param::Kind> kind) {
  std::vector<std::size_t> indices;
  for (std::size_t i = 0; i < op.params.size(); ++i) {
    if (op.params[i].IsTensor() && kind.value_or(op.params[i].kind) == op.params[i].kind) {
      indices.push_back(i);
    }
  }
  return indices;
}

// The functions that change an executor have a status of their own for null.
void RequireExecutor(const aclOpExecutor* handle) {
  if (handle == nullptr) throw Refusal(kAclnnInnerNullptr, "executor is null");
}

std::shared_ptr<Executor> FindExecutor(aclOpExecutor* handle) {
  RequireExecutor(handle);
  if (auto executor = Executors().Find(handle)) return executor;
  RefuseExecutor(handle);
}

aclnnStatus SetAddress(std::string_view function, aclOpExecutor* handle,
                       std::optional<Param::Kind> kind, std::size_t index, aclTensor* tensor_handle,
                       void* address) noexcept try {
  // As CANN's page of these functions has it: an address is a parameter, the others are objects.
  RequireExecutor(handle);
  if (tensor_handle == nullptr) throw Refusal(kAclnnInnerNullptr, "tensor is null");
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
  const std::size_t param = params[index];
  KernelTensor& changed = call->tensors[param];
  if (ToDType(tensor->dtype) != changed.dtype || tensor->shape != changed.shape) {
    throw Refusal(kAclnnParamInvalid, "tensor {} is not of the dtype and shape phase 1 saw", index);
  }
  CheckExtents(*call->op, param, *tensor);
  changed = ToKernelTensor(*tensor, address);
  executor->call = std::move(call);
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAclnn(function);
}

// None of this library's operators takes a tensor list.
aclnnStatus SetListAddress(std::string_view function, aclOpExecutor* handle) noexcept try {
  throw Refusal(kAclnnParamInvalid, "{} takes no tensor list", FindExecutor(handle)->call->op->api);
} catch (...) {
  return RefuseAclnn(function);
}

}  // namespace

aclnnStatus Prepare(const Operator& op, std::initializer_list<CArg> args,
                    std::uint64_t* workspace_bytes, aclOpExecutor** executor) noexcept try {
  RequireAclnnPointer(workspace_bytes, "workspaceSize");
  RequireAclnnPointer(executor, "executor");
  auto prepared = std::make_shared<Executor>();
  prepared->call = CallOf(op, args);
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
  Work work = [call, scratch] {
    RequireResident(*call, scratch);
    call->kernel->launch({call->dims, call->tensors, scratch, call->deterministic});
  };
  Queue& queue = *FindStream(stream)->queue;
  call->is_short ? queue.SubmitShort(std::move(work)) : queue.Submit(std::move(work));
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
  normgrad::RequireExecutor(executor);
  if (!normgrad::Executors().Remove(executor)) normgrad::RefuseExecutor(executor);
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
