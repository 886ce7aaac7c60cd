// SPDX-License-Identifier: Apache-2.0
// What stands before the CPU device and breaks the one rule of the two phases of aclnnRmsNormGrad
// that NORMGRAD_RUDE names. Everything else is the CPU device's.
#include <cstddef>
#include <cstdlib>
#include <string_view>

#include <dlfcn.h>

#include "abi/acl_abi.h"

namespace {

bool Rude(std::string_view rule) {
  const char* const broken = std::getenv("NORMGRAD_RUDE");
  return broken != nullptr && broken == rule;
}

/// The CPU device's function of the same name.
template <typename Function>
Function* Polite(const char* name) {
  static void* const kDevice = ::dlopen(NORMGRAD_CPU_LIBRARY, RTLD_NOW | RTLD_LOCAL);
  return reinterpret_cast<Function*>(::dlsym(kDevice, name));
}

std::uint64_t asked_bytes = 0;  // of the last phase 1 that succeeded
std::byte* last_dx = nullptr;   // storage of the last call's dx
std::byte nobodys_executor = {};

void ChangeDx() { *last_dx = ~*last_dx; }

}  // namespace

extern "C" {

const char* aclGetRecentErrMsg() {
  const char* const message = Polite<decltype(aclGetRecentErrMsg)>("aclGetRecentErrMsg")();
  if (Rude("no-message")) return nullptr;
  return Rude("unreadable-message") ? "\x01\x02" : message;
}

aclnnStatus aclnnRmsNormGradGetWorkspaceSize(const aclTensor* dy, const aclTensor* x,
                                             const aclTensor* rstd, const aclTensor* gamma,
                                             const aclTensor* dx, const aclTensor* dgamma,
                                             std::uint64_t* bytes, aclOpExecutor** executor) {
  const aclnnStatus status = Polite<decltype(aclnnRmsNormGradGetWorkspaceSize)>(
      "aclnnRmsNormGradGetWorkspaceSize")(dy, x, rstd, gamma, dx, dgamma, bytes, executor);
  void* address = nullptr;
  if (dx != nullptr &&
      Polite<decltype(aclGetRawTensorAddr)>("aclGetRawTensorAddr")(dx, &address) == 0) {
    last_dx = static_cast<std::byte*>(address);
  }
  if (status == 0) {
    asked_bytes = *bytes;
    if (Rude("no-executor")) *executor = nullptr;
    return status;
  }
  if (Rude("executor-of-a-refusal")) {
    *executor = reinterpret_cast<aclOpExecutor*>(&nobodys_executor);
  }
  if (Rude("phase-one-writes")) ChangeDx();
  return status;
}

aclnnStatus aclnnRmsNormGrad(void* workspace, std::uint64_t bytes, aclOpExecutor* executor,
                             aclrtStream stream) {
  if (Rude("phase-two-refuses") && executor != nullptr && workspace != nullptr &&
      bytes == asked_bytes) {
    return 561003;
  }
  const aclnnStatus status =
      Polite<decltype(aclnnRmsNormGrad)>("aclnnRmsNormGrad")(workspace, bytes, executor, stream);
  if (status == 0) return status;
  if (Rude("phase-two-writes")) ChangeDx();
  if (Rude("other-status")) return 561103;
  const bool forgiven = (Rude("takes-null-executor") && executor == nullptr) ||
                        (Rude("takes-null-workspace") && workspace == nullptr) ||
                        (Rude("takes-short-workspace") && bytes < asked_bytes) ||
                        (Rude("takes-used-executor") && status == 561000);
  return forgiven ? 0 : status;
}

}  // extern "C"
