// SPDX-License-Identifier: Apache-2.0
#include "device/entry_points.h"

#include <stdexcept>
#include <string>

namespace normgrad {

std::span<const EntryPoint> EntryPoints() {
  static constexpr EntryPoint kEntryPoints[] = {
      MakeEntryPoint<decltype(aclnnRmsNormGradGetWorkspaceSize)>("aclnnRmsNormGrad"),
      MakeEntryPoint<decltype(aclnnLayerNormBackwardGetWorkspaceSize)>("aclnnLayerNormBackward"),
      MakeEntryPoint<decltype(aclnnGroupNormBackwardGetWorkspaceSize)>("aclnnGroupNormBackward"),
      MakeEntryPoint<decltype(aclnnBatchNormElemtBackwardGetWorkspaceSize)>(
          "aclnnBatchNormElemtBackward"),
  };
  return kEntryPoints;
}

const EntryPoint& EntryPointOf(std::string_view api) {
  for (const EntryPoint& entry : EntryPoints()) {
    if (entry.api == api) return entry;
  }
  throw std::logic_error("no C entry point for " + std::string(api));
}

}  // namespace normgrad
