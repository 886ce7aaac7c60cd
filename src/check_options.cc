// SPDX-License-Identifier: Apache-2.0
#include "check_options.h"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "accuracy/standards.h"
#include "run/fresh_process.h"
#include "run/host.h"
#include "run/timing.h"

namespace normgrad {

CheckOptions CheckOptionsFrom(const Options& options, std::function<void()> while_waiting) {
  CheckOptions checks;
  checks.threads = options.threads != 0 ? options.threads : UsableCores();
  checks.repeats = options.repeats;
  checks.profile = options.profile;
  checks.standard = FindStandard(options.standard);
  // Below the smallest subnormal float32 there is nothing to flush.
  checks.smallest_normal = options.ftz == "forbid" ? 0x1p-149 : 0x1p-126;
  checks.rounding = options.rounding == "rz"         ? Rounding::kTowardZero
                    : options.rounding == "faithful" ? Rounding::kFaithful
                                                     : Rounding::kNearestEven;
  checks.saturates = options.saturates;
  checks.batch_invariant = options.batch_invariant;
  if (options.max_memory_gib > 0) {
    checks.most_host_bytes = static_cast<std::uint64_t>(options.max_memory_gib * 0x1p30);
  }
  checks.timer = [](const std::string& name, const std::function<double()>& sample) {
    return MeasureRepeated({}, name, sample);
  };
  const auto fresh = std::make_shared<FreshProcess>(
      WorkerArgs(options),
      Limits{.timeout_seconds = options.timeout_seconds, .memory_bytes = checks.most_host_bytes},
      std::move(while_waiting));
  checks.fresh_workspace = [fresh](const Case& the_case) { return fresh->WorkspaceOf(the_case); };
  checks.fresh_hash = [fresh](const Case& the_case, bool deterministic) {
    return fresh->HashOf(the_case, deterministic);
  };
  return checks;
}

}  // namespace normgrad
