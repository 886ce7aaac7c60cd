// SPDX-License-Identifier: Apache-2.0
// Do launches on equal inputs agree byte for byte wherever the document promises it, whatever else
// changes between them?
#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "checks/check.h"
#include "checks/derived.h"

namespace normgrad {
namespace {

/// The runs of one perturbation are made with these, and `compare` is called after each.
struct Trial {
  CaseRun& run;
  const CheckOptions& options;
  bool option;                    // ACL_OPT_DETERMINISTIC
  std::uint64_t hash;             // of the first run's outputs
  std::function<void()> compare;  // what the last launch left with the first run's outputs
  std::function<void(bool equal)> compare_hash;

  void Launch(Placement placement) const {
    run.Launch({.deterministic = option, .placement = placement});
    compare();
  }
};

std::string Repeat(const Trial& trial) {
  for (int i = 1; i < trial.options.repeats; ++i) trial.Launch(Placement::kAligned);
  return "";
}

std::string Moved(const Trial& trial) {
  trial.Launch(Placement::kMoved);
  return "";
}

std::string Unaligned(const Trial& trial) {
  trial.Launch(Placement::kUnaligned);
  return "";
}

/// The same kernel works on a second stream: what a library keeps for all its calls is in use.
std::string Load(const Trial& trial) {
  const CaseRun& run = trial.run;
  if (!HasRoomForAnother(run)) return "there is no room for a second set of buffers";
  CaseRun neighbour(run.the_case(), run.device(), nullptr);
  trial.run.LaunchBeside(&neighbour, {.deterministic = trial.option});
  trial.compare();
  return "";
}

std::string Executor(const Trial& trial) {
  const Reply reply =
      trial.run.LaunchTwice({.deterministic = trial.option}, [&] { trial.compare(); });
  if (reply.status == 0) return "";
  return fmt::format("the library does not offer it: status {}: {}", reply.status, reply.message);
}

/// Puts a device's thread count back.
class ThreadsRestorer {
 public:
  explicit ThreadsRestorer(const Device& device) : device_(device), threads_(device.threads()) {}
  ThreadsRestorer(const ThreadsRestorer&) = delete;
  ThreadsRestorer& operator=(const ThreadsRestorer&) = delete;
  ~ThreadsRestorer() {
    try {
      device_.SetThreads(threads_);
    } catch (const DeviceError&) {
      // It was set before: a device that refuses it now has failed, as the next launch will show.
    }
  }

 private:
  const Device& device_;
  unsigned threads_;
};

std::string Threads(const Trial& trial) {
  const Device& device = trial.run.device();
  if (!device.CanSetThreads()) return "the library has no thread count to set";
  const ThreadsRestorer restorer(device);
  for (const unsigned threads : {1U, 3U}) {
    device.SetThreads(threads);
    trial.Launch(Placement::kAligned);
  }
  return "";
}

std::string Process(const Trial& trial) {
  if (!trial.options.fresh_hash) return "there is no other process to ask";
  const FreshNumber fresh = trial.options.fresh_hash(trial.run.the_case(), trial.option);
  if (!fresh.value) return fmt::format("the other process says nothing: {}", fresh.unknown);
  trial.compare_hash(*fresh.value == trial.hash);
  return "";
}

struct Perturbation {
  std::string_view name;
  std::string_view run;                  // "the run <run>"
  std::string (*run_all)(const Trial&);  // why it cannot be tried; empty when it was
};

constexpr std::string_view kRepeat = "repeat";
constexpr Perturbation kPerturbations[] = {
    {kRepeat, "", Repeat},
    {"moved", "at other addresses", Moved},
    {"unaligned", "with unaligned tensors", Unaligned},
    {"load", "beside other work", Load},
    {"executor", "of a repeatable executor", Executor},
    {"threads", "with another thread count", Threads},
    {"process", "in another process", Process},
};

PerturbationResult Perturb(const Perturbation& perturbation, CaseRun& run,
                           const CheckOptions& options, bool option, const KeptOutputs& first) {
  PerturbationResult result;
  result.name = perturbation.name;
  const auto note = [&](std::string difference) {
    if (difference.empty()) return;
    if (result.differing++ == 0) result.first_difference = std::move(difference);
  };
  const Trial trial = {
      run,
      options,
      option,
      HashOf(first.tensors()),
      [&] {
        ++result.runs;
        note(DifferenceFrom(first, run,
                            perturbation.run.empty() ? fmt::format("run {}", result.runs + 1)
                                                     : fmt::format("a run {}", perturbation.run)));
      },
      [&](bool equal) {
        ++result.runs;
        note(equal ? "" : "the hashes of all outputs are not equal");
      }};
  result.note = perturbation.run_all(trial);
  return result;
}

/// "4 of 5 runs differ from the first with the option on: <first difference>"
std::string Describe(const PerturbationResult& result, const Perturbation& perturbation,
                     bool option) {
  // Among plain repetitions the first run counts as one.
  const std::uint64_t runs = result.runs + (result.name == kRepeat ? 1 : 0);
  return fmt::format("{} of {} runs{}{} differ from the first with the option {}: {}",
                     result.differing, runs, perturbation.run.empty() ? "" : " ", perturbation.run,
                     option ? "on" : "off", result.first_difference);
}

bool HasElements(const DenseTensors& outputs) {
  return std::ranges::any_of(outputs, [](const auto& output) { return !output.empty(); });
}

}  // namespace

Answer CheckDeterminism(CaseRun& run, const CheckOptions& options, Result* result) {
  const Promise promise = SupportOn(run.op(), run.the_case().product).deterministic;
  Answer answer;
  result->determinism.clear();
  for (const bool option : {false, true}) {
    DeterminismResult mode;
    mode.option = option;
    mode.promised = option || promise == Promise::kAlways;
    mode.runs = 1;
    run.Launch(Poison::kFirst, option);
    const KeptOutputs first(run.Outputs());
    if (!HasElements(first.tensors())) {
      return {Outcome::kMistrusted, "no output has an element to compare"};
    }
    std::vector<std::string> differences;
    for (const Perturbation& perturbation : kPerturbations) {
      PerturbationResult runs = Perturb(perturbation, run, options, option, first);
      mode.runs += runs.runs;
      mode.differing += runs.differing;
      if (runs.differing > 0) {
        if (mode.first_difference.empty()) mode.first_difference = runs.first_difference;
        differences.push_back(Describe(runs, perturbation, option));
      }
      mode.perturbations.push_back(std::move(runs));
    }
    if (mode.differing == 0) {
      // Rule of three: n - 1 agreeing comparisons bound the chance of a differing run, 95 %.
      mode.divergence_bound = std::min(1.0, 3.0 / static_cast<double>(mode.runs - 1));
    } else {
      // A kernel that differs by itself differs for every reason: said once.
      const bool by_itself = mode.perturbations.front().differing > 0;
      std::string what =
          by_itself ? differences.front() : fmt::format("{}", fmt::join(differences, "; "));
      if (mode.promised) {
        answer = {Outcome::kFailed, std::move(what)};
      } else if (answer.outcome == Outcome::kPassed) {
        answer.reason = what + "; the document promises no more";
      }
    }
    result->determinism.push_back(std::move(mode));
  }
  return answer;
}

}  // namespace normgrad
