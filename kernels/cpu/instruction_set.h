// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

/// Which of the processor's vector instructions kernels use.
namespace normgrad::cpu {

/// Those that kernels can choose from, the widest first: "avx512_bf16", "avx512", "avx2", "sse4",
/// …, "scalar".
std::vector<std::string> InstructionSets();

/// Leaves them only one, or, given "", all; false, and all, if there is no such set. Not while
/// kernels run.
bool SetInstructionSet(std::string_view name);

/// Whether kernels for AVX-512 use its instruction that rounds to bfloat16.
bool UsesBFloat16Instruction();

}  // namespace normgrad::cpu
