// SPDX-License-Identifier: Apache-2.0
// What holds for the whole process: system parameters, the product, threads, vector instructions.
#include <array>
#include <atomic>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/text.h"
#include "kernels/api/device.h"
#include "kernels/api/refusal.h"

namespace normgrad {
namespace {

// Largest legal value of each aclSysParamOpt. Source: CANN runtime, docs of aclrtSetSysParamOpt.
constexpr std::array<std::int64_t, 4> kLargest = {3, 1, 1, 1};

constexpr std::string_view kDefaultProduct = "atlas-a2";

constexpr std::uint32_t kMostThreads = 1024;  // more than any machine has cores for

std::mutex mutex;
std::array<std::optional<std::int64_t>, kLargest.size()> values;  // by aclSysParamOpt

std::atomic<const Product*> chosen_product = nullptr;

std::size_t IndexOf(aclSysParamOpt option) {
  const auto index = static_cast<std::size_t>(option);
  if (index >= kLargest.size()) {
    throw Refusal(ACL_ERROR_RT_PARAM_INVALID, "unknown option {}", static_cast<int>(option));
  }
  return index;
}

void Set(aclSysParamOpt option, std::int64_t value) {
  const std::size_t index = IndexOf(option);
  if (value < 0 || value > kLargest[index]) {
    throw Refusal(ACL_ERROR_RT_PARAM_INVALID, "value {} of option {} is not in 0 to {}", value,
                  index, kLargest[index]);
  }
  const std::lock_guard lock(mutex);
  values[index] = value;
}

std::optional<std::int64_t> Get(aclSysParamOpt option) {
  const std::size_t index = IndexOf(option);
  const std::lock_guard lock(mutex);
  return values[index];
}

const Product& RequireProduct(std::string_view key) {
  if (const Product* product = FindProduct(key)) return *product;
  std::vector<std::string_view> known;
  for (const Product& product : AllProducts()) known.push_back(product.key);
  throw Refusal(ACL_ERROR_INVALID_PARAM, "unknown product '{}': {}", key, Suggest(key, known));
}

}  // namespace

void ForgetOptions() {
  const std::lock_guard lock(mutex);
  values.fill(std::nullopt);
}

bool DeterminismRequested() { return Get(ACL_OPT_DETERMINISTIC).value_or(0) > 0; }

const Product& CurrentProduct() {
  if (const Product* product = chosen_product) return *product;
  const char* const wanted = std::getenv("NORMGRAD_PRODUCT");
  const Product* chosen = nullptr;  // still, unless normgradSetProduct() has come between
  const Product* product = &RequireProduct(wanted == nullptr ? kDefaultProduct : wanted);
  return chosen_product.compare_exchange_strong(chosen, product) ? *product : *chosen;
}

}  // namespace normgrad

using normgrad::RefuseAcl;
using normgrad::RequirePointer;

// Both setters write the process's value, which is the one phase 1 reads.
// Source: CANN runtime src/runtime/api/api_c.cc.
aclError aclrtCtxSetSysParamOpt(aclSysParamOpt option, std::int64_t value) try {
  normgrad::CurrentContext();
  normgrad::Set(option, value);
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtSetSysParamOpt(aclSysParamOpt option, std::int64_t value) try {
  normgrad::Set(option, value);
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtCtxGetSysParamOpt(aclSysParamOpt option, std::int64_t* value) try {
  normgrad::CurrentContext();
  RequirePointer(value, "value");
  const auto set = normgrad::Get(option);
  if (!set) {
    throw normgrad::Refusal(ACL_ERROR_RT_SYSPARAMOPT_NOT_SET, "option {} has not been set",
                            static_cast<int>(option));
  }
  *value = *set;
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError aclrtGetSysParamOpt(aclSysParamOpt option, std::int64_t* value) try {
  RequirePointer(value, "value");
  *value = normgrad::Get(option).value_or(0);
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError normgradSetProduct(const char* product) try {
  RequirePointer(product, "product");
  normgrad::chosen_product = &normgrad::RequireProduct(product);
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError normgradSetThreads(std::uint32_t threads) try {
  if (threads > normgrad::kMostThreads) {
    throw normgrad::Refusal(ACL_ERROR_INVALID_PARAM, "{} threads: at most {} are possible", threads,
                            normgrad::kMostThreads);
  }
  normgrad::backend::SetThreads(threads);
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}

aclError normgradSetInstructionSet(const char* name) try {
  RequirePointer(name, "name");
  if (normgrad::backend::SetInstructionSet(name)) return ACL_SUCCESS;
  const std::vector<std::string> sets = normgrad::backend::InstructionSets();
  const std::vector<std::string_view> known(sets.begin(), sets.end());
  throw normgrad::Refusal(ACL_ERROR_INVALID_PARAM, "no instruction set '{}' here: {}", name,
                          normgrad::Suggest(name, known));
} catch (...) {
  return RefuseAcl(__func__);
}
