// SPDX-License-Identifier: Apache-2.0
// The CPU device's kernels, each wrapped in the fault that NORMGRAD_FAULT names.
#include "kernels/cpu/kernels.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "kernels/faulty/faults.h"
#include "ops/operators.h"

namespace normgrad {
namespace {

template <const Kernel& kCorrect>
void LaunchFaulty(const Launch& launch) {
  static std::atomic<std::uint64_t> launches = 0;
  const char* name = std::getenv("NORMGRAD_FAULT");
  if (name == nullptr || *name == '\0') return kCorrect.launch(launch);
  const auto fault = std::ranges::find(faulty::Faults(), name, &faulty::Fault::name);
  if (fault == faulty::Faults().end()) {
    throw std::runtime_error("NORMGRAD_FAULT: unknown fault " + std::string(name));
  }
  fault->run({FindOperator(kCorrect.name), launch, kCorrect.launch,
              kCorrect.workspace_bytes(launch), ++launches});
}

template <const Kernel& kCorrect>
Kernel Faulty() {
  return {kCorrect.name, kCorrect.workspace_bytes, LaunchFaulty<kCorrect>};
}

}  // namespace

std::span<const Kernel> Kernels() {
  static const Kernel kAll[] = {
      Faulty<cpu::kRmsNormGrad>(),
  };
  return kAll;
}

}  // namespace normgrad
