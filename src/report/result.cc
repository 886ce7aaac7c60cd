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
