// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "report/result.h"

namespace normgrad {

/// How long and how often to measure.
struct TimingOptions {
  double seconds_per_repetition = 0.02;  // device time; at least one launch
  int repetitions = 11;                  // the quartiles are taken over these
  double wall_seconds = 20;  // bounds the launches of one measurement, at least one each
};

/// Measures with Google Benchmark in manual-time mode: `sample` launches once and returns device
/// seconds. Each repetition is the mean over its launches; median, quartiles and spread are over
/// repetitions. The number of launches is fixed by a first, uncounted one: Google Benchmark's own
/// search for it looks at manual time only and has no end where that is small or 0.
/// Exceptions of `sample` pass through. One measurement at a time per process.
TimingResult MeasureRepeated(const TimingOptions& options, const std::string& name,
                             const std::function<double()>& sample);

/// Quantile `q` by linear interpolation between order statistics (Hyndman and Fan's type 7); 0 of
/// no values.
double Quantile(std::vector<double> values, double q);

}  // namespace normgrad
