// SPDX-License-Identifier: Apache-2.0
// Does a launch write every output element and nothing else, whatever memory held before?
#include <cstring>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "checks/check.h"

namespace normgrad {
namespace {

bool HoldsPoison(const std::byte* element, std::size_t bytes, Poison poison) {
  for (std::size_t i = 0; i < bytes; ++i) {
    if (element[i] != PoisonByte(poison)) return false;
  }
  return true;
}

/// An element that kept both poisons was not written: no value equals both.
std::string Unwritten(const Case& the_case, const DenseTensors& first, const DenseTensors& second) {
  for (std::size_t i = 0; i < first.size(); ++i) {
    const Param& param = the_case.op->params[i];
    const std::size_t bytes = SizeOf(the_case.DTypeOf(param));
    std::size_t unwritten = 0, where = 0;
    for (std::size_t at = 0; at < first[i].size(); at += bytes) {
      if (!HoldsPoison(&first[i][at], bytes, Poison::kFirst)) continue;
      if (!HoldsPoison(&second[i][at], bytes, Poison::kSecond)) continue;
      if (unwritten++ == 0) where = at / bytes;
    }
    if (unwritten > 0) {
      return fmt::format("{}: {} of {} elements not written, first at {}", param.name, unwritten,
                         first[i].size() / bytes, IndexText(the_case.ShapeOf(param), where));
    }
  }
  return "";
}

/// Launches with one poison, then with the other; what either damaged or both left unwritten.
struct Pair {
  DenseTensors first, second;
  std::vector<std::string> damage;
};

Pair LaunchWithBothPoisons(CaseRun& run, bool deterministic) {
  Pair pair;
  run.Launch(Poison::kFirst, deterministic);
  pair.damage = run.Damage();
  pair.first = run.Outputs();
  run.Launch(Poison::kSecond, deterministic);
  if (pair.damage.empty()) pair.damage = run.Damage();
  pair.second = run.Outputs();
  std::string unwritten = Unwritten(run.the_case(), pair.first, pair.second);
  if (!unwritten.empty()) pair.damage.push_back(std::move(unwritten));
  return pair;
}

}  // namespace

Answer CheckMemory(CaseRun& run, const CheckOptions&, Result*) {
  // The option may choose another kernel: both modes are looked at.
  std::vector<std::string> damage = LaunchWithBothPoisons(run, /*deterministic=*/false).damage;
  if (damage.empty()) {
    Pair pair = LaunchWithBothPoisons(run, /*deterministic=*/true);
    damage = std::move(pair.damage);
    // With the option on, equal launches give equal bits, so a difference is the poison's.
    const std::string difference = FirstDifference(run.the_case(), pair.first, pair.second, 2);
    if (damage.empty() && !difference.empty()) {
      run.Launch(Poison::kFirst, /*deterministic=*/true);
      // Control: a kernel that differs with equal poison is the determinism check's to report.
      if (run.Outputs() == pair.first) {
        damage.push_back(fmt::format("results depend on what memory held before: {}", difference));
      }
    }
  }
  if (damage.empty()) return {};
  return {Outcome::kFailed, fmt::format("{}", fmt::join(damage, "; "))};
}

}  // namespace normgrad
