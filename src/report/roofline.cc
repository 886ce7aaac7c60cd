// SPDX-License-Identifier: Apache-2.0
#include "report/roofline.h"

#include <string_view>

#include <fmt/format.h>

#include "base/text.h"
#include "report/counted.h"
#include "report/escape.h"

namespace normgrad {
namespace {

constexpr std::string_view kMemory = "memory";

std::string ThreadsText(std::uint64_t threads) {
  return threads == 0 ? "all" : fmt::to_string(threads);
}

std::string Row(const RooflineEntry& entry) {
  return fmt::format("{:>7}  {:<7} {:>12}  {:<16}{:>8.1f}{:>8.1f}{:>8.1f}{:>8.2f}\n",
                     ThreadsText(entry.threads), OneLine(entry.place),
                     HumanBytes(static_cast<double>(entry.bytes_per_thread)), OneLine(entry.motion),
                     entry.median_gb_per_s, entry.q1_gb_per_s, entry.q3_gb_per_s,
                     entry.copy_fraction);
}

/// In memory with the most threads; null if there is none.
const RooflineEntry* Find(const Roofline& roofline, std::string_view motion) {
  const RooflineEntry* found = nullptr;
  for (const RooflineEntry& entry : roofline.entries) {
    if (entry.place != kMemory || entry.motion != motion) continue;
    if (found == nullptr || entry.threads > found->threads) found = &entry;
  }
  return found;
}

}  // namespace

std::string WhyCoresWereBusy(const Roofline& roofline) {
  constexpr double kLeast = 0.75;
  const RooflineEntry* alone = nullptr;
  for (const RooflineEntry& entry : roofline.entries) {
    if (entry.place != "L1" || entry.motion != "read") continue;
    if (entry.threads == 1) alone = &entry;
    if (alone == nullptr) continue;
    const double share = entry.median_gb_per_s / static_cast<double>(entry.threads);
    if (share >= kLeast * alone->median_gb_per_s) continue;
    return fmt::format(
        "cores were busy: {} threads read {:.2f} times what one reads from its first-level cache",
        entry.threads, entry.median_gb_per_s / alone->median_gb_per_s);
  }
  return "";
}

std::string RooflineText(const Roofline& roofline) {
  std::string text =
      fmt::format("machine   {}\nmeasured  {} in {}{}\n\n", OneLine(roofline.identity),
                  OneLine(roofline.measured_utc), Counted(roofline.rounds, "round"),
                  roofline.quick ? ", too quickly to say much" : "");
  if (roofline.copy_only) {
    text += "This device library offers its device-to-device copy and no other motion.\n\n";
  }
  text += fmt::format("{:>7}  {:<7} {:>12}  {:<16}{:>8}{:>8}{:>8}{:>8}\n", "threads", "place",
                      "per thread", "motion", "GB/s", "q1", "q3", "of copy");
  std::uint64_t threads = 0;
  for (const RooflineEntry& entry : roofline.entries) {
    if (entry.threads != threads && &entry != roofline.entries.data()) text += '\n';
    threads = entry.threads;
    text += Row(entry);
  }
  return text +
         "\nGB/s of bytes read and written, medians and quartiles over the rounds; of copy: the "
         "share of\nthe copy past the caches in the same round, with as many threads.\n";
}

std::string RooflineLine(const Roofline& roofline) {
  const RooflineEntry* copy = Find(roofline, roofline.copy_only ? "copy" : "streaming copy");
  if (copy == nullptr) return "";
  std::string text = fmt::format("copy {:.1f} GB/s", copy->median_gb_per_s);
  if (const RooflineEntry* read = Find(roofline, "read")) {
    text += fmt::format(", read {:.1f}", read->median_gb_per_s);
  }
  if (const RooflineEntry* triad = Find(roofline, "streaming triad")) {
    text += fmt::format(", triad {:.1f}", triad->median_gb_per_s);
  }
  if (copy->threads > 0) text += " with " + Counted(copy->threads, "thread");
  constexpr std::size_t kDate = 10;  // characters of "2026-11-28"
  return text + fmt::format(", measured {}{}", OneLine(roofline.measured_utc.substr(0, kDate)),
                            roofline.quick ? " too quickly to say much" : "");
}

double RooflineRate(const Roofline& roofline) {
  const RooflineEntry* best = Find(roofline, roofline.copy_only ? "copy" : "streaming triad");
  return best == nullptr || roofline.quick ? 0 : best->median_gb_per_s;
}

}  // namespace normgrad
