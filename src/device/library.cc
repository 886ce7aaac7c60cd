// SPDX-License-Identifier: Apache-2.0
#include "device/library.h"

#include <filesystem>

#include <dlfcn.h>
#include <fmt/ranges.h>
#include <link.h>

#include "base/error.h"

namespace normgrad {

DeviceLibrary::DeviceLibrary(std::vector<std::string> paths, std::string instruction_set)
    : paths_(std::move(paths)), instruction_set_(std::move(instruction_set)) {
  for (const std::string& path : paths_) {
    // RTLD_LOCAL: two device libraries export the same names and must not see each other's.
    void* handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (handle == nullptr) {
      const char* reason = ::dlerror();
      // The loader looks a bare name up in its own path, never in the current folder.
      const bool here = path.find('/') == std::string::npos && std::filesystem::exists(path);
      throw Error("{}: cannot be opened as a device library: {}{}", path,
                  reason != nullptr ? reason : "unknown reason",
                  here ? fmt::format(": did you mean ./{}?", path) : "");
    }
    handles_.push_back(handle);
  }
  const auto required = [this](auto& function, const char* name) {
    void* symbol = Find(name);
    if (symbol == nullptr) {
      throw Error("{}: no symbol {}: a device library exports CANN's acl runtime and aclnn API",
                  fmt::join(paths_, ","), name);
    }
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(symbol);
  };
  const auto optional = [this](auto& function, const char* name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(Find(name));
  };
  required(api_.init, "aclInit");
  required(api_.finalize, "aclFinalize");
  required(api_.recent_error, "aclGetRecentErrMsg");
  required(api_.version, "aclrtGetVersion");
  required(api_.set_device, "aclrtSetDevice");
  required(api_.reset_device, "aclrtResetDevice");
  required(api_.device_count, "aclrtGetDeviceCount");
  required(api_.soc_name, "aclrtGetSocName");
  required(api_.create_stream, "aclrtCreateStream");
  required(api_.destroy_stream, "aclrtDestroyStream");
  required(api_.synchronize_stream, "aclrtSynchronizeStreamWithTimeout");
  required(api_.malloc, "aclrtMalloc");
  required(api_.free, "aclrtFree");
  required(api_.memcpy, "aclrtMemcpy");
  required(api_.memcpy_async, "aclrtMemcpyAsync");
  required(api_.mem_info, "aclrtGetMemInfo");
  required(api_.create_event, "aclrtCreateEventWithFlag");
  required(api_.destroy_event, "aclrtDestroyEvent");
  required(api_.record_event, "aclrtRecordEvent");
  required(api_.elapsed_ms, "aclrtEventElapsedTime");
  required(api_.set_option, "aclrtCtxSetSysParamOpt");
  required(api_.create_tensor, "aclCreateTensor");
  required(api_.destroy_tensor, "aclDestroyTensor");
  required(api_.create_int_array, "aclCreateIntArray");
  required(api_.destroy_int_array, "aclDestroyIntArray");
  required(api_.create_bool_array, "aclCreateBoolArray");
  required(api_.destroy_bool_array, "aclDestroyBoolArray");
  required(api_.destroy_executor, "aclDestroyAclOpExecutor");
  optional(api_.device_info, "aclrtGetDeviceInfo");
  optional(api_.set_repeatable, "aclSetAclOpExecutorRepeatable");
  optional(api_.set_product, "normgradSetProduct");
  optional(api_.set_threads, "normgradSetThreads");
  optional(api_.set_instruction_set, "normgradSetInstructionSet");
  optional(api_.host_view, "normgradHostView");
  optional(api_.move, "normgradMove");
  optional(api_.faults, "normgradFaults");
  optional(api_.set_fault, "normgradSetFault");
  if (!instruction_set_.empty()) UseInstructionSet();
}

void DeviceLibrary::UseInstructionSet() const {
  if (api_.set_instruction_set == nullptr) {
    throw Error(
        "{}: no symbol normgradSetInstructionSet: only a CPU device has instructions to choose "
        "from",
        fmt::join(paths_, ","));
  }
  if (api_.set_instruction_set(instruction_set_.c_str()) == ACL_SUCCESS) return;
  const char* const reason = api_.recent_error();
  throw Error("{}: {}", fmt::join(paths_, ","), reason != nullptr ? reason : instruction_set_);
}

std::vector<std::string> DeviceLibrary::Files() const {
  std::vector<std::string> files;
  for (std::size_t i = 0; i < handles_.size(); ++i) {
    const link_map* loaded = nullptr;
    const bool known = ::dlinfo(handles_[i], RTLD_DI_LINKMAP, &loaded) == 0;
    files.emplace_back(known ? loaded->l_name : paths_[i]);
  }
  return files;
}

void* DeviceLibrary::Find(const std::string& name) const {
  for (void* handle : handles_) {
    if (void* symbol = ::dlsym(handle, name.c_str()); symbol != nullptr) return symbol;
  }
  return nullptr;
}

BoundOperator DeviceLibrary::Bind(const Operator& op) const {
  const auto symbol = [this](const std::string& name) {
    void* found = Find(name);
    if (found == nullptr) {
      throw Error("{}: no symbol {}: does this CANN release contain the operator?",
                  fmt::join(paths_, ","), name);
    }
    return found;
  };
  const std::string api(op.api);
  return {api, EntryPointOf(api).phase_one, symbol(api + "GetWorkspaceSize"),
          reinterpret_cast<PhaseTwo>(symbol(api))};
}

bool DeviceLibrary::Offers(const Operator& op) const {
  const std::string api(op.api);
  return Find(api) != nullptr && Find(api + "GetWorkspaceSize") != nullptr;
}

}  // namespace normgrad
