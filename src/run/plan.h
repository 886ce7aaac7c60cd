// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "report/journal.h"
#include "sweep/case.h"

namespace normgrad {

/// The most host memory that the checks of a case need at a time.
std::uint64_t HostBytesFor(const Case& the_case);

/// What answering a case is estimated to take.
struct Cost {
  std::uint64_t device_bytes = 0;  // of its tensors' storage
  std::uint64_t host_bytes = 0;    // HostBytesFor() it
  double seconds = 0;              // see CostOf()
};

/// The model: filling, and each check asked, takes a start and a time per byte of tensors.
///
/// Source of the numbers: medians and slopes of cases/rms.yaml, cases/group.yaml and
/// cases/suites/ci.yaml, and of tensors of 0.5 KiB to 192 MiB with every check, on the CPU device
/// with 2 cores of an AMD EPYC (Zen 5). Elsewhere sums are off by a factor, which does not matter
/// to shards: they share out by ratio.
Cost CostOf(const Case& the_case);

/// Every question that must be answered: one entry per case, in the order of the sweep.
struct Plan {
  std::vector<std::uint64_t> questions;  // hashes of what PlannedCase::question says
  std::vector<Cost> costs;
  std::vector<std::uint64_t> shards;  // which one answers it, from 1
  std::string hash;                   // PlanHash()
};

/// Plans `cases` for that many shards. Throws Error when there are more shards than cases, of which
/// some would be left with nothing to answer.
Plan MakePlan(std::span<const Case> cases, std::uint64_t shards);

/// How the journal knows `the_case`, which `shard` answers.
PlannedCase Planned(const Case& the_case, std::uint64_t shard);

/// A case as the sharing out sees it.
struct CaseShare {
  std::uint64_t key = 0;    // its hash
  double seconds = 0;       // estimated
  std::uint64_t shard = 0;  // the answer
};

/// Shares cases out over shards 1 to `shards`, none of which is left without one.
///
/// From expensive to cheap, in classes of a factor of two and by hash within one, each case goes to
/// the shard that wins a weighted rendezvous: each shard draws a number from the case's hash and
/// its own, weighted by the room it has left, and only shards with room for the case take part. A
/// shard has room for a tenth more than its share. So every process comes to the same answer
/// alone, cheap cases fill the holes that expensive ones leave, and a case stays with its shard
/// while the weights change little: adding cases moves few others.
/// Source of the rendezvous: Thaler and Ravishankar, "Using name-based mappings to increase hit
/// rates", 1998; weights as -weight / log(uniform): Schindelhauer and Schomaker, "Weighted
/// distributed hash tables", 2005.
void ShareOut(std::uint64_t shards, std::vector<CaseShare>* cases);

}  // namespace normgrad
