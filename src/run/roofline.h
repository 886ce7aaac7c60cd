// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "device/device.h"
#include "report/roofline.h"
#include "run/shard.h"

namespace normgrad {

/// How long to measure, and with how much memory.
struct RooflineOptions {
  std::uint64_t rounds = 9;          // the quartiles are taken over these
  double seconds_per_motion = 0.01;  // at least, in each round
  std::size_t memory_bytes = 0;      // 0: four times the last cache, and at least 256 MiB
};

/// Over in no time and in a few MiB, for tests: the numbers say little.
RooflineOptions QuickRoofline();

/// What a roofline holds for: the host, the device library's files, without their folders, and what
/// it says of itself (Device::Description()) without how much memory is free, and the numbers of
/// threads that are measured.
std::string RooflineIdentity(std::span<const std::string> library_paths,
                             std::string_view device_description);

/// How fast `device` moves memory with 1, 2, 4, … and all threads: beyond the caches, in the first-
/// and in the second-level cache of each. Every motion has its turn in every round, so that a
/// machine that changes its speed does so for all of them. On a library that cannot move, its
/// device-to-device copy alone. The device has as many threads as before afterwards. Leaves
/// identity and time to the caller. Throws DeviceError when the library refuses, StartError when
/// its clock stands still.
Roofline MeasureRoofline(const Device& device, const RooflineOptions& options);

/// Where the roofline of that identity is kept: a file in normgrad-bench/ of XDG_CACHE_HOME, or of
/// ~/.cache. Empty where the environment names neither.
std::optional<std::filesystem::path> RooflineFile(std::string_view identity,
                                                  const Environment& environment);

/// The roofline that `file` keeps; empty where there is no such file. Throws Error when it cannot
/// be read, holds something else, or the roofline of another identity.
std::optional<Roofline> LoadRoofline(const std::filesystem::path& file, std::string_view identity);

/// Keeps a roofline in `file`, which is whole at any time, and makes the folders it is in. Throws
/// Error when that cannot be.
void SaveRoofline(const std::filesystem::path& file, const Roofline& roofline);

/// RooflineLine() and RooflineRate() of what is kept of that identity; "not measured:
/// normgrad-bench roofline" and 0 if nothing usable is.
struct KnownRoofline {
  std::string line{};
  double gb_per_s = 0;
};
KnownRoofline FindRoofline(std::string_view identity, const Environment& environment);

}  // namespace normgrad
