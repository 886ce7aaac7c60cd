// SPDX-License-Identifier: Apache-2.0
#include "report/roofline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "report/json.h"

namespace normgrad {
namespace {

using testing::HasSubstr;
using testing::Not;

RooflineEntry Entry(std::uint64_t threads, std::string place, std::string motion, double median) {
  return {.threads = threads,
          .place = std::move(place),
          .bytes_per_thread = 16384,
          .motion = std::move(motion),
          .median_gb_per_s = median,
          .q1_gb_per_s = median - 1,
          .q3_gb_per_s = median + 1,
          .copy_fraction = 0.5};
}

Roofline Sample() {
  return {.identity = "a host; a.so: a device; threads 1, 2",
          .measured_utc = "2026-11-28T12:00:00Z",
          .rounds = 9,
          .entries = {Entry(1, "memory", "streaming copy", 30), Entry(1, "memory", "read", 20),
                      Entry(2, "memory", "streaming copy", 59.14), Entry(2, "memory", "copy", 40),
                      Entry(2, "memory", "read", 48.9), Entry(2, "memory", "streaming triad", 58.7),
                      Entry(2, "L1", "read", 480)}};
}

std::string ErrorOf(std::string_view json) {
  try {
    RooflineFromJson(json);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Roofline, ReadsBackFromJson) {
  const Roofline roofline = Sample();
  EXPECT_EQ(RooflineFromJson(RooflineToJson(roofline)), roofline);
}

TEST(Roofline, IsRefusedInWords) {
  EXPECT_EQ(ErrorOf("{\"identity\":"), "roofline: not JSON: expected one JSON object");
  EXPECT_EQ(ErrorOf("{}"), "roofline has no 'identity'");
  EXPECT_EQ(ErrorOf("[]"), "roofline is a list: expected an object");
  EXPECT_EQ(ErrorOf(std::string(kMaxRooflineBytes + 1, ' ')),
            "roofline: 1048577 bytes: expected at most 1048576");
}

TEST(Roofline, IsOneLineFromMemoryWithTheMostThreads) {
  EXPECT_EQ(RooflineLine(Sample()),
            "copy 59.1 GB/s, read 48.9, triad 58.7 with 2 threads, measured 2026-11-28");
  EXPECT_EQ(RooflineLine({}), "");
  EXPECT_EQ(RooflineRate(Sample()), 58.7);
  EXPECT_EQ(RooflineRate({}), 0);
  Roofline quick = Sample();
  quick.quick = true;
  EXPECT_EQ(RooflineRate(quick), 0);
}

TEST(Roofline, OfACopyAloneSaysNoThreads) {
  const Roofline roofline = {.measured_utc = "2026-11-28T12:00:00Z",
                             .copy_only = true,
                             .entries = {Entry(0, "memory", "copy", 88)}};
  EXPECT_EQ(RooflineLine(roofline), "copy 88.0 GB/s, measured 2026-11-28");
  EXPECT_EQ(RooflineRate(roofline), 88);
  EXPECT_THAT(RooflineText(roofline), HasSubstr("no other motion"));
  EXPECT_THAT(RooflineText(Sample()), Not(HasSubstr("no other motion")));
}

TEST(Roofline, TellsCoresThatWereBusy) {
  Roofline roofline = Sample();
  EXPECT_EQ(WhyCoresWereBusy(roofline), "") << "nothing to compare with";
  roofline.entries.insert(roofline.entries.begin(), Entry(1, "L1", "read", 250));
  EXPECT_EQ(WhyCoresWereBusy(roofline), "");
  roofline.entries.back() = Entry(2, "L1", "read", 260);
  EXPECT_EQ(WhyCoresWereBusy(roofline),
            "cores were busy: 2 threads read 1.04 times what one reads from its first-level cache");
}

TEST(Roofline, IsATableOfEveryEntry) {
  const std::string text = RooflineText(Sample());
  EXPECT_THAT(text, HasSubstr("      2  L1            16 KiB  read               480.0   479.0"
                              "   481.0    0.50\n"));
  EXPECT_THAT(text, HasSubstr("measured  2026-11-28T12:00:00Z in 9 rounds\n"));
}

TEST(Roofline, ObeysNoControlsOfAFile) {
  Roofline roofline = Sample();
  roofline.identity = roofline.measured_utc = "\x1b[2J";
  roofline.entries[0].place = roofline.entries[0].motion = "\x1b[2J";
  EXPECT_THAT(RooflineText(roofline) + RooflineLine(roofline), Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace normgrad
