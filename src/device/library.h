// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "abi/acl_abi.h"
#include "device/entry_points.h"
#include "normgrad/device.h"
#include "normgrad/faults.h"
#include "ops/operator.h"

namespace normgrad {

/// The functions of the C ABI that the tool calls, by the names they are exported under.
struct Api {
  decltype(&::aclInit) init = nullptr;
  decltype(&::aclFinalize) finalize = nullptr;
  decltype(&::aclGetRecentErrMsg) recent_error = nullptr;
  decltype(&::aclrtGetVersion) version = nullptr;
  decltype(&::aclrtSetDevice) set_device = nullptr;
  decltype(&::aclrtResetDevice) reset_device = nullptr;
  decltype(&::aclrtGetDeviceCount) device_count = nullptr;
  decltype(&::aclrtGetSocName) soc_name = nullptr;
  decltype(&::aclrtCreateStream) create_stream = nullptr;
  decltype(&::aclrtDestroyStream) destroy_stream = nullptr;
  decltype(&::aclrtSynchronizeStreamWithTimeout) synchronize_stream = nullptr;
  decltype(&::aclrtMalloc) malloc = nullptr;
  decltype(&::aclrtFree) free = nullptr;
  decltype(&::aclrtMemcpy) memcpy = nullptr;
  decltype(&::aclrtMemcpyAsync) memcpy_async = nullptr;
  decltype(&::aclrtGetMemInfo) mem_info = nullptr;
  decltype(&::aclrtCreateEventWithFlag) create_event = nullptr;
  decltype(&::aclrtDestroyEvent) destroy_event = nullptr;
  decltype(&::aclrtRecordEvent) record_event = nullptr;
  decltype(&::aclrtEventElapsedTime) elapsed_ms = nullptr;
  decltype(&::aclrtCtxSetSysParamOpt) set_option = nullptr;
  decltype(&::aclCreateTensor) create_tensor = nullptr;
  decltype(&::aclDestroyTensor) destroy_tensor = nullptr;
  decltype(&::aclCreateIntArray) create_int_array = nullptr;
  decltype(&::aclDestroyIntArray) destroy_int_array = nullptr;
  decltype(&::aclCreateBoolArray) create_bool_array = nullptr;
  decltype(&::aclDestroyBoolArray) destroy_bool_array = nullptr;
  decltype(&::aclDestroyAclOpExecutor) destroy_executor = nullptr;
  // Null in old releases.
  decltype(&::aclrtGetDeviceInfo) device_info = nullptr;
  decltype(&::aclSetAclOpExecutorRepeatable) set_repeatable = nullptr;
  // Ours only: null in a vendor's library.
  decltype(&::normgradSetProduct) set_product = nullptr;
  decltype(&::normgradSetThreads) set_threads = nullptr;
  decltype(&::normgradSetInstructionSet) set_instruction_set = nullptr;
  decltype(&::normgradHostView) host_view = nullptr;
  decltype(&::normgradMove) move = nullptr;
  // The faulty device's only.
  decltype(&::normgradFaults) faults = nullptr;
  decltype(&::normgradSetFault) set_fault = nullptr;
};

/// Phase 2 of every operator.
using PhaseTwo = aclnnStatus (*)(void* workspace, std::uint64_t workspace_bytes,
                                 aclOpExecutor* executor, aclrtStream stream);

/// An operator as one library offers it.
struct BoundOperator {
  std::string api;  // "aclnnRmsNormGrad"
  PhaseOne phase_one = nullptr;
  void* phase_one_symbol = nullptr;
  PhaseTwo phase_two = nullptr;
};

/// A set of shared objects that together export the C ABI. Never unloaded: device libraries leave
/// threads and exit handlers behind.
class DeviceLibrary {
 public:
  /// Opens every path, in order; a symbol comes from the first that has it.
  /// Throws Error when one cannot be opened or a function of Api is missing.
  ///
  /// A CPU device of ours uses the vector instructions called `instruction_set`, or, if that is
  /// empty, the widest. Throws Error when there are none to choose from, or not these.
  explicit DeviceLibrary(std::vector<std::string> paths, std::string instruction_set = "");

  const Api& api() const { return api_; }
  const std::vector<std::string>& paths() const { return paths_; }
  const std::string& instruction_set() const { return instruction_set_; }

  /// The files that were opened for paths(), which may be names that the loader looks up.
  std::vector<std::string> Files() const;

  /// Throws Error when the library lacks `op`.
  BoundOperator Bind(const Operator& op) const;

  /// Whether Bind() would succeed.
  bool Offers(const Operator& op) const;

 private:
  void* Find(const std::string& name) const;
  void UseInstructionSet() const;

  std::vector<std::string> paths_;
  std::vector<void*> handles_;
  Api api_;
  std::string instruction_set_;
};

}  // namespace normgrad
