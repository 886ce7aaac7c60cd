// SPDX-License-Identifier: Apache-2.0
#include "run/plan.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "base/random.h"
#include "checks/case_run.h"

namespace normgrad {
namespace {

/// What one step of a case takes: this long, and this much longer per byte of tensors.
struct StepCost {
  std::string_view step;
  double seconds;
  double seconds_per_byte;
};

// "fill", then every check.
constexpr StepCost kSteps[] = {
    {"fill", 4.0e-5, 4.0e-10},        //
    {"contract", 1.5e-4, 2.0e-10},    //
    {"accuracy", 1.5e-4, 7.0e-10},    //
    {"memory", 1.4e-4, 2.5e-10},      //
    {"determinism", 9.0e-4, 2.6e-9},  //
    {"batch", 1.2e-4, 1.7e-9},        //
    {"invariants", 1.4e-4, 2.8e-9},   //
    {"throughput", 4.3e-1, 1.1e-8},   // repeats until the time is measured, however short
};

double SecondsOf(std::string_view step, std::uint64_t bytes) {
  const auto found = std::ranges::find(kSteps, step, &StepCost::step);
  if (found == std::ranges::end(kSteps)) {
    throw std::logic_error(fmt::format("no cost is known of '{}'", step));
  }
  return found->seconds + found->seconds_per_byte * static_cast<double>(bytes);
}

std::uint64_t QuestionOf(const Case& the_case) {
  std::uint64_t hash = HashText(the_case.Id());
  for (const std::string& check : the_case.checks) hash = HashText("\n" + check, hash);
  if (!the_case.expectation) return hash;
  const auto& [status, because] = *the_case.expectation;
  hash = HashText(
      fmt::format("\nexpects {}: {}", status ? fmt::to_string(*status) : "a refusal", because),
      hash);
  return the_case.legal == nullptr ? hash : HashText("\nthen " + the_case.legal->Id(), hash);
}

std::string QuestionText(std::uint64_t question) { return fmt::format("0x{:016x}", question); }

/// The number that a shard draws for a case: the larger, the more it wants it. Exponentially
/// distributed, so that a weight makes it win in proportion.
double Draw(std::uint64_t key, std::uint64_t shard) {
  // Never 0 or 1, whose logarithms are useless.
  const double uniform = (RandomStream(key).Uniform(shard) + 0x1p-54) / (1 + 0x1p-53);
  return -1 / std::log(uniform);
}

}  // namespace

std::uint64_t HostBytesFor(const Case& the_case) {
  // These judge launches as they stand; others keep inputs and outputs of several launches, as much
  // as this many times all tensors.
  constexpr std::string_view kStreaming[] = {"contract", "accuracy", "memory", "throughput"};
  constexpr std::uint64_t kCopies = 3;
  const bool streams = std::ranges::all_of(the_case.checks, [&](const std::string& check) {
    return std::ranges::find(kStreaming, check) != std::end(kStreaming);
  });
  return streams ? HostBytes(the_case) : kCopies * StorageBytes(the_case);
}

Cost CostOf(const Case& the_case) {
  Cost cost;
  cost.device_bytes = StorageBytes(the_case);
  cost.host_bytes = HostBytesFor(the_case);
  // A call that is refused reads nothing.
  const std::uint64_t bytes = the_case.expectation ? 0 : cost.device_bytes;
  cost.seconds = SecondsOf("fill", bytes);
  for (const std::string& check : the_case.checks) cost.seconds += SecondsOf(check, bytes);
  return cost;
}

void ShareOut(std::uint64_t shards, std::vector<CaseShare>* cases) {
  constexpr double kRoom = 1.1;  // what a shard may hold, over its share
  double total = 0;
  for (const CaseShare& one : *cases) total += one.seconds;
  std::vector<double> room(shards, kRoom * total / static_cast<double>(shards));
  std::vector<bool> empty(shards, true);
  std::uint64_t empty_shards = shards;

  std::vector<std::size_t> order(cases->size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, [&](std::size_t a, std::size_t b) {
    const CaseShare &one = (*cases)[a], &other = (*cases)[b];
    const int one_class = std::ilogb(one.seconds), other_class = std::ilogb(other.seconds);
    return one_class != other_class ? one_class > other_class : one.key < other.key;
  });
  for (std::size_t done = 0; done < order.size(); ++done) {
    CaseShare& one = (*cases)[order[done]];
    const bool fill_empty = order.size() - done <= empty_shards;
    std::optional<std::size_t> winner;
    double best = 0;
    for (std::size_t shard = 0; shard < shards; ++shard) {
      if (fill_empty ? !empty[shard] : room[shard] < one.seconds) continue;
      const double drawn = Draw(one.key, shard) * std::max(room[shard], one.seconds);
      if (winner && drawn <= best) continue;
      winner = shard;
      best = drawn;
    }
    // Larger than anybody's room: where there is most.
    if (!winner) winner = static_cast<std::size_t>(std::ranges::max_element(room) - room.begin());
    room[*winner] -= one.seconds;
    if (empty[*winner]) --empty_shards;
    empty[*winner] = false;
    one.shard = *winner + 1;
  }
}

Plan MakePlan(std::span<const Case> cases, std::uint64_t shards) {
  if (shards > cases.size()) {
    throw Error("--shard: {} shards of {} cases: expected no more shards than cases", shards,
                cases.size());
  }
  Plan plan;
  std::vector<CaseShare> shares;
  plan.questions.reserve(cases.size());
  plan.costs.reserve(cases.size());
  for (const Case& the_case : cases) {
    plan.questions.push_back(QuestionOf(the_case));
    plan.costs.push_back(CostOf(the_case));
    if (shards > 1) shares.push_back({the_case.Hash(), plan.costs.back().seconds, 1});
  }
  if (shards > 1) ShareOut(shards, &shares);
  plan.shards.assign(cases.size(), 1);
  for (std::size_t i = 0; i < shares.size(); ++i) plan.shards[i] = shares[i].shard;
  std::vector<std::uint64_t> hashes;
  hashes.reserve(cases.size());
  for (const std::uint64_t question : plan.questions) {
    hashes.push_back(HashText(QuestionText(question)));
  }
  plan.hash = PlanHash(std::move(hashes));
  return plan;
}

PlannedCase Planned(const Case& the_case, std::uint64_t shard) {
  return {the_case.Id(), QuestionText(QuestionOf(the_case)), the_case.checks, shard};
}

}  // namespace normgrad
