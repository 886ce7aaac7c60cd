// SPDX-License-Identifier: Apache-2.0
#include "run/roofline.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cpu_device.h"
#include "report/json.h"
#include "tests/unit/sweep/temporary_folder.h"

namespace normgrad {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

/// An environment of two variables.
Environment Of(const char* cache, const char* home) {
  return [=](const char* name) { return std::string_view(name) == "HOME" ? home : cache; };
}

Roofline Sample() {
  return {.identity = "a machine",
          .measured_utc = "2026-11-28T12:00:00Z",
          .rounds = 9,
          .entries = {{.place = "memory", .motion = "streaming copy", .median_gb_per_s = 50}}};
}

void ExpectPositive(const RooflineEntry& entry) {
  EXPECT_GT(entry.q1_gb_per_s, 0);
  EXPECT_LE(entry.q1_gb_per_s, entry.median_gb_per_s);
  EXPECT_LE(entry.median_gb_per_s, entry.q3_gb_per_s);
  EXPECT_GT(entry.copy_fraction, 0);
  EXPECT_GT(entry.bytes_per_thread, 0U);
}

TEST(MeasureRoofline, HasEveryMotionWithOneAndAllThreads) {
  const Device& device = CpuDevice();
  device.SetThreads(3);
  const Roofline roofline = MeasureRoofline(device, QuickRoofline());
  EXPECT_EQ(device.threads(), 3U) << "as before";
  device.SetThreads(0);
  EXPECT_FALSE(roofline.copy_only);
  std::set<std::uint64_t> threads;
  std::set<std::tuple<std::uint64_t, std::string, std::string>> kinds;
  for (const RooflineEntry& entry : roofline.entries) {
    ExpectPositive(entry);
    threads.insert(entry.threads);
    kinds.emplace(entry.threads, entry.place, entry.motion);
  }
  EXPECT_TRUE(threads.contains(1));
  EXPECT_EQ(kinds.size(), threads.size() * 8);
  EXPECT_EQ(kinds.size(), roofline.entries.size());
}

TEST(MeasureRoofline, IsOfTheCopyAloneWhereTheLibraryCannotMove) {
  const DeviceLibrary library({NORMGRAD_DEVIATING_LIBRARY});
  const Device device(library, 0, /*timeout_seconds=*/60);
  const Roofline roofline = MeasureRoofline(device, QuickRoofline());
  EXPECT_TRUE(roofline.copy_only);
  ASSERT_EQ(roofline.entries.size(), 1U);
  ExpectPositive(roofline.entries.front());
  EXPECT_EQ(roofline.entries.front().motion, "copy");
}

TEST(RooflineIdentity, LeavesOutFoldersAndFreeMemory) {
  const std::vector<std::string> paths = {"/some/where/a.so", "b.so"};
  EXPECT_THAT(
      RooflineIdentity(paths, "SoC, acl 1.0.0, 2 GiB free of 4 GiB"),
      AllOf(HasSubstr("; a.so,b.so: SoC, acl 1.0.0, 4 GiB; threads 1"), Not(HasSubstr("where"))));
  EXPECT_THAT(RooflineIdentity(paths, "SoC"), HasSubstr(": SoC; threads"));
}

TEST(RooflineFile, LiesInTheUsersCache) {
  EXPECT_THAT(RooflineFile("a machine", Of("/cache", "/home/me"))->string(),
              AllOf(StartsWith("/cache/normgrad-bench/roofline-"), EndsWith(".json")));
  EXPECT_THAT(RooflineFile("a machine", Of("not/absolute", "/home/me"))->string(),
              StartsWith("/home/me/.cache/normgrad-bench/roofline-"));
  EXPECT_EQ(RooflineFile("a machine", Of(nullptr, nullptr)), std::nullopt);
  EXPECT_NE(RooflineFile("a machine", Of("/cache", "")),
            RooflineFile("another machine", Of("/cache", "")));
}

TEST(LoadRoofline, FindsWhatWasSaved) {
  const TemporaryFolder folder;
  const std::filesystem::path file = folder.Path("new/folder/roofline.json");
  EXPECT_EQ(LoadRoofline(file, "a machine"), std::nullopt);
  SaveRoofline(file, Sample());
  SaveRoofline(file, Sample());
  EXPECT_EQ(LoadRoofline(file, "a machine"), Sample());
  const std::filesystem::directory_iterator files(file.parent_path());
  EXPECT_EQ(std::distance(begin(files), end(files)), 1) << "no draft stays behind";
}

TEST(LoadRoofline, RefusesWhatIsNone) {
  const TemporaryFolder folder;
  const auto error_of = [&](const std::filesystem::path& file, std::string_view identity) {
    return folder.Relative(ErrorOf([&] { LoadRoofline(file, identity); }));
  };
  EXPECT_EQ(error_of(folder.Write("a.json", "{\"identity\""), "a machine"),
            "a.json: roofline: not JSON: expected one JSON object");
  EXPECT_EQ(error_of(folder.Write("large.json", std::string(kMaxRooflineBytes + 1, ' ')), ""),
            "large.json: more than 1048576 bytes: expected a roofline");
  SaveRoofline(folder.Path("b.json"), Sample());
  EXPECT_EQ(error_of(folder.Path("b.json"), "another"), "b.json: it is of a machine");
  std::filesystem::create_directory(folder.Path("c.json"));
  EXPECT_EQ(error_of(folder.Path("c.json"), "a machine"),
            "c.json: no regular file: expected a roofline");
}

TEST(SaveRoofline, SaysWhereItCannot) {
  const TemporaryFolder folder;
  folder.Write("file", "");
  const std::string error = ErrorOf([&] { SaveRoofline(folder.Path("file/a.json"), Sample()); });
  EXPECT_THAT(error, HasSubstr("file/a.json: cannot be written: name a folder"));
}

TEST(FindRoofline, SaysALineWhateverIsKept) {
  const TemporaryFolder folder;
  const std::string cache = folder.Path("");
  const Environment environment = Of(cache.c_str(), nullptr);
  EXPECT_EQ(FindRoofline("a machine", environment).line, "not measured: normgrad-bench roofline");
  const auto file = *RooflineFile("a machine", environment);
  SaveRoofline(file, Sample());
  EXPECT_EQ(FindRoofline("a machine", environment).line, "copy 50.0 GB/s, measured 2026-11-28");
  std::ofstream(file) << "{";
  EXPECT_EQ(FindRoofline("a machine", environment).line, "not readable: normgrad-bench roofline");
  EXPECT_EQ(FindRoofline("a machine", Of(nullptr, nullptr)).line,
            "not measured: normgrad-bench roofline");
}

}  // namespace
}  // namespace normgrad
