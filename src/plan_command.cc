// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/text.h"
#include "commands.h"
#include "console.h"
#include "report/counted.h"
#include "run/plan.h"

namespace normgrad {
namespace {

/// What one shard, or all of them, must answer.
struct Workload {
  std::uint64_t cases = 0;
  std::uint64_t checks = 0;
  double seconds = 0;
  Cost largest{};  // the most that one case takes of each kind of memory

  void Add(const Case& the_case, const Cost& cost) {
    ++cases;
    checks += the_case.checks.size();
    seconds += cost.seconds;
    largest.device_bytes = std::max(largest.device_bytes, cost.device_bytes);
    largest.host_bytes = std::max(largest.host_bytes, cost.host_bytes);
  }
};

std::string Bytes(std::uint64_t bytes) { return HumanBytes(static_cast<double>(bytes)); }

void PrintLoad(std::string_view what, const Workload& load) {
  Print("{}: {} with {}, about {}; at most {} on the device and {} on the host at once\n", what,
        Counted(load.cases, "case"), Counted(load.checks, "check"), HumanSeconds(load.seconds),
        Bytes(load.largest.device_bytes), Bytes(load.largest.host_bytes));
}

}  // namespace

int PrintPlan(const Options& options) {
  const Sweep sweep = LoadSweeps(options.sweeps, options.selection);
  const Plan plan = MakePlan(sweep.cases, options.shard.count);
  std::vector<Workload> shards(options.shard.count);
  Workload all;
  std::map<std::string, std::uint64_t> asked;  // of the cases printed, by check
  for (std::size_t i = 0; i < sweep.cases.size(); ++i) {
    const Case& the_case = sweep.cases[i];
    all.Add(the_case, plan.costs[i]);
    shards[plan.shards[i] - 1].Add(the_case, plan.costs[i]);
    if (plan.shards[i] != options.shard.index) continue;
    for (const std::string& check : the_case.checks) ++asked[check];
    if (options.quiet) continue;
    Print("{}  {}  {}  {}\n", the_case.Id(), fmt::join(the_case.checks, ","),
          Bytes(plan.costs[i].device_bytes), HumanSeconds(plan.costs[i].seconds));
  }
  if (!options.quiet) WriteOutput("\n");
  const Workload& mine = shards[options.shard.index - 1];
  PrintLoad("plan " + plan.hash, all);
  if (options.shard.count > 1) {
    PrintLoad(fmt::format("shard {} of {}", options.shard.index, options.shard.count), mine);
    const double longest = std::ranges::max_element(shards, {}, &Workload::seconds)->seconds;
    Print("  the longest shard takes {:.3g} times the mean\n",
          longest * static_cast<double>(shards.size()) / all.seconds);
  }
  for (const std::string_view check : CheckNames()) {
    const auto found = asked.find(std::string(check));
    if (found != asked.end()) Print("  {:>9}  {}\n", found->second, check);
  }
  Print("{}: {} dropped\n", Counted(sweep.combinations, "combination"),
        sweep.combinations - sweep.cases.size());
  for (const Drop& drop : sweep.drops) {
    Print("  {} dropped by {}: {}\n      e.g. {}\n", drop.count, drop.source, drop.reason,
          drop.example);
  }
  return 0;
}

}  // namespace normgrad
