// SPDX-License-Identifier: Apache-2.0
// Initialisation, versions.
#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include <mutex>
#include <string>

#include "abi/acl_abi.h"
#include "kernels/api/device.h"
#include "kernels/api/refusal.h"

namespace normgrad {
namespace {

constexpr std::string_view kPackage = "normgrad-bench";
constexpr int kVersion[] = {NORMGRAD_VERSION_MAJOR, NORMGRAD_VERSION_MINOR, NORMGRAD_VERSION_PATCH};

std::mutex mutex;
std::uint64_t references = 0;
bool finalized = false;

// What a configuration file says. Of all that CANN can be told, this device knows one thing: whose
// error messages aclGetRecentErrMsg() tells. Source: docs/zh/api_ref/13_exception_handling.md.
MessageScope ReadConfig(const char* path) {
  if (path == nullptr) return MessageScope::kThread;
  std::ifstream file(path);
  std::string text;
  std::getline(file, text, '\0');  // all of it; unlike an iterator, does not throw
  if (!file.is_open() || file.bad()) {
    throw Refusal(ACL_ERROR_INVALID_FILE, "{}: cannot be read", path);
  }
  std::erase_if(text, [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; });
  if (text.empty() || text == "{}" || text == R"({"err_msg_mode":"0"})") {
    return MessageScope::kThread;
  }
  if (text == R"({"err_msg_mode":"1"})") return MessageScope::kProcess;
  throw Refusal(
      ACL_ERROR_RT_FEATURE_NOT_SUPPORT,
      "{}: nothing else can be configured here: expected {{}} or {{\"err_msg_mode\": \"0\" "
      "or \"1\"}}",
      path);
}

void RequireInitialized() {
  if (references > 0) return;
  if (finalized) throw Refusal(ACL_ERROR_REPEAT_FINALIZE, "has been finalised already");
  throw Refusal(ACL_ERROR_UNINITIALIZE, "aclInit was not called");
}

void Finalize() {
  references = 0;
  finalized = true;
  ReleaseDevice();
  ForgetOptions();
  SetMessageScope(MessageScope::kThread);
}

void RequirePackage(const char* name) {
  RequirePointer(name, "pkgName");
  if (name == kPackage) return;
  throw Refusal(ACL_ERROR_INVALID_PARAM, "unknown package '{}': expected {}", name, kPackage);
}

}  // namespace
}  // namespace normgrad

using normgrad::Refusal;
using normgrad::RefuseAcl;
using normgrad::RequirePointer;

aclError aclInit(const char* config_path) try {
  const auto message_scope = normgrad::ReadConfig(config_path);
  const std::lock_guard lock(normgrad::mutex);
  if (normgrad::references++ == 0) {
    normgrad::SetMessageScope(message_scope);
    return ACL_SUCCESS;
  }
  throw Refusal(ACL_ERROR_REPEAT_INITIALIZE, "is initialised already; counted");
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclFinalize() try {
  const std::lock_guard lock(normgrad::mutex);
  normgrad::RequireInitialized();
  normgrad::Finalize();
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclFinalizeReference(std::uint64_t* ref_count) try {
  const std::lock_guard lock(normgrad::mutex);
  normgrad::RequireInitialized();
  if (--normgrad::references == 0) normgrad::Finalize();
  if (ref_count != nullptr) *ref_count = normgrad::references;
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclnnStatus aclnnInit(const char* config_path) try {
  normgrad::ReadConfig(config_path);
  return ACL_SUCCESS;  // operators have nothing of their own to initialise
} catch (...) {
  return normgrad::RefuseAclnn(__func__);
}

aclnnStatus aclnnFinalize() { return ACL_SUCCESS; }

aclError aclrtGetVersion(std::int32_t* major, std::int32_t* minor, std::int32_t* patch) try {
  RequirePointer(major, "majorVersion");
  RequirePointer(minor, "minorVersion");
  RequirePointer(patch, "patchVersion");
  *major = ACL_MAJOR_VERSION;
  *minor = ACL_MINOR_VERSION;
  *patch = ACL_PATCH_VERSION;
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclsysGetVersionStr(char* package, char* version) try {
  normgrad::RequirePackage(package);
  RequirePointer(version, "versionStr");
  const auto& [major, minor, patch] = normgrad::kVersion;
  const auto end =
      fmt::format_to_n(version, ACL_PKG_VERSION_MAX_SIZE - 1, "{}.{}.{}", major, minor, patch);
  *end.out = '\0';
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclsysGetVersionNum(char* package, std::int32_t* version) try {
  normgrad::RequirePackage(package);
  RequirePointer(version, "versionNum");
  const auto& [major, minor, patch] = normgrad::kVersion;
  *version = major * 10'000'000 + minor * 100'000 + patch * 1'000;
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}
