// SPDX-License-Identifier: Apache-2.0
// The CPU device's kernels, each wrapped in the fault that NORMGRAD_FAULT names.
#include "kernels/cpu/kernels.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>

#include "kernels/faulty/faults.h"
#include "ops/operators.h"

namespace normgrad {
namespace {

/// The value of NORMGRAD_FAULT; empty for none.
std::string_view FaultName() {
  const char* name = std::getenv("NORMGRAD_FAULT");
  return name == nullptr ? "" : name;
}

template <const Kernel& kCorrect>
void LaunchFaulty(const Launch& launch) {
  static std::atomic<std::uint64_t> launches = 0;
  const std::string_view name = FaultName();
  const auto fault = std::ranges::find(faulty::Faults(), name, &faulty::Fault::name);
  if (fault == faulty::Faults().end()) {
    const bool in_phase_one =
        std::ranges::find(faulty::PhaseOneFaults(), name, &faulty::PhaseOneFault::name) !=
        faulty::PhaseOneFaults().end();
    if (name.empty() || in_phase_one) return kCorrect.launch(launch);
    throw std::runtime_error("NORMGRAD_FAULT: unknown fault " + std::string(name));
  }
  fault->run({FindOperator(kCorrect.name), launch, kCorrect.launch,
              kCorrect.workspace_bytes(launch), ++launches});
}

template <const Kernel& kCorrect>
std::uint64_t FaultyWorkspaceBytes(const Launch& launch) {
  static std::atomic<std::uint64_t> calls = 0;
  const std::uint64_t bytes = kCorrect.workspace_bytes(launch);
  return FaultName() == faulty::kGrowingWorkspace ? bytes + 64 * ++calls : bytes;
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
  const auto fault =
      std::ranges::find(faulty::PhaseOneFaults(), FaultName(), &faulty::PhaseOneFault::name);
  if (fault == faulty::PhaseOneFaults().end()) {
    return CheckContract(op, product, args, dims, dtypes);
  }
  return fault->check(op, product, args, dims, dtypes);
}

}  // namespace normgrad
