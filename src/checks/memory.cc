// SPDX-License-Identifier: Apache-2.0
// Does a launch write every output element and nothing else, whatever memory held before and
// wherever the tensors lie?
#include <atomic>
#include <cstring>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/lanes.h"
#include "base/parallel.h"
#include "checks/check.h"

namespace normgrad {
namespace {

bool HoldsPoison(const std::byte* element, std::size_t bytes, Poison poison) {
  for (std::size_t i = 0; i < bytes; ++i) {
    if (element[i] != PoisonByte(poison)) return false;
  }
  return true;
}

/// Whether any of `elements`, whose bits are Bits, holds `poison` throughout.
template <typename Bits>
bool AnyHolds(std::span<const std::byte> elements, Poison poison) {
  Bits pattern{};
  std::memset(&pattern, static_cast<int>(poison), sizeof pattern);
  return Vectorised([=, data = elements.data(), count = elements.size() / sizeof pattern] {
    Bits found = 0;
    for (std::size_t i = 0; i < count; ++i) {
      Bits bits{};
      std::memcpy(&bits, data + i * sizeof bits, sizeof bits);
      found |= static_cast<Bits>(bits == pattern ? 1 : 0);
    }
    return found != 0;
  });
}

/// Whether any of `elements` of `bytes` bytes does.
bool AnyHoldsPoison(std::span<const std::byte> elements, std::size_t bytes, Poison poison,
                    unsigned threads) {
  constexpr std::size_t kPieceBytes = std::size_t{1} << 20;
  std::atomic<bool> found = false;
  ParallelFor((elements.size() + kPieceBytes - 1) / kPieceBytes, threads, [&](std::size_t i) {
    const std::size_t first = i * kPieceBytes;
    const auto piece = elements.subspan(first, std::min(kPieceBytes, elements.size() - first));
    const bool here = bytes == 2 ? AnyHolds<std::uint16_t>(piece, poison)
                                 : AnyHolds<std::uint32_t>(piece, poison);
    if (here) found = true;
  });
  return found;
}

/// What of the outputs kept the poison of both launches: no value equals both. `first` is what the
/// one with the first poison left, the last was the one with the second.
std::string Unwritten(const CaseRun& run, const DenseTensors& first, unsigned threads) {
  const Case& the_case = run.the_case();
  std::vector<std::size_t> suspects;  // params
  for (std::size_t i = 0; i < first.size(); ++i) {
    if (first[i].empty()) continue;
    const std::size_t bytes = SizeOf(the_case.DTypeOf(the_case.op->params[i]));
    if (AnyHoldsPoison(first[i], bytes, Poison::kFirst, threads)) suspects.push_back(i);
  }
  if (suspects.empty()) return "";
  const DenseTensors second = run.Outputs();
  for (const std::size_t i : suspects) {
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
/// `first` becomes the outputs of the one with the first, the other launch is the last.
std::vector<std::string> LaunchWithBothPoisons(CaseRun& run, bool deterministic, unsigned threads,
                                               std::shared_ptr<const DenseTensors>* first) {
  Aftermath left = run.FirstLaunch(deterministic, /*look_for_damage=*/true);
  *first = left.outputs;
  std::vector<std::string> damage = std::move(*left.damage);
  run.Launch(Poison::kSecond, deterministic);
  if (damage.empty()) damage = run.Damage();
  std::string unwritten = Unwritten(run, **first, threads);
  if (!unwritten.empty()) damage.push_back(std::move(unwritten));
  return damage;
}

/// Where the last launch left other outputs than `first`, which run 1 left; empty where nowhere.
std::string DifferenceFrom(const DenseTensors& first, const CaseRun& run, std::string_view name) {
  if (run.LeftAgain(first)) return "";
  return FirstDifference(run.the_case(), first, run.Outputs(), name);
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
std::string Culprits(CaseRun& run, const DenseTensors& first) {
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
std::vector<std::string> DamageByPoison(CaseRun& run, const DenseTensors& first, bool* repeatable) {
  const std::string difference = DifferenceFrom(first, run, "run 2");
  if (difference.empty()) return {};
  run.Launch(Poison::kFirst, /*deterministic=*/true);
  *repeatable = run.LeftAgain(first);
  if (!*repeatable) return {};
  return {fmt::format("results depend on what memory held before: {}; it is {}", difference,
                      Culprits(run, first))};
}

/// Whether tensors at addresses aligned to their elements, and no more, are treated as any other:
/// what the launch damaged, and where it left other outputs than `expected`, if there are any.
std::vector<std::string> LaunchUnaligned(CaseRun& run, bool deterministic,
                                         const DenseTensors* expected) {
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
std::vector<std::string> DamageOf(CaseRun& run, unsigned threads) {
  std::shared_ptr<const DenseTensors> first;
  std::vector<std::string> damage =
      LaunchWithBothPoisons(run, /*deterministic=*/false, threads, &first);
  first.reset();  // there is room for those of one mode only, where they differ
  if (!damage.empty()) return damage;
  damage = LaunchWithBothPoisons(run, /*deterministic=*/true, threads, &first);
  if (!damage.empty()) return damage;
  bool repeatable = true;
  damage = DamageByPoison(run, *first, &repeatable);
  if (!damage.empty()) return damage;
  // By default a difference may be another order of summation.
  damage = LaunchUnaligned(run, /*deterministic=*/false, nullptr);
  if (!damage.empty() || !repeatable) return damage;
  return LaunchUnaligned(run, /*deterministic=*/true, first.get());
}

}  // namespace

Answer CheckMemory(CaseRun& run, const CheckOptions& options, Result*) {
  const std::vector<std::string> damage = DamageOf(run, options.threads);
  run.ForgetFirstLaunches();
  if (damage.empty()) return {};
  return {Outcome::kFailed, fmt::format("{}", fmt::join(damage, "; "))};
}

}  // namespace normgrad
