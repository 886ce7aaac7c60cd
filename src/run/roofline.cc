// SPDX-License-Identifier: Apache-2.0
#include "run/roofline.h"

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <functional>
#include <iterator>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include "base/error.h"
#include "base/random.h"
#include "report/json.h"
#include "run/host.h"
#include "run/pulse.h"
#include "run/timing.h"

namespace normgrad {
namespace {

/// As check `throughput` has it, whose copy this one is measured for.
constexpr std::size_t kCacheMultiple = 4;
constexpr std::size_t kUnknownCacheBytes = std::size_t{128} << 20;
constexpr std::size_t kLeastMemoryBytes = std::size_t{256} << 20;

/// What a thread works on in its caches, two arrays of a copy together. Fits those of every x86-64
/// and Arm server core, whose smallest hold 32 and 256 KiB.
constexpr std::size_t kFirstLevelBytes = std::size_t{16} << 10;
constexpr std::size_t kSecondLevelBytes = std::size_t{192} << 10;

constexpr std::size_t kLine = 64;  // of every cache; also room for the sum that a read writes

struct MotionKind {
  normgradMotion motion;
  const char* name;
  unsigned arrays;  // read and written
};
constexpr MotionKind kRead = {NORMGRAD_READ, "read", 1};
constexpr MotionKind kCopy = {NORMGRAD_COPY, "copy", 2};
constexpr MotionKind kStreamingCopy = {NORMGRAD_STREAMING_COPY, "streaming copy", 2};
constexpr MotionKind kStreamingTriad = {NORMGRAD_STREAMING_TRIAD, "streaming triad", 3};

/// One motion in one place with one number of threads.
struct Trial {
  RooflineEntry entry{};
  double bytes_moved = 0;  // each time
  std::function<double(std::uint32_t times)>
      seconds{};                   // moves so often, and says how long it took
  std::uint32_t times = 1;         // … in every round
  std::vector<double> gb_per_s{};  // of every round
};

/// 1, 2, 4, … and all.
std::vector<unsigned> ThreadCounts() {
  std::vector<unsigned> counts;
  for (unsigned threads = 1; threads < UsableCores(); threads *= 2) counts.push_back(threads);
  counts.push_back(UsableCores());
  return counts;
}

/// Memory that the device's caches cannot hold, if there is so much.
std::size_t MemoryBytes(const Device& device, const RooflineOptions& options) {
  if (options.memory_bytes > 0) return options.memory_bytes;
  const std::size_t cache_bytes = device.CacheBytes();
  const std::size_t wanted = std::max(
      kLeastMemoryBytes, kCacheMultiple * (cache_bytes > 0 ? cache_bytes : kUnknownCacheBytes));
  return std::min(wanted, device.FreeBytes() / 4);
}

/// Moves arrays that are `bytes` large together and lie in `memory` one behind the other.
Trial MakeTrial(const Device& device, std::byte* memory, const MotionKind& kind, const char* place,
                unsigned threads, std::size_t bytes) {
  const std::size_t array_bytes = bytes / kind.arrays / kLine * kLine;
  const bool writes = kind.motion != NORMGRAD_READ;
  std::byte* const a = memory + (writes ? array_bytes : kLine);
  Trial trial;
  trial.entry.threads = threads;
  trial.entry.place = place;
  trial.entry.bytes_per_thread = array_bytes * kind.arrays / threads;
  trial.entry.motion = kind.name;
  trial.bytes_moved = static_cast<double>(array_bytes * kind.arrays);
  trial.seconds = [&device, motion = kind.motion, memory, a, array_bytes](std::uint32_t times) {
    const double start = MonotonicSeconds();
    device.Move(motion, memory, a, a + array_bytes, array_bytes, times);
    return MonotonicSeconds() - start;
  };
  return trial;
}

/// Every motion with so many threads; the copy that is the measure of the others comes first.
std::vector<Trial> TrialsOf(const Device& device, std::byte* memory, std::size_t memory_bytes,
                            unsigned threads) {
  std::vector<Trial> trials;
  const auto add = [&](const MotionKind& kind, const char* place, std::size_t bytes) {
    trials.push_back(MakeTrial(device, memory, kind, place, threads, bytes));
  };
  for (const MotionKind& kind : {kStreamingCopy, kCopy, kRead, kStreamingTriad}) {
    add(kind, "memory", memory_bytes);
  }
  for (const MotionKind& kind : {kCopy, kRead}) add(kind, "L2", threads * kSecondLevelBytes);
  for (const MotionKind& kind : {kCopy, kRead}) add(kind, "L1", threads * kFirstLevelBytes);
  return trials;
}

/// The device's own copy from one half of `memory` to the other.
Trial CopyOf(const Device& device, std::byte* memory, std::size_t memory_bytes) {
  const std::size_t bytes = memory_bytes / 2 / kLine * kLine;
  Trial trial;
  trial.entry.place = "memory";
  trial.entry.bytes_per_thread = 2 * bytes;
  trial.entry.motion = "copy";
  trial.bytes_moved = 2 * static_cast<double>(bytes);
  trial.seconds = [&device, memory, bytes](std::uint32_t times) {
    return device.TimeSeconds([&] {
      for (std::uint32_t i = 0; i < times; ++i) {
        device.CopyOnDevice(memory, memory + bytes, bytes);
      }
    });
  };
  return trial;
}

/// Doubles how often a round moves until that takes so long.
void Calibrate(Trial* trial, double seconds) {
  constexpr std::uint32_t kMostTimes = std::uint32_t{1} << 24;
  while (trial->seconds(trial->times) < seconds && trial->times < kMostTimes) trial->times *= 2;
}

double GbPerS(const Trial& trial) {
  const double seconds = trial.seconds(trial.times);
  if (seconds > 0) return trial.bytes_moved * trial.times / seconds * 1e-9;
  throw StartError(fmt::format("{}: the clock reports no time above 0", trial.entry.motion));
}

/// Measures `trials` in rounds. The first is the copy that the others are held against.
std::vector<RooflineEntry> Measure(std::vector<Trial> trials, const RooflineOptions& options) {
  for (Trial& trial : trials) Calibrate(&trial, options.seconds_per_motion);
  for (std::uint64_t round = 0; round < options.rounds; ++round) {
    for (Trial& trial : trials) trial.gb_per_s.push_back(GbPerS(trial));
  }
  const std::vector<double>& copy = trials.front().gb_per_s;
  std::vector<RooflineEntry> entries;
  for (Trial& trial : trials) {
    std::vector<double> fractions;
    std::ranges::transform(trial.gb_per_s, copy, std::back_inserter(fractions), std::divides());
    RooflineEntry& entry = entries.emplace_back(std::move(trial.entry));
    entry.median_gb_per_s = Quantile(trial.gb_per_s, 0.5);
    entry.q1_gb_per_s = Quantile(trial.gb_per_s, 0.25);
    entry.q3_gb_per_s = Quantile(trial.gb_per_s, 0.75);
    entry.copy_fraction = Quantile(std::move(fractions), 0.5);
  }
  return entries;
}

/// `description` without "21.4 GiB free of ".
std::string WithoutFreeMemory(std::string_view description) {
  constexpr std::string_view kFreeOf = " free of ";
  std::string text(description);
  const std::size_t end = text.find(kFreeOf);
  if (end == std::string::npos) return text;
  const std::size_t comma = text.rfind(", ", end);
  const std::size_t begin = comma == std::string::npos ? 0 : comma + 2;
  return text.erase(begin, end + kFreeOf.size() - begin);
}

}  // namespace

RooflineOptions QuickRoofline() {
  return {.rounds = 3, .seconds_per_motion = 0, .memory_bytes = std::size_t{3} << 20};
}

std::string RooflineIdentity(std::span<const std::string> library_paths,
                             std::string_view device_description) {
  std::vector<std::string> names;
  for (const std::string& path : library_paths) {
    names.push_back(std::filesystem::path(path).filename().string());
  }
  return fmt::format("{}; {}: {}; threads {}", HostDescription(), fmt::join(names, ","),
                     WithoutFreeMemory(device_description), fmt::join(ThreadCounts(), ", "));
}

Roofline MeasureRoofline(const Device& device, const RooflineOptions& options) {
  Roofline roofline;
  roofline.rounds = options.rounds;
  roofline.copy_only = !device.CanMove();
  const std::size_t memory_bytes = MemoryBytes(device, options);
  const std::size_t cached_bytes = UsableCores() * kSecondLevelBytes;
  const DeviceMemory memory = device.AllocateFilled(std::max(memory_bytes, cached_bytes) + kLine);
  if (roofline.copy_only) {
    roofline.entries = Measure({CopyOf(device, memory.address(), memory_bytes)}, options);
    return roofline;
  }
  const unsigned threads_before = device.threads();
  for (const unsigned threads : ThreadCounts()) {
    device.SetThreads(threads);
    std::ranges::move(Measure(TrialsOf(device, memory.address(), memory_bytes, threads), options),
                      std::back_inserter(roofline.entries));
  }
  device.SetThreads(threads_before);
  return roofline;
}

std::optional<std::filesystem::path> RooflineFile(std::string_view identity,
                                                  const Environment& environment) {
  // Source: XDG Base Directory Specification 0.8, which has relative paths ignored.
  const auto folder = [&](const char* name) {
    const char* const value = environment(name);
    const std::filesystem::path path = value != nullptr ? value : "";
    return path.is_absolute() ? path : std::filesystem::path();
  };
  std::filesystem::path cache = folder("XDG_CACHE_HOME");
  if (cache.empty()) {
    cache = folder("HOME");
    if (cache.empty()) return std::nullopt;
    cache /= ".cache";
  }
  return cache / "normgrad-bench" / fmt::format("roofline-{:016x}.json", HashText(identity));
}

std::optional<Roofline> LoadRoofline(const std::filesystem::path& file, std::string_view identity) {
  std::error_code error;
  const auto status = std::filesystem::status(file, error);
  if (status.type() == std::filesystem::file_type::not_found) return std::nullopt;
  if (!std::filesystem::is_regular_file(status)) {
    throw Error("{}: no regular file: expected a roofline", file.string());
  }
  if (std::filesystem::file_size(file, error) > kMaxRooflineBytes) {
    throw Error("{}: more than {} bytes: expected a roofline", file.string(), kMaxRooflineBytes);
  }
  std::ifstream stream(file, std::ios::binary);
  const std::string text(std::istreambuf_iterator<char>(stream), {});
  if (!stream) throw Error("{}: cannot be read", file.string());
  try {
    Roofline roofline = RooflineFromJson(text);
    if (roofline.identity != identity) throw Error("it is of {}", roofline.identity);
    return roofline;
  } catch (const Error& what) {
    throw Error("{}: {}", file.string(), what.what());
  }
}

void SaveRoofline(const std::filesystem::path& file, const Roofline& roofline) {
  std::error_code error;
  std::filesystem::create_directories(file.parent_path(), error);
  std::filesystem::path draft = file;
  draft += fmt::format(".{}", ::getpid());
  std::ofstream stream(draft, std::ios::binary);
  stream << RooflineToJson(roofline);
  stream.close();
  if (stream) std::filesystem::rename(draft, file, error);
  if (stream && !error) return;
  std::filesystem::remove(draft, error);
  throw Error("{}: cannot be written: name a folder that can in XDG_CACHE_HOME", file.string());
}

KnownRoofline FindRoofline(std::string_view identity, const Environment& environment) try {
  const auto file = RooflineFile(identity, environment);
  const auto known = file ? LoadRoofline(*file, identity) : std::nullopt;
  if (!known) return {"not measured: normgrad-bench roofline"};
  return {RooflineLine(*known), RooflineRate(*known)};
} catch (const Error&) {
  return {"not readable: normgrad-bench roofline"};
}

}  // namespace normgrad
