// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/instruction_set.h"

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cstdint>

#include <hwy/targets.h>

namespace normgrad::cpu {
namespace {

/// How kernels for AVX-512 round to bfloat16, which Highway 1.0.3 has no target for.
enum class Rounding { kAny, kInstruction, kArithmetic };

std::atomic<Rounding> rounding = Rounding::kAny;

struct InstructionSet {
  std::string name;
  std::int64_t target;
  Rounding rounding;
};

bool HasBFloat16Instruction() {
#if HWY_ARCH_X86
  static const bool kHas = __builtin_cpu_supports("avx512bf16") != 0;
  return kHas;
#else
  return false;
#endif
}

/// Those that kernels can choose from. What people call AVX-512 is Highway's AVX3.
std::vector<InstructionSet> Choice() {
  std::vector<InstructionSet> sets;
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
    std::string name = hwy::TargetName(target);
    std::ranges::transform(name, name.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    constexpr std::string_view kTheirs = "avx3";
    if (name.starts_with(kTheirs)) name.replace(0, kTheirs.size(), "avx512");
    const bool has_instruction =
        (target == HWY_AVX3 || target == HWY_AVX3_DL) && HasBFloat16Instruction();
    if (has_instruction && rounding != Rounding::kArithmetic) {
      sets.push_back({name + "_bf16", target, Rounding::kInstruction});
    }
    if (!has_instruction || rounding != Rounding::kInstruction) {
      sets.push_back({name, target, Rounding::kArithmetic});
    }
  }
  return sets;
}

}  // namespace

std::vector<std::string> InstructionSets() {
  std::vector<std::string> names;
  for (const InstructionSet& set : Choice()) names.push_back(set.name);
  return names;
}

bool SetInstructionSet(std::string_view name) {
  // Its name says for tests, but there is no other way to choose: what it is given is all that the
  // processor seems to have.
  hwy::SetSupportedTargetsForTest(0);
  rounding = Rounding::kAny;
  if (name.empty()) return true;
  for (const InstructionSet& set : Choice()) {
    if (set.name != name) continue;
    hwy::SetSupportedTargetsForTest(set.target);
    rounding = set.rounding;
    return true;
  }
  return false;
}

bool UsesBFloat16Instruction() {
  return HasBFloat16Instruction() && rounding != Rounding::kArithmetic;
}

}  // namespace normgrad::cpu
