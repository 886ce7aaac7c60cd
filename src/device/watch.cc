// SPDX-License-Identifier: Apache-2.0
#include "device/watch.h"

#include <array>
#include <cassert>
#include <cstddef>

namespace normgrad {
namespace {

constexpr std::size_t kPhases = static_cast<std::size_t>(Phase::kOtherProcess) + 1;

}  // namespace

std::span<const Phase> Phases() {
  static constexpr auto kAll = [] {
    std::array<Phase, kPhases> phases{};
    for (std::size_t i = 0; i < phases.size(); ++i) phases[i] = static_cast<Phase>(i);
    return phases;
  }();
  return kAll;
}

std::string_view Name(Phase phase) {
  static constexpr std::array<std::string_view, kPhases> kNames = {
      "work of the tool's own",
      "opening the device",
      "a question about the device",
      "allocating device memory",
      "freeing device memory",
      "a copy",
      "making the call's arguments",
      "destroying the call's arguments",
      "phase 1",
      "phase 2",
      "waiting for the stream",
      "closing the device",
      "waiting for another process",
  };
  assert(static_cast<std::size_t>(phase) < kNames.size());
  return kNames[static_cast<std::size_t>(phase)];
}

}  // namespace normgrad
