// SPDX-License-Identifier: Apache-2.0
#include "run/timing.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <exception>
#include <vector>

#include <benchmark/benchmark.h>

namespace normgrad {
namespace {

double FirstQuartile(const std::vector<double>& values) { return Quantile(values, 0.25); }
double ThirdQuartile(const std::vector<double>& values) { return Quantile(values, 0.75); }

/// Picks the statistics of the one registered benchmark out of Google Benchmark's runs.
class Collector : public benchmark::BenchmarkReporter {
 public:
  explicit Collector(TimingResult* timing) : timing_(timing) {}

  bool ReportContext(const Context&) override { return true; }

  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      const double seconds = run.GetAdjustedRealTime();  // per launch, in the run's unit: seconds
      if (run.run_type == Run::RT_Iteration) {
        timing_->launches += static_cast<std::uint64_t>(run.iterations);
        ++timing_->samples;
      } else if (run.aggregate_name == "median") {
        timing_->median_seconds = seconds;
      } else if (run.aggregate_name == "q1") {
        timing_->q1_seconds = seconds;
      } else if (run.aggregate_name == "q3") {
        timing_->q3_seconds = seconds;
      }
    }
  }

 private:
  TimingResult* timing_;
};

/// Launches per repetition: enough to fill it, few enough for the wall clock.
benchmark::IterationCount LaunchesPerRepetition(const TimingOptions& options,
                                                const std::function<double()>& sample) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  const double device_seconds = sample();
  const double wall_seconds = std::chrono::duration<double>(Clock::now() - start).count();
  const double wanted = std::ceil(options.seconds_per_repetition / device_seconds);
  const double affordable = options.wall_seconds / options.repetitions / wall_seconds;
  return static_cast<benchmark::IterationCount>(std::clamp(std::min(wanted, affordable), 1.0, 1e6));
}

}  // namespace

double Quantile(std::vector<double> values, double q) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  const double position = q * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return std::lerp(values[below], values[above], position - std::floor(position));
}

TimingResult MeasureRepeated(const TimingOptions& options, const std::string& name,
                             const std::function<double()>& sample) {
  TimingResult timing;
  std::exception_ptr failure;
  benchmark::RegisterBenchmark(name.c_str(),
                               [&](benchmark::State& state) {
                                 try {
                                   if (failure) state.SkipWithError("an earlier launch failed");
                                   for ([[maybe_unused]] auto _ : state)
                                     state.SetIterationTime(sample());
                                 } catch (...) {
                                   failure = std::current_exception();
                                   state.SkipWithError("a launch failed");
                                 }
                               })
      ->UseManualTime()
      ->Iterations(LaunchesPerRepetition(options, sample))
      ->Repetitions(options.repetitions)
      ->Unit(benchmark::kSecond)
      ->ComputeStatistics("q1", FirstQuartile)
      ->ComputeStatistics("q3", ThirdQuartile);
  Collector collector(&timing);
  benchmark::RunSpecifiedBenchmarks(&collector, ".*");
  benchmark::ClearRegisteredBenchmarks();
  if (failure) std::rethrow_exception(failure);
  if (timing.median_seconds > 0) {
    timing.spread = (timing.q3_seconds - timing.q1_seconds) / timing.median_seconds;
  }
  return timing;
}

}  // namespace normgrad
