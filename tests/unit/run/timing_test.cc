// SPDX-License-Identifier: Apache-2.0
#include "run/timing.h"

#include <stdexcept>

#include <gtest/gtest.h>

namespace normgrad {
namespace {

TEST(MeasureRepeated, ReportsTheTimeOfALaunch) {
  const TimingResult timing = MeasureRepeated({.seconds_per_repetition = 0.01, .repetitions = 3},
                                              "constant", [] { return 0.004; });
  EXPECT_NEAR(timing.median_seconds, 0.004, 1e-9);
  EXPECT_NEAR(timing.q1_seconds, 0.004, 1e-9);
  EXPECT_NEAR(timing.q3_seconds, 0.004, 1e-9);
  EXPECT_NEAR(timing.spread, 0, 1e-6);
  EXPECT_EQ(timing.samples, 3U);
  EXPECT_GE(timing.launches, 9U) << "each repetition lasts at least what was asked for";
}

TEST(MeasureRepeated, TakesQuartilesOverRepetitions) {
  // One launch fills a repetition, and the first of all is not counted, so the repetitions see
  // 2, 3, 4, 5 and 6 seconds.
  int launches = 0;
  const TimingResult timing =
      MeasureRepeated({.seconds_per_repetition = 0.5, .repetitions = 5}, "ramp",
                      [&] { return static_cast<double>(++launches); });
  EXPECT_EQ(timing.samples, 5U);
  EXPECT_EQ(launches, 6);
  EXPECT_NEAR(timing.q1_seconds, 3, 1e-9);
  EXPECT_NEAR(timing.median_seconds, 4, 1e-9);
  EXPECT_NEAR(timing.q3_seconds, 5, 1e-9);
  EXPECT_NEAR(timing.spread, 2 / timing.median_seconds, 1e-9);
}

TEST(MeasureRepeated, EndsThoughTheDeviceReportsNoTime) {
  // Google Benchmark alone would look for a number of launches that takes long enough for ever.
  int launches = 0;
  const TimingResult timing =
      MeasureRepeated({.wall_seconds = 1e-6}, "stopped clock", [&] { return ++launches * 0.0; });
  EXPECT_EQ(timing.samples, 11U);
  EXPECT_EQ(timing.median_seconds, 0);
  EXPECT_LT(launches, 1000);
}

TEST(MeasureRepeated, LetsTheErrorOfALaunchThrough) {
  int launches = 0;
  const auto failing = [&]() -> double {
    if (++launches == 3) throw std::runtime_error("device lost");
    return 0.001;
  };
  EXPECT_THROW(MeasureRepeated({}, "failing", failing), std::runtime_error);
  EXPECT_EQ(launches, 3) << "nothing is launched after a failure";
}

TEST(MeasureRepeated, CanBeUsedAgain) {
  MeasureRepeated({.seconds_per_repetition = 0.001, .repetitions = 2}, "first", [] { return 1.0; });
  const TimingResult second = MeasureRepeated({.seconds_per_repetition = 0.001, .repetitions = 2},
                                              "second", [] { return 2.0; });
  EXPECT_NEAR(second.median_seconds, 2, 1e-9);
  EXPECT_EQ(second.samples, 2U);
}

}  // namespace
}  // namespace normgrad
