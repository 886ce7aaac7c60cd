// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace normgrad {

/// How fast one motion of memory is with so many threads, over the rounds of a measurement. Bytes
/// count as read and as written; what the hardware reads so that it can write does not count.
struct RooflineEntry {
  std::uint64_t threads = 0;           // 0: as many as the device chooses
  std::string place{};                 // where the data are: "memory", "L1", "L2"
  std::uint64_t bytes_per_thread = 0;  // of all arrays; with 0 threads: of the device
  std::string motion{};                // "read", "copy", "streaming copy", "streaming triad"
  double median_gb_per_s = 0;
  double q1_gb_per_s = 0;
  double q3_gb_per_s = 0;
  double copy_fraction = 0;  // median of the share of the copy of the same round and threads

  bool operator==(const RooflineEntry&) const = default;
};

/// What memory and caches of a machine can do at best.
struct Roofline {
  std::string identity{};      // of machine and device library: see RooflineIdentity()
  std::string measured_utc{};  // "2026-11-20T16:19:00Z"
  std::uint64_t rounds = 0;
  bool quick = false;      // measured in no time, for tests: the numbers say little
  bool copy_only = false;  // the library offers its device-to-device copy and no other motion
  std::vector<RooflineEntry> entries{};

  bool operator==(const Roofline&) const = default;
};

/// Why a measurement says little about the machine: threads that have cores to themselves read from
/// their own first-level caches as fast as one alone does. Empty if they did.
std::string WhyCoresWereBusy(const Roofline& roofline);

/// The roofline as a table. Safe for a terminal whatever a file made it say.
std::string RooflineText(const Roofline& roofline);

/// What a report says of it, from memory with the most threads: "copy 59.1 GB/s, read 48.9, triad
/// 58.7 with 2 threads, measured 2026-11-28".
std::string RooflineLine(const Roofline& roofline);

/// What a kernel that reads two tensors and writes one can reach, in GB/s: the triad past the
/// caches with the most threads, or the copy where that is all there is. 0 if it was measured too
/// quickly.
double RooflineRate(const Roofline& roofline);

}  // namespace normgrad
