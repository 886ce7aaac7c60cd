// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/instruction_set.h"

#include <algorithm>
#include <cctype>
#include <cstdint>

#include <hwy/targets.h>

namespace normgrad::cpu {
namespace {

/// What people call one of Highway's targets: "avx512" is its AVX3.
std::string NameOf(std::int64_t target) {
  std::string name = hwy::TargetName(target);
  std::ranges::transform(name, name.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  constexpr std::string_view kTheirs = "avx3";
  if (name.starts_with(kTheirs)) name.replace(0, kTheirs.size(), "avx512");
  return name;
}

}  // namespace

std::vector<std::string> InstructionSets() {
  std::vector<std::string> names;
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
    names.push_back(NameOf(target));
  }
  return names;
}

bool SetInstructionSet(std::string_view name) {
  // Its name says for tests, but there is no other way to choose: what it is given is all that the
  // processor seems to have.
  hwy::SetSupportedTargetsForTest(0);
  if (name.empty()) return true;
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
    if (NameOf(target) != name) continue;
    hwy::SetSupportedTargetsForTest(target);
    return true;
  }
  return false;
}

}  // namespace normgrad::cpu
