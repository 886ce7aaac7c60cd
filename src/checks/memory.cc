// SPDX-License-Identifier: Apache-2.0
// Does a launch write every output element and nothing else, whatever memory held before and
// wherever the tensors lie?
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

/// What of the outputs kept the poison of both launches: no value equals both. `first` is what the
/// one with the first poison left, the last was the one with the second.
std::string Unwritten(const CaseRun& run, const DenseTensors& first) {
  const Case& the_case = run.the_case();
  for (std::size_t i = 0; i < first.size(); ++i) {
    if (first[i].empty()) continue;
    const Param& param = the_case.op->params[i];
    const Bytes second = run.Output(i);
    const std::size_t bytes = SizeOf(the_case.DTypeOf(param));
    std::size_t unwritten = 0, where = 0;
    for (std::size_t at = 0; at < first[i].size(); at += bytes) {
      if (!HoldsPoison(&first[i][at], bytes, Poison::kFirst)) continue;
      if (!HoldsPoison(&second[at], bytes, Poison::kSecond)) continue;
      if (unwritten++ == 0) where = at / bytes;
    }
    if (unwritten > 0) {
      return fmt::format("{}: {} of {} elements not written, first at {}", param.name, unwritten,
                         first[i].size() / bytes, IndexText(the_case.ShapeOf(param), where));
    }
  }
  return "";
}

/// What launches with one poison, then with the other, left behind; the latter is the last.
struct BothPoisons {
  std::shared_ptr<const KeptOutputs> first;  // outputs of the former
  std::vector<std::string> damage;           // by either, and what both left unwritten
  std::string difference{};                  // where the latter left other outputs, if anywhere
};

BothPoisons LaunchWithBothPoisons(CaseRun& run, bool deterministic) {
  Aftermath left = run.FirstLaunch(deterministic, /*look_for_damage=*/true);
  BothPoisons both{.first = std::move(left.outputs), .damage = std::move(*left.damage)};
  run.Launch(Poison::kSecond, deterministic);
  if (both.damage.empty()) both.damage = run.Damage();
  both.difference = DifferenceFrom(*both.first, run, "run 2");
  if (both.difference.empty()) return both;  // every byte is written, or the poisons would show
  std::string unwritten = Unwritten(run, both.first->tensors());
  if (!unwritten.empty()) both.damage.push_back(std::move(unwritten));
  return both;
}

/// A part of memory that holds no input.
struct Part {
  std::string_view name;
  Poison Poisons::*poison;
};
constexpr Part kParts[] = {
    {"the outputs held", &Poisons::outputs},
    {"the gaps between elements hold", &Poisons::gaps},
    {"lies around the tensors", &Poisons::guards},
    {"the workspace held", &Poisons::workspace},
};

/// Which part of memory results follow: launches with one part at a time changed. With the option
/// on, so that nothing else can make a difference.
std::string Culprits(CaseRun& run, const KeptOutputs& first) {
  std::vector<std::string_view> culprits;
  for (const Part& part : kParts) {
    Setup setup{.deterministic = true};
    setup.poisons.*part.poison = Poison::kSecond;
    run.Launch(setup);
    if (!run.LeftAgain(first)) culprits.push_back(part.name);
  }
  if (culprits.empty()) return "what several parts of it held together";
  return fmt::format("what {}", fmt::join(culprits, ", what "));
}

/// With the option on, equal launches give equal bits, so what the last launch left other than the
/// `first` is the poison's. A kernel that differs with equal poison is not `repeatable`, which is
/// the determinism check's to report.
std::vector<std::string> DamageByPoison(CaseRun& run, const KeptOutputs& first,
                                        std::string_view difference, bool* repeatable) {
  run.Launch(Poison::kFirst, /*deterministic=*/true);
  *repeatable = run.LeftAgain(first);
  if (!*repeatable) return {};
  return {fmt::format("results depend on what memory held before: {}; it is {}", difference,
                      Culprits(run, first))};
}

/// Whether tensors at addresses aligned to their elements, and no more, are treated as any other:
/// what the launch damaged, and where it left other outputs than `expected`, if there are any.
std::vector<std::string> LaunchUnaligned(CaseRun& run, bool deterministic,
                                         const KeptOutputs* expected) {
  run.Launch({.deterministic = deterministic, .placement = Placement::kUnaligned});
  std::vector<std::string> damage = run.Damage();
  if (expected != nullptr) {
    std::string difference = DifferenceFrom(*expected, run, "the unaligned run");
    if (!difference.empty()) damage.push_back(std::move(difference));
  }
  for (std::string& line : damage) {
    line = fmt::format("with tensors aligned to their elements only: {}", line);
  }
  return damage;
}

/// What is wrong with the memory of launches; empty when nothing is. The option may choose another
/// kernel: both modes are looked at.
std::vector<std::string> DamageOf(CaseRun& run) {
  // There is room for the outputs of one mode only, where they differ.
  std::vector<std::string> damage = LaunchWithBothPoisons(run, /*deterministic=*/false).damage;
  if (!damage.empty()) return damage;
  BothPoisons both = LaunchWithBothPoisons(run, /*deterministic=*/true);
  if (!both.damage.empty()) return both.damage;
  bool repeatable = true;
  if (!both.difference.empty()) {
    damage = DamageByPoison(run, *both.first, both.difference, &repeatable);
  }
  if (!damage.empty()) return damage;
  // By default a difference may be another order of summation.
  damage = LaunchUnaligned(run, /*deterministic=*/false, nullptr);
  if (!damage.empty() || !repeatable) return damage;
  return LaunchUnaligned(run, /*deterministic=*/true, both.first.get());
}

}  // namespace

Answer CheckMemory(CaseRun& run, const CheckOptions&, Result*) {
  const std::vector<std::string> damage = DamageOf(run);
  run.ForgetFirstLaunches();
  if (damage.empty()) return {};
  return {Outcome::kFailed, fmt::format("{}", fmt::join(damage, "; "))};
}

}  // namespace normgrad
