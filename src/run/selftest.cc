// SPDX-License-Identifier: Apache-2.0
#include "run/selftest.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "abi/acl_abi.h"
#include "base/error.h"
#include "ops/operators.h"
#include "run/fill.h"

namespace normgrad {
namespace {

/// Launches of a timed loop: enough to see what tires, too few to measure anything.
constexpr std::size_t kTimedLaunches = 256;
constexpr std::uint64_t kColdBytes = std::uint64_t{1} << 16;

using Ways = std::span<const normgradFault>;

Ways WaysOf(const Device& device) {
  const Api& api = device.library().api();
  if (api.faults == nullptr || api.set_fault == nullptr) {
    throw Error(
        "{}: no faults to find: the self-test needs the faulty device, e.g. "
        "libnormgrad_faulty.so",
        fmt::join(device.library().paths(), ","));
  }
  std::size_t count = 0;
  const normgradFault* const first = api.faults(&count);
  return {first, count};
}

/// A way in force; the device is as ever once it ends.
class InForce {
 public:
  InForce(const Device& device, const char* name) : api_(device.library().api()) {
    api_.set_fault(name);
  }
  InForce(const InForce&) = delete;
  InForce& operator=(const InForce&) = delete;
  ~InForce() { api_.set_fault(nullptr); }

 private:
  const Api& api_;
};

/// Names of published standards.
using StandardNames = std::set<std::string>;

/// A case and its inputs, which every way is given.
struct Exhibit {
  Case the_case;
  std::shared_ptr<const CaseInputs> inputs{};      // null: a call made to be refused
  std::map<std::string, StandardNames> rejecting;  // standards that fail a right way, by its name
};

/// The dtype of dx, the first output.
std::string DataType(const Case& the_case) {
  const auto dx = std::ranges::find_if(the_case.op->params, [](const Param& param) {
    return param.kind == Param::Kind::kOutput && param.role == Role::kData;
  });
  return std::string(Name(the_case.DTypeOf(*dx)));
}

std::vector<Exhibit> MakeExhibits(std::span<const Case> cases, unsigned threads) {
  std::vector<Exhibit> exhibits;
  exhibits.reserve(cases.size());
  for (const Case& the_case : cases) {
    Exhibit exhibit{.the_case = the_case, .inputs = {}, .rejecting = {}};
    // The legal call after a refusal is judged by accuracy; here it would hide whose merit that is.
    exhibit.the_case.legal = nullptr;
    if (!the_case.expectation) {
      if (WhyFillDoesNotApply(the_case)) continue;
      exhibit.inputs = FillInputs(the_case, threads);
    }
    exhibits.push_back(std::move(exhibit));
  }
  return exhibits;
}

bool IsOneOf(std::string_view words, std::string_view word) {
  const std::string all = fmt::format(" {} ", words);
  return all.find(fmt::format(" {} ", word)) != std::string::npos;
}

/// Whether an answer says that the device is wrong. One that says too little does not.
bool Accuses(const Answer& answer) {
  return answer.outcome == Outcome::kFailed || answer.outcome == Outcome::kError ||
         answer.outcome == Outcome::kTimedOut;
}

/// Runs `step`; a device that refuses is an answer, too.
template <typename Step>
Answer Guarded(Step step) {
  try {
    return step();
  } catch (const DeviceError& error) {
    return {error.timed_out() ? Outcome::kTimedOut : Outcome::kError, error.what()};
  }
}

StandardNames FailedStandards(const Result& result) {
  StandardNames failed;
  for (const OutputResult& output : result.outputs) {
    for (const StandardResult& standard : output.standards) {
      if (!standard.passed) failed.insert(standard.name);
    }
  }
  return failed;
}

/// NaN and the infinities stand for each other: which of them comes out depends on the form of an
/// evaluation, and no document says.
void ForgetWhichNonFinite(DType dtype, Bytes* elements) {
  const std::size_t bytes = SizeOf(dtype);
  for (std::size_t at = 0; bytes > 0 && at + bytes <= elements->size(); at += bytes) {
    if (std::isfinite(Load(dtype, &(*elements)[at]))) continue;
    Store(dtype, std::numeric_limits<double>::infinity(), &(*elements)[at]);
  }
}

SelftestWay TextsOf(const normgradFault& way) {
  return {way.name, way.kind, way.museum, way.shows, way.twin, way.what, {}};
}

/// What can be seen of a way.
struct Traces {
  std::vector<Bytes> storages{};
  std::vector<std::int64_t> answers{};
  std::vector<std::string> damage{};
  std::int64_t first_workspace = -1;  // bytes; not compared

  bool operator==(const Traces& other) const {
    return storages == other.storages && answers == other.answers && damage == other.damage;
  }
};

/// One self-test in progress.
class Selftest {
 public:
  Selftest(const Device& device, std::span<const Case> cases, const CheckOptions& checks,
           const SelftestOptions& options)
      : device_(device),
        checks_(checks),
        options_(options),
        exhibits_(MakeExhibits(cases, checks.threads)) {
    report_.cases = exhibits_.size();
    for (const Check& check : Checks()) {
      if (check.name == options.without) continue;
      const bool asked = std::ranges::any_of(
          exhibits_, [&](const Exhibit& exhibit) { return Asks(exhibit.the_case, check.name); });
      if (asked) report_.checks.emplace_back(check.name);
    }
    if (!options.standards) return;
    for (const Standard& standard : Standards()) report_.standards.emplace_back(standard.name);
  }

  SelftestReport Run() {
    for (const normgradFault& way : WaysOf(device_)) {
      if (!options_.only.empty() && options_.only != way.name) continue;
      if (options_.on_progress) options_.on_progress(way.name);
      SelftestWay tried = TextsOf(way);
      for (const auto& [op, dtype] : Places()) {
        if (IsOneOf(way.operators, op)) tried.trials.push_back(TryOut(way, op, dtype));
      }
      if (!tried.trials.empty()) report_.ways.push_back(std::move(tried));
    }
    return std::move(report_);
  }

 private:
  using Place = std::pair<std::string, std::string>;  // operator and dtype

  static bool Asks(const Case& the_case, std::string_view check) {
    return std::ranges::find(the_case.checks, check) != the_case.checks.end();
  }

  bool IsAsked(const Case& the_case, std::string_view check) const {
    return Asks(the_case, check) &&
           std::ranges::find(report_.checks, check) != report_.checks.end();
  }

  static Place PlaceOf(const Exhibit& exhibit) {
    return {std::string(exhibit.the_case.op->name), DataType(exhibit.the_case)};
  }

  /// Where a way can be tried, operators together.
  std::vector<Place> Places() const {
    std::vector<Place> places;
    for (const Operator* op : AllOperators()) {
      for (const Exhibit& exhibit : exhibits_) {
        const Place place = PlaceOf(exhibit);
        if (place.first != op->name || std::ranges::find(places, place) != places.end()) continue;
        places.push_back(place);
      }
    }
    return places;
  }

  SelftestTrial TryOut(const normgradFault& way, const std::string& op, const std::string& dtype) {
    SelftestTrial trial{.op = op, .dtype = dtype};
    StandardNames standards;
    {
      const InForce in_force(device_, way.name);
      for (Exhibit& exhibit : exhibits_) {
        if (PlaceOf(exhibit) != Place(op, dtype)) continue;
        if (!device_.Become(exhibit.the_case.product)) continue;
        ++trial.cases;
        Show(way, exhibit, &trial, &standards);
        if (options_.standards) continue;
        if (trial.caught() && options_.only_first_catch) break;
        if (trial.catches.size() == report_.checks.size()) break;
      }
    }
    trial.standards.assign(standards.begin(), standards.end());
    if (!trial.caught() && std::string_view(way.kind) != "healthy") {
      trial.differs = Differs(way, op, dtype);
    }
    std::ranges::sort(trial.catches, {}, [](const SelftestCatch& found) {
      return std::ranges::find(Checks(), found.check, &Check::name) - Checks().begin();
    });
    return trial;
  }

  void Show(const normgradFault& way, Exhibit& exhibit, SelftestTrial* trial,
            StandardNames* standards) {
    CheckOptions checks = checks_;
    checks.batch_invariant = IsOneOf(way.promises, "batch");
    std::unique_ptr<CaseRun> run;
    const Answer prepared = Guarded([&]() -> Answer {
      run = std::make_unique<CaseRun>(exhibit.the_case, device_, exhibit.inputs);
      return {};
    });
    for (const Check& check : Checks()) {
      if (!IsAsked(exhibit.the_case, check.name)) continue;
      const bool for_standards = options_.standards && check.name == "accuracy";
      if (trial->CaughtBy(check.name) && !for_standards) continue;
      Answer answer = prepared;
      Result result;
      if (run != nullptr) answer = Guarded([&] { return check.ask(*run, checks, &result); });
      if (for_standards) {
        for (const std::string& failed : FailedStandards(result)) {
          const bool healthy = std::string_view(way.kind) == "healthy";
          if (healthy || !RejectsTwin(way, exhibit, failed)) standards->insert(failed);
        }
      }
      if (!Accuses(answer) || trial->CaughtBy(check.name)) continue;
      trial->catches.push_back(
          {std::string(check.name), exhibit.the_case.Id(), std::move(answer.reason)});
      if (options_.only_first_catch && !options_.standards) return;
    }
  }

  /// Whether a standard fails what `way` is right without: then it cannot tell them apart.
  bool RejectsTwin(const normgradFault& way, Exhibit& exhibit, const std::string& standard) {
    auto found = exhibit.rejecting.find(way.twin);
    if (found == exhibit.rejecting.end()) {
      found = exhibit.rejecting.try_emplace(way.twin).first;
      const InForce in_force(device_, way.twin);
      Guarded([&]() -> Answer {
        CaseRun run(exhibit.the_case, device_, exhibit.inputs);
        Result result;
        Answer answer = CheckAccuracy(run, checks_, &result);
        found->second = FailedStandards(result);
        return answer;
      });
    }
    // The twin's way is in force no more.
    device_.library().api().set_fault(way.name);
    return found->second.contains(standard);
  }

  /// What launches leave behind, and what phase 1 answers, in every setting that a check chooses.
  Traces TracesOf(const Exhibit& exhibit, const char* way) const {
    const InForce in_force(device_, way);
    Traces traces;
    Guarded([&]() -> Answer {
      CaseRun run(exhibit.the_case, device_, exhibit.inputs);
      if (exhibit.inputs == nullptr) {
        traces.answers.push_back(PhaseOneStatus(run));
        return {};
      }
      const auto keep = [&] { Keep(run, &traces); };
      for (const bool option : {false, true}) {
        for (const Setup& setup :
             {Setup{}, Setup{.poisons = Poisons::All(Poison::kSecond)},
              Setup{.placement = Placement::kMoved}, Setup{.placement = Placement::kUnaligned}}) {
          run.Launch({option, setup.poisons, setup.placement});
          keep();
        }
        run.LaunchTwice({.deterministic = option}, keep);
        CaseRun neighbour(exhibit.the_case, device_, nullptr);
        run.LaunchBeside(&neighbour, {.deterministic = option});
        keep();
        run.Launch({.deterministic = option});
        keep();
        const unsigned threads = device_.threads();
        device_.SetThreads(1);
        run.Launch({.deterministic = option});
        device_.SetThreads(threads);
        keep();
      }
      if (!Asks(exhibit.the_case, "throughput")) return {};
      for (std::size_t i = 0; i < kTimedLaunches; ++i) run.LaunchTimed();
      run.Reset(Poison::kSecond);
      run.LaunchTimed();
      keep();
      return {};
    });
    return traces;
  }

  int PhaseOneStatus(const CaseRun& run) const {
    std::uint64_t bytes = 0;
    aclOpExecutor* executor = nullptr;
    const Reply reply = run.TryPhaseOne(&bytes, &executor);
    if (executor != nullptr) device_.library().api().destroy_executor(executor);
    return reply.status;
  }

  static void Keep(const CaseRun& run, Traces* traces) {
    // How large a workspace is, is the library's affair, as long as it stays so.
    const auto bytes = static_cast<std::int64_t>(run.workspace_bytes());
    if (traces->first_workspace < 0) traces->first_workspace = bytes;
    traces->answers.push_back(bytes - traces->first_workspace);
    for (std::size_t i = 0; i < run.op().params.size(); ++i) {
      Bytes& storage = traces->storages.emplace_back(run.Storage(i));
      const Param& param = run.op().params[i];
      if (param.kind == Param::Kind::kOutput) {
        ForgetWhichNonFinite(run.the_case().DTypeOf(param), &storage);
      }
    }
    for (const std::string& damage : run.Damage()) traces->damage.push_back(damage);
  }

  bool Differs(const normgradFault& way, const std::string& op, const std::string& dtype) const {
    return std::ranges::any_of(exhibits_, [&](const Exhibit& exhibit) {
      if (PlaceOf(exhibit) != Place(op, dtype) || !device_.Become(exhibit.the_case.product)) {
        return false;
      }
      return TracesOf(exhibit, way.name) != TracesOf(exhibit, way.twin);
    });
  }

  const Device& device_;
  const CheckOptions& checks_;
  const SelftestOptions& options_;
  std::vector<Exhibit> exhibits_;
  SelftestReport report_;
};

/// A loop that is not timed.
TimingResult Repeat(const std::string&, const std::function<double()>& sample) {
  TimingResult timing;
  for (; timing.launches < kTimedLaunches; ++timing.launches) timing.median_seconds = sample();
  return timing;
}

}  // namespace

std::vector<SelftestWay> FaultsOf(const Device& device) {
  const Ways ways = WaysOf(device);
  std::vector<SelftestWay> texts;
  texts.reserve(ways.size());
  std::ranges::transform(ways, std::back_inserter(texts), TextsOf);
  return texts;
}

SelftestReport RunSelftest(const Device& device, std::span<const Case> cases,
                           const CheckOptions& checks, const SelftestOptions& options) {
  const Ways ways = WaysOf(device);
  const auto is_asked_for = [&](const normgradFault& way) { return options.only == way.name; };
  if (!options.only.empty() && std::ranges::none_of(ways, is_asked_for)) {
    throw Error("unknown fault '{}': selftest without --fault names them all", options.only);
  }
  CheckOptions complete = checks;
  complete.fill = [&](const Case& the_case) { return FillInputs(the_case, checks.threads); };
  complete.timer = Repeat;
  complete.cold_bytes = kColdBytes;
  return Selftest(device, cases, complete, options).Run();
}

}  // namespace normgrad
