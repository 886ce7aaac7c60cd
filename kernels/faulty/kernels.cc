// SPDX-License-Identifier: Apache-2.0
// The CPU device's kernels, each wrapped in the fault that NORMGRAD_FAULT names.
#include "kernels/cpu/kernels.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "kernels/faulty/faults.h"

namespace normgrad {
namespace {

void LaunchFaulty(const Launch& launch) {
  static std::atomic<std::uint64_t> launches = 0;
  const Kernel& correct = cpu::kRmsNormGrad;
  const char* name = std::getenv("NORMGRAD_FAULT");
  if (name == nullptr || *name == '\0') return correct.launch(launch);
  const auto fault = std::ranges::find(faulty::Faults(), name, &faulty::Fault::name);
  if (fault == faulty::Faults().end()) {
    throw std::runtime_error("NORMGRAD_FAULT: unknown fault " + std::string(name));
  }
  fault->run({launch, correct.workspace_bytes(launch), ++launches}, correct.launch);
}

}  // namespace

std::span<const Kernel> Kernels() {
  static const Kernel kAll[] = {
      {cpu::kRmsNormGrad.name, cpu::kRmsNormGrad.workspace_bytes, LaunchFaulty},
  };
  return kAll;
}

}  // namespace normgrad
