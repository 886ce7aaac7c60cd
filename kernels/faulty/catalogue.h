// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/faulty/faults.h"
#include "kernels/faulty/float32_model.h"
#include "normgrad/faults.h"

namespace normgrad::faulty {

inline constexpr const char* kEveryOperator =
    "rms_norm_grad layer_norm_backward group_norm_backward batch_norm_elemt_backward";
inline constexpr const char* kEveryNorm = "rms_norm_grad layer_norm_backward group_norm_backward";
inline constexpr const char* kHealthy = "healthy";

/// The healthy variant that faults of the float32 model differ from in one thing.
inline constexpr const char* kModelTwin = "forward";

/// The model computes every set by itself.
inline constexpr const char* kModelPromises = "batch";

/// That of faults which are planted around the CPU device's kernels.
inline constexpr const char* kCpuTwin = "cpu";

/// One way to compute, right or wrong. At most one of the functions is there; without any of them
/// and without a recipe a call is computed as on the CPU device.
struct Entry {
  normgradFault text{};
  bool modelled = false;  // by `recipe`
  Recipe recipe{};
  void (*run)(const Scene& scene) = nullptr;  // around the CPU device's kernel
  decltype(&CheckContract) check = nullptr;   // in place of phase 1
  std::uint64_t spare_workspace = 0;          // bytes phase 1 asks for beyond the kernel's
};

/// Wrong arithmetic, each a twist of the float32 model; right arithmetic, each another recipe;
/// wrong bytes, order and status; what depends on more than the call.
std::span<const Entry> ModelFaults();
std::span<const Entry> HealthyVariants();
std::span<const Entry> DeviceFaults();
std::span<const Entry> ContextFaults();

/// All of the above and those of faults.h that end in time, healthy ones last. Names are unique.
std::span<const Entry> Catalogue();

/// nullptr for an unknown name.
const Entry* FindEntry(std::string_view name);

}  // namespace normgrad::faulty
