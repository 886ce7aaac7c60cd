// SPDX-License-Identifier: Apache-2.0
#include "report/overview.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <utility>

namespace normgrad {
namespace {

/// Orders margins with NaN above everything: nothing may hide behind a comparison that is false.
bool Larger(double a, double b) { return std::isnan(a) ? !std::isnan(b) : a > b; }

double CopyFraction(const Result& result) {
  const TimingResult* cold = FindTiming(result, "cold");
  return cold == nullptr ? 0 : cold->copy_fraction;
}

}  // namespace

const TimingResult* FindTiming(const Result& result, std::string_view mode) {
  if (!result.throughput) return nullptr;
  const auto& timings = result.throughput->timings;
  const auto found = std::ranges::find(timings, mode, &TimingResult::mode);
  return found == timings.end() ? nullptr : &*found;
}

std::string ReasonOf(const Result& result, std::string_view check) {
  const auto found = std::ranges::find(result.checks, check, &CheckResult::check);
  return found == result.checks.end() ? "" : found->reason;
}

const OutputResult* WorstOutput(const Result& result) {
  const OutputResult* worst = nullptr;
  for (const OutputResult& output : result.outputs) {
    if (worst == nullptr || Larger(output.margin, worst->margin)) worst = &output;
  }
  return worst;
}

std::vector<StandardResult> StandardsOf(const Result& result) {
  std::vector<StandardResult> standards;
  for (const OutputResult& output : result.outputs) {
    for (const StandardResult& standard : output.standards) {
      const auto known = std::ranges::find(standards, standard.name, &StandardResult::name);
      if (known == standards.end()) {
        standards.push_back(standard);
      } else if (known->passed && !standard.passed) {
        *known = standard;
      }
    }
  }
  return standards;
}

Overview::Overview(RunInfo info) : info_(std::move(info)), totals_(Totals::Of(info_)) {}

void Overview::Add(const Result& result) {
  ++results_;
  totals_.Add(result);
  if (!HasVerdict(result.outcome)) AddUnjudged(result);
  const bool failed = IsFailure(result.outcome) && result.outcome != Outcome::kNotRun;
  if (failed && failures_.size() < kKept) failures_.push_back(result);
  AddMargins(result);
  AddStandards(result);
  coverage_.Add(result);
  AddDeviations(result);
  if (result.throughput) AddThroughput(result);
}

void Overview::AddDeviations(const Result& result) {
  for (const DeviationResult& deviation : result.deviations) {
    auto tally = std::ranges::find(deviations_, deviation.number, &DeviationTally::number);
    if (tally == deviations_.end()) {
      deviations_.push_back({.number = deviation.number, .text = deviation.text});
      tally = std::prev(deviations_.end());
    }
    ++tally->cases;
    if (deviation.seen) ++tally->seen;
  }
}

void Overview::AddIncident(std::string what) {
  ++totals_.incidents;
  if (incidents_.size() < kKept) incidents_.push_back(std::move(what));
}

void Overview::Finish(std::string finished_utc) {
  finished_ = true;
  finished_utc_ = std::move(finished_utc);
}

void Overview::AddUnjudged(const Result& result) {
  const auto found = std::ranges::find_if(unjudged_, [&](const Unjudged& known) {
    return known.outcome == result.outcome && known.reason == result.reason;
  });
  if (found != unjudged_.end()) {
    ++found->cases;
  } else if (unjudged_.size() < kKept) {
    unjudged_.push_back({.outcome = result.outcome, .reason = result.reason, .cases = 1});
  }
}

void Overview::AddMargins(const Result& result) {
  // What a device is known to get wrong would hide what it gets right.
  if (result.outcome == Outcome::kKnownDeviation) return;
  for (const OutputResult& output : result.outputs) {
    const auto key = [](const WorstMargin& margin) {
      return std::tie(margin.op, margin.output.name, margin.output.dtype);
    };
    const auto wanted = std::tie(result.op, output.name, output.dtype);
    auto entry = std::ranges::lower_bound(margins_, wanted, {}, key);
    if (entry == margins_.end() || key(*entry) != wanted) {
      entry =
          margins_.insert(entry, {.op = result.op, .output = output, .case_id = result.case_id});
    } else if (Larger(output.margin, entry->output.margin)) {
      entry->output = output;
      entry->case_id = result.case_id;
    }
    ++entry->cases;
    entry->elements += output.elements;
    entry->violations += output.violations;
  }
}

void Overview::AddStandards(const Result& result) {
  const bool within_bound = std::ranges::all_of(
      result.outputs, [](std::uint64_t n) { return n == 0; }, &OutputResult::violations);
  for (const StandardResult& standard : StandardsOf(result)) {
    auto tally = std::ranges::find(standards_, standard.name, &StandardTally::name);
    if (tally == standards_.end()) tally = standards_.insert(tally, {.name = standard.name});
    ++(standard.passed ? within_bound ? tally->both_pass : tally->bound_fails
       : within_bound  ? tally->standard_fails
                       : tally->both_fail);
  }
}

void Overview::AddThroughput(const Result& result) {
  ++throughput_results_;
  const double fraction = CopyFraction(result);
  // Written so that NaN counts as not measured: it would break the map's order.
  const bool measured = fraction > 0;
  if (measured && (!fastest_ || fraction > CopyFraction(*fastest_))) fastest_ = result;
  const double key = measured ? fraction : std::numeric_limits<double>::infinity();
  if (throughput_.size() == kKept) {
    const auto last = std::prev(throughput_.end());
    if (key >= last->first) return;
    throughput_.erase(last);
  }
  throughput_.emplace(key, result);
}

}  // namespace normgrad
