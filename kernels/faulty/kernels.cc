// SPDX-License-Identifier: Apache-2.0
// The CPU device's kernels, each wrapped in the fault that NORMGRAD_FAULT names.
#include "kernels/cpu/kernels.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <unistd.h>

#include "kernels/api/refusal.h"
#include "kernels/faulty/catalogue.h"
#include "kernels/faulty/faults.h"
#include "ops/operators.h"

namespace normgrad {
namespace {

/// What normgradSetFault() chose; null: nothing.
std::atomic<const char*> chosen = nullptr;

/// The fault in force, by name; empty for none.
std::string_view FaultName() {
  const char* name = chosen.load();
  if (name == nullptr) name = std::getenv("NORMGRAD_FAULT");
  return name == nullptr ? "" : name;
}

/// What the device remembers of the launch before.
class Memory {
 public:
  void OnPhaseOne() {
    const std::lock_guard lock(mutex_);
    tensors_ = nullptr;
  }

  /// Fills in what `scene` can only be told by the launch before.
  void OnLaunch(faulty::Scene* scene) {
    const std::lock_guard lock(mutex_);
    scene->used_executor = tensors_ == scene->launch.tensors.data();
    scene->other_stream = stream_ != std::thread::id() && stream_ != std::this_thread::get_id();
    tensors_ = scene->launch.tensors.data();
    stream_ = std::this_thread::get_id();
  }

 private:
  std::mutex mutex_;
  const KernelTensor* tensors_ =
      nullptr;              // of the executor, which lives on if it is launched again
  std::thread::id stream_;  // every stream has a thread
};
Memory memory;

bool IsOfPhaseOne(std::string_view name) {
  const auto all = faulty::PhaseOneFaults();
  return std::ranges::find(all, name, &faulty::PhaseOneFault::name) != all.end();
}

template <const Kernel& kCorrect>
std::uint64_t FaultyWorkspaceBytes(const Launch& launch);

template <const Kernel& kCorrect>
void LaunchFaulty(const Launch& launch) {
  static std::atomic<std::uint64_t> launches = 0;
  const std::string_view name = FaultName();
  const Operator& op = FindOperator(kCorrect.name);
  const faulty::Entry* const entry = faulty::FindEntry(name);
  const auto fault = std::ranges::find(faulty::Faults(), name, &faulty::Fault::name);
  const std::uint64_t launch_number = ++launches;
  if (entry != nullptr && entry->modelled) {
    return faulty::Compute(entry->recipe, op, launch, launch_number);
  }
  const auto run = entry != nullptr                  ? entry->run
                   : fault != faulty::Faults().end() ? fault->run
                                                     : nullptr;
  if (run != nullptr) {
    faulty::Scene scene{op, launch, kCorrect.launch, FaultyWorkspaceBytes<kCorrect>(launch),
                        launch_number};
    memory.OnLaunch(&scene);
    return run(scene);
  }
  if (name.empty() || entry != nullptr || IsOfPhaseOne(name)) return kCorrect.launch(launch);
  throw std::runtime_error("NORMGRAD_FAULT: unknown fault " + std::string(name));
}

template <const Kernel& kCorrect>
std::uint64_t FaultyWorkspaceBytes(const Launch& launch) {
  static std::atomic<std::uint64_t> calls = 0;
  const std::uint64_t bytes = kCorrect.workspace_bytes(launch);
  if (FaultName() == faulty::kGrowingWorkspace) return bytes + 64 * ++calls;
  // Processes that live at the same time never agree in the low bits, but for 1 in 1000.
  if (FaultName() == faulty::kWorkspaceOfTheProcess) {
    return bytes + 64 * static_cast<std::uint64_t>(::getpid() % 1009);
  }
  const faulty::Entry* const entry = faulty::FindEntry(FaultName());
  return entry != nullptr ? bytes + entry->spare_workspace : bytes;
}

template <const Kernel& kCorrect>
Kernel Faulty() {
  return {kCorrect.name, FaultyWorkspaceBytes<kCorrect>, LaunchFaulty<kCorrect>};
}

}  // namespace

std::span<const Kernel> Kernels() {
  static const Kernel kAll[] = {
      Faulty<cpu::kBatchNormElemtBackward>(),
      Faulty<cpu::kGroupNormBackward>(),
      Faulty<cpu::kLayerNormBackward>(),
      Faulty<cpu::kRmsNormGrad>(),
  };
  return kAll;
}

std::optional<Violation> CheckCall(const Operator& op, std::string_view product,
                                   std::span<const CallArg> args, Dims* dims, DTypes* dtypes) {
  memory.OnPhaseOne();
  const faulty::Entry* const entry = faulty::FindEntry(FaultName());
  const auto check = entry != nullptr && entry->check != nullptr ? entry->check : CheckContract;
  return check(op, product, args, dims, dtypes);
}

}  // namespace normgrad

const normgradFault* normgradFaults(size_t* count) {
  static const std::vector<normgradFault> kTexts = [] {
    std::vector<normgradFault> texts;
    for (const auto& entry : normgrad::faulty::Catalogue()) texts.push_back(entry.text);
    return texts;
  }();
  *count = kTexts.size();
  return kTexts.data();
}

aclError normgradSetFault(const char* name) try {
  if (name == nullptr || *name == '\0') {
    normgrad::chosen = name == nullptr ? nullptr : "";
    return ACL_SUCCESS;
  }
  const normgrad::faulty::Entry* const entry = normgrad::faulty::FindEntry(name);
  if (entry == nullptr) {
    throw normgrad::Refusal(ACL_ERROR_INVALID_PARAM, "unknown fault '{}'", name);
  }
  normgrad::chosen = entry->text.name;
  return ACL_SUCCESS;
} catch (...) {
  return normgrad::RefuseAcl(__func__);
}
