// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

/// Which of the processor's vector instructions kernels use.
namespace normgrad::cpu {

/// Those that kernels can choose from, the widest first: "avx512", "avx2", "sse4", …, "scalar".
std::vector<std::string> InstructionSets();

/// Leaves them only one, or, given "", all; false, and all, if there is no such set. Not while
/// kernels run.
bool SetInstructionSet(std::string_view name);

}  // namespace normgrad::cpu
