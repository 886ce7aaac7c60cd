// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/faulty/catalogue.h"

namespace normgrad::faulty {

/// The last tensor of the call of that kind and role; one that is not present where there is none.
const KernelTensor& TensorOf(const Scene& scene, Param::Kind kind, Role role);

const KernelTensor& Dx(const Scene& scene);
const KernelTensor& Dgamma(const Scene& scene);  // dbeta where the call wants it
const KernelTensor& X(const Scene& scene);

/// Elements of a tensor; 0 of one that is not there.
std::size_t CountOf(const KernelTensor& tensor);

/// The places of a bit in every float type, as seen from its fields.
enum class Bit { kSign, kLowestExponent, kHighestMantissa, kLowest };

void Flip(const KernelTensor& tensor, std::size_t flat, Bit bit);

inline constexpr const char* kFloat32Dx = "dx is float32";

/// The lowest bit of a float32 dx follows `bit`: nothing that a bound could see.
void Follow(const Scene& scene, bool bit);

/// An entry that runs `run` around the CPU device's kernel.
constexpr Entry Around(const char* kind, const char* name, const char* operators, const char* check,
                       const char* what, void (*run)(const Scene& scene), const char* shows = "",
                       const char* museum = "", std::uint64_t spare_workspace = 0) {
  return {.text = {name, kind, museum, operators, shows, check, kCpuTwin, what, ""},
          .run = run,
          .spare_workspace = spare_workspace};
}

}  // namespace normgrad::faulty
