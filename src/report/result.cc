// SPDX-License-Identifier: Apache-2.0
#include "report/result.h"

#include <array>
#include <cassert>
#include <cstddef>

namespace normgrad {
namespace {

struct Row {
  std::string_view name;
  int seriousness;
  int exit_code;
};

// One row per Outcome, in its order.
constexpr std::array kRows = {
    Row{"passed", 0, 0},           //
    Row{"failed", 7, 1},           //
    Row{"mistrusted", 5, 1},       //
    Row{"known-deviation", 4, 0},  //
    Row{"waived", 3, 0},           //
    Row{"unsupported", 2, 0},      //
    Row{"skipped", 1, 0},          //
    Row{"crashed", 10, 5},         //
    Row{"timed-out", 9, 5},        //
    Row{"error", 8, 5},            //
    Row{"not-run", 6, 5},          //
};
static_assert(kRows.size() == static_cast<std::size_t>(Outcome::kNotRun) + 1);

struct SkipRow {
  std::string_view name;
  std::string_view meaning;
};

// One row per SkipReason, in its order.
constexpr std::array kSkips = {
    SkipRow{"", "it was not skipped"},
    SkipRow{"memory", "the tensors, or a second set of them, do not fit the host or the device"},
    SkipRow{"fill", "the case cannot give its fill what the fill promises"},
    SkipRow{"no-elements", "there is nothing to compare or to time"},
    SkipRow{"few-rows", "the batch has no rows to take apart"},
};
static_assert(kSkips.size() == static_cast<std::size_t>(SkipReason::kFewRows) + 1);

const Row& RowOf(Outcome outcome) {
  const auto index = static_cast<std::size_t>(outcome);
  assert(index < kRows.size());
  return kRows[index];
}

}  // namespace

std::span<const Outcome> Outcomes() {
  static constexpr auto kOutcomes = [] {
    std::array<Outcome, kRows.size()> outcomes{};
    for (std::size_t i = 0; i < outcomes.size(); ++i) outcomes[i] = static_cast<Outcome>(i);
    return outcomes;
  }();
  return kOutcomes;
}

std::string_view Name(Outcome outcome) { return RowOf(outcome).name; }

std::optional<Outcome> ParseOutcome(std::string_view name) {
  for (const Outcome outcome : Outcomes()) {
    if (Name(outcome) == name) return outcome;
  }
  return std::nullopt;
}

std::span<const SkipReason> SkipReasons() {
  static constexpr auto kReasons = [] {
    std::array<SkipReason, kSkips.size() - 1> reasons{};
    for (std::size_t i = 0; i < reasons.size(); ++i) reasons[i] = static_cast<SkipReason>(i + 1);
    return reasons;
  }();
  return kReasons;
}

std::string_view Name(SkipReason reason) {
  return kSkips.at(static_cast<std::size_t>(reason)).name;
}

std::string_view Meaning(SkipReason reason) {
  return kSkips.at(static_cast<std::size_t>(reason)).meaning;
}

std::optional<SkipReason> ParseSkipReason(std::string_view name) {
  for (std::size_t i = 0; i < kSkips.size(); ++i) {
    if (kSkips.at(i).name == name) return static_cast<SkipReason>(i);
  }
  return std::nullopt;
}

bool IsFailure(Outcome outcome) { return ExitCode(outcome) != 0; }

bool HasVerdict(Outcome outcome) {
  return outcome != Outcome::kSkipped && outcome != Outcome::kUnsupported &&
         outcome != Outcome::kNotRun;
}

Outcome MoreSerious(Outcome a, Outcome b) {
  return RowOf(a).seriousness >= RowOf(b).seriousness ? a : b;
}

int ExitCode(Outcome outcome) { return RowOf(outcome).exit_code; }

}  // namespace normgrad
