// SPDX-License-Identifier: Apache-2.0
// How fast is phase 2, with data from memory and from cache, against the device's own copy? And did
// the launches that were timed compute what the others do?
#include <algorithm>
#include <deque>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/text.h"
#include "checks/check.h"

namespace normgrad {
namespace {

/// Cold launches rotate over this many times the last cache in front of memory, or, where the
/// device does not tell its size, over more than any known one (256 MiB on AMD MI300X).
constexpr std::uint64_t kCacheMultiple = 4;
constexpr std::uint64_t kUnknownCacheColdBytes = std::uint64_t{512} << 20;
/// Sets of buffers to rotate over; small cases stay in a cache however they are rotated.
constexpr std::size_t kMaxSets = 8192;
constexpr int kCopyLaunches = 9;
/// Sets of the rotation whose outputs are looked at.
constexpr std::size_t kVerifiedSets = 8;
/// Spread above which a reader should doubt the median.
constexpr double kNoisy = 0.25;

/// The clock that times are taken from does not run; a verdict about the device, not about us.
struct StoppedClock {};

double Median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

/// Bytes moved (read + written) per second by a device-to-device copy far beyond the caches.
double CopyBytesPerSecond(const Device& device, std::size_t bytes) {
  const DeviceMemory from = device.AllocateFilled(bytes), to = device.AllocateFilled(bytes);
  std::vector<double> seconds;
  seconds.reserve(kCopyLaunches);
  for (int i = 0; i < kCopyLaunches; ++i) {
    seconds.push_back(
        device.TimeSeconds([&] { device.CopyOnDevice(to.address(), from.address(), bytes); }));
  }
  return 2.0 * static_cast<double>(bytes) / Median(std::move(seconds));
}

/// What is wrong with the outputs of a timed launch, beside those of one that was not: other bits
/// where the document promises equal ones, or numbers outside the bound; empty if nothing is.
std::string WhatIsWrong(const CaseRun& run, const CheckOptions& options,
                        const DenseTensors& expected, const DenseTensors& outputs) {
  std::string difference = FirstDifference(run.the_case(), expected, outputs, "a timed run");
  if (difference.empty()) return "";
  if (SupportOn(run.op(), run.the_case().product).deterministic == Promise::kAlways) {
    return difference;
  }
  const Answer judged = JudgeOutputs(run, options, outputs, kFloat32Roundoff);
  if (judged.outcome != Outcome::kFailed) return "";
  return fmt::format("{}; {}", difference, judged.reason);
}

/// Whether the sets hold what they should after the timed launches, and `run` also after one more
/// into poisoned outputs: a launch that does nothing leaves the results of the one before it.
Answer Verify(const std::vector<CaseRun*>& rotation, const CheckOptions& options,
              const DenseTensors& expected) {
  for (std::size_t i = 0; i < std::min(rotation.size(), kVerifiedSets); ++i) {
    const CaseRun& set = *rotation[i];
    std::string wrong = WhatIsWrong(set, options, expected, set.Outputs());
    if (!wrong.empty()) return {Outcome::kFailed, std::move(wrong)};
    const std::vector<std::string> damage = set.Damage();
    if (!damage.empty()) return {Outcome::kFailed, "timed launches: " + damage.front()};
  }
  CaseRun& run = *rotation.front();
  run.Reset(Poison::kSecond);
  run.LaunchTimed();
  std::string wrong = WhatIsWrong(run, options, expected, run.Outputs());
  if (!wrong.empty()) return {Outcome::kFailed, "the launch behind the timed ones: " + wrong};
  return {};
}

}  // namespace

Answer CheckThroughput(CaseRun& run, const CheckOptions& options, Result* result) try {
  if (run.compulsory_bytes() == 0) return Skipped(SkipReason::kNoElements, "no elements to time");
  run.Launch(Poison::kFirst, /*deterministic=*/false);
  const DenseTensors expected = run.Outputs();
  ThroughputResult throughput;
  throughput.compulsory_bytes = run.compulsory_bytes();

  const std::uint64_t cache_bytes = run.device().CacheBytes();
  const std::uint64_t cold_bytes = options.cold_bytes > 0 ? options.cold_bytes
                                   : cache_bytes > 0      ? kCacheMultiple * cache_bytes
                                                          : kUnknownCacheColdBytes;
  const std::uint64_t set_bytes = std::max<std::uint64_t>(run.tensor_bytes(), 1);
  // A quarter: on a CPU device the host's images of the buffers come out of the same memory.
  const std::size_t room = run.device().FreeBytes() / 4 / set_bytes;
  const std::size_t wanted = (cold_bytes + set_bytes - 1) / set_bytes;
  const std::size_t sets = std::max<std::size_t>(std::min({wanted, room, kMaxSets}), 2);
  std::deque<CaseRun> extra;
  std::vector<CaseRun*> rotation = {&run};
  while (rotation.size() < sets) {
    rotation.push_back(&extra.emplace_back(run.the_case(), run.device(), run.inputs()));
  }
  // Whatever a first use costs (the workspace above all) is none of the kernel's time.
  for (CaseRun* set : rotation) set->LaunchTimed();

  std::vector<double> phase_one_seconds;
  const auto time = [&](std::string mode, std::size_t rotate_over) {
    std::size_t next = 0;
    TimingResult timing = options.timer(fmt::format("{}/{}", run.the_case().Id(), mode), [&] {
      const CaseRun::Times times = rotation[next++ % rotate_over]->LaunchTimed();
      if (!(times.kernel_seconds > 0)) throw StoppedClock();
      phase_one_seconds.push_back(times.phase_one_seconds);
      return times.kernel_seconds;
    });
    timing.mode = std::move(mode);
    timing.rotated_bytes = rotate_over * set_bytes;
    if (timing.median_seconds > 0) {
      timing.gb_per_s =
          static_cast<double>(throughput.compulsory_bytes) / timing.median_seconds * 1e-9;
    }
    throughput.timings.push_back(std::move(timing));
  };
  // The copy is measured on both sides of the kernel, so that the machine's drift shows in neither.
  const double copy_before = CopyBytesPerSecond(run.device(), cold_bytes);
  time("cold", sets);
  const double copy_after = CopyBytesPerSecond(run.device(), cold_bytes);
  time("hot", 1);

  throughput.copy_gb_per_s = (copy_before + copy_after) / 2 * 1e-9;
  throughput.phase_one_seconds = Median(std::move(phase_one_seconds));
  for (TimingResult& timing : throughput.timings) {
    if (throughput.copy_gb_per_s > 0) {
      timing.copy_fraction = timing.gb_per_s / throughput.copy_gb_per_s;
    }
  }
  std::vector<std::string> doubts;
  const TimingResult& cold = throughput.timings.front();
  if (cold.rotated_bytes < cold_bytes) {
    doubts.push_back(fmt::format("cold rotates over only {}: a cache may hold some of it",
                                 HumanBytes(static_cast<double>(cold.rotated_bytes))));
  }
  if (cold.spread > kNoisy) {
    doubts.push_back(fmt::format("noisy: the middle half of the cold times spreads over {:.0f} %",
                                 100 * cold.spread));
  }
  result->throughput = std::move(throughput);
  if (Answer verdict = Verify(rotation, options, expected); verdict.outcome != Outcome::kPassed) {
    return verdict;
  }
  return {Outcome::kPassed, fmt::format("{}", fmt::join(doubts, "; "))};
} catch (const StoppedClock&) {
  return {Outcome::kError, "the device's events report no time above 0 for a launch"};
}

}  // namespace normgrad
