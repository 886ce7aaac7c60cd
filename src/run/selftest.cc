// SPDX-License-Identifier: Apache-2.0
#include "run/selftest.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "ops/operators.h"
#include "run/fill.h"

namespace normgrad {
namespace {

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

/// A case and its inputs, which every way is given.
struct Exhibit {
  Case the_case;
  std::shared_ptr<const CaseInputs> inputs{};  // null: a call made to be refused
};

std::vector<Exhibit> MakeExhibits(std::span<const Case> cases, unsigned threads) {
  std::vector<Exhibit> exhibits;
  exhibits.reserve(cases.size());
  for (const Case& the_case : cases) {
    Exhibit exhibit{the_case};
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

bool IsHealthy(const normgradFault& way) { return std::string_view(way.kind) == "healthy"; }

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
      // How long something takes is measured, not judged.
      if (check.name == "throughput" || check.name == options.without) continue;
      const bool asked = std::ranges::any_of(
          exhibits_, [&](const Exhibit& exhibit) { return Asks(exhibit.the_case, check); });
      if (asked) report_.checks.push_back(check.name);
    }
  }

  SelftestReport Run() {
    for (const normgradFault& way : WaysOf(device_)) {
      if (!options_.only.empty() && options_.only != way.name) continue;
      if (options_.on_progress) options_.on_progress(way.name);
      for (const Operator* op : AllOperators()) {
        const bool shown = std::ranges::any_of(
            exhibits_, [&](const Exhibit& exhibit) { return exhibit.the_case.op == op; });
        if (shown && IsOneOf(way.operators, op->name)) report_.trials.push_back(TryOut(way, *op));
      }
    }
    return std::move(report_);
  }

 private:
  static bool Asks(const Case& the_case, const Check& check) {
    return std::ranges::find(the_case.checks, check.name) != the_case.checks.end();
  }

  bool IsAsked(const Case& the_case, const Check& check) const {
    return Asks(the_case, check) &&
           std::ranges::find(report_.checks, check.name) != report_.checks.end();
  }

  Trial TryOut(const normgradFault& way, const Operator& op) const {
    Trial trial{&way, &op};
    const InForce in_force(device_, way.name);
    for (const Exhibit& exhibit : exhibits_) {
      if (exhibit.the_case.op != &op || !device_.Become(exhibit.the_case.product)) continue;
      Show(exhibit, &trial);
      if (trial.caught() && options_.only_first_catch) break;
      if (trial.catches.size() == report_.checks.size()) break;
    }
    if (!trial.caught() && !trial.healthy()) trial.differs = Differs(trial);
    std::ranges::sort(trial.catches, {}, [](const Catch& found) {
      return std::ranges::find(Checks(), found.check, &Check::name) - Checks().begin();
    });
    return trial;
  }

  void Show(const Exhibit& exhibit, Trial* trial) const {
    std::unique_ptr<CaseRun> run;
    const Answer prepared = Guarded([&]() -> Answer {
      run = std::make_unique<CaseRun>(exhibit.the_case, device_, exhibit.inputs);
      return {};
    });
    ++trial->asked;
    Result ignored;
    for (const Check& check : Checks()) {
      if (!IsAsked(exhibit.the_case, check)) continue;
      if (std::ranges::find(trial->catches, check.name, &Catch::check) != trial->catches.end()) {
        continue;
      }
      Answer answer = prepared;
      if (run != nullptr) answer = Guarded([&] { return check.ask(*run, checks_, &ignored); });
      if (!Accuses(answer)) continue;
      trial->catches.push_back({check.name, exhibit.the_case.Id(), std::move(answer.reason)});
      if (options_.only_first_catch) return;
    }
  }

  /// What one launch leaves behind; empty where the device refuses.
  std::vector<std::vector<std::byte>> Traces(const Exhibit& exhibit, const char* way,
                                             bool deterministic) const {
    const InForce in_force(device_, way);
    std::vector<std::vector<std::byte>> traces;
    Guarded([&]() -> Answer {
      CaseRun run(exhibit.the_case, device_, exhibit.inputs);
      run.Launch(Poison::kFirst, deterministic);
      for (std::size_t i = 0; i < exhibit.the_case.op->params.size(); ++i) {
        traces.push_back(run.Storage(i));
      }
      return {};
    });
    return traces;
  }

  bool Differs(const Trial& trial) const {
    return std::ranges::any_of(exhibits_, [&](const Exhibit& exhibit) {
      if (exhibit.the_case.op != trial.op || exhibit.inputs == nullptr) return false;
      if (!device_.Become(exhibit.the_case.product)) return false;
      return Traces(exhibit, trial.way->name, false) != Traces(exhibit, trial.way->twin, false) ||
             Traces(exhibit, trial.way->name, true) != Traces(exhibit, trial.way->twin, true);
    });
  }

  const Device& device_;
  const CheckOptions& checks_;
  const SelftestOptions& options_;
  std::vector<Exhibit> exhibits_;
  SelftestReport report_;
};

/// What became of a way on all of its operators.
enum class Fate { kCaught, kMissed, kInert, kAccepted, kAlarm };

/// The trials of one way.
struct Row {
  const normgradFault* way;
  std::vector<const Trial*> trials{};

  Fate fate(WhoseSweep whose) const {
    if (IsHealthy(*way)) {
      return std::ranges::any_of(trials, &Trial::caught) ? Fate::kAlarm : Fate::kAccepted;
    }
    const bool missed =
        std::ranges::any_of(trials, [&](const Trial* t) { return Missed(*t, whose); });
    if (missed) return Fate::kMissed;
    return std::ranges::any_of(trials, &Trial::caught) ? Fate::kCaught : Fate::kInert;
  }

  static bool Missed(const Trial& trial, WhoseSweep whose) {
    return !trial.caught() && (trial.differs || whose == WhoseSweep::kUsers);
  }

  /// Whether `check` sees the fault on some operator.
  const Catch* By(std::string_view check) const {
    for (const Trial* trial : trials) {
      const auto found = std::ranges::find(trial->catches, check, &Catch::check);
      if (found != trial->catches.end()) return &*found;
    }
    return nullptr;
  }
};

std::vector<Row> RowsOf(const SelftestReport& report) {
  std::vector<Row> rows;
  for (const Trial& trial : report.trials) {
    if (rows.empty() || rows.back().way != trial.way) rows.push_back({trial.way});
    rows.back().trials.push_back(&trial);
  }
  return rows;
}

std::vector<std::string_view> ChecksThatSee(const Row& row, const SelftestReport& report) {
  std::vector<std::string_view> checks;
  for (const std::string_view check : report.checks) {
    if (row.By(check) != nullptr) checks.push_back(check);
  }
  return checks;
}

std::vector<std::string_view> OperatorsOf(const Row& row, bool (*which)(const Trial&, WhoseSweep),
                                          WhoseSweep whose) {
  std::vector<std::string_view> names;
  for (const Trial* trial : row.trials) {
    if (which(*trial, whose)) names.push_back(trial->op->name);
  }
  return names;
}

bool Shows(const Trial& trial, WhoseSweep) { return trial.caught(); }
bool IsInert(const Trial& trial, WhoseSweep) {
  return !trial.caught() && !trial.differs && !trial.healthy();
}

std::string FateText(const Row& row, const SelftestReport& report, WhoseSweep whose) {
  switch (row.fate(whose)) {
    case Fate::kAccepted: return "accepted";
    case Fate::kCaught: return fmt::format("{}", fmt::join(ChecksThatSee(row, report), " "));
    case Fate::kInert: return "shows in no case";
    case Fate::kAlarm:
      return fmt::format("FALSE ALARM of {}", fmt::join(ChecksThatSee(row, report), " "));
    case Fate::kMissed: break;
  }
  return fmt::format("MISSED on {}", fmt::join(OperatorsOf(row, Row::Missed, whose), " "));
}

/// Where it was first seen: the case of the check that comes first.
std::string_view FirstCase(const Row& row) {
  for (const Trial* trial : row.trials) {
    if (trial->caught()) return trial->catches.front().case_id;
  }
  return "";
}

std::string Score(const std::vector<Row>& rows, WhoseSweep whose) {
  std::map<Fate, std::size_t> count;
  for (const Row& row : rows) ++count[row.fate(whose)];
  std::size_t shown = 0, seen = 0;
  for (const Row& row : rows) {
    if (IsHealthy(*row.way)) continue;
    shown += row.trials.size() - OperatorsOf(row, IsInert, whose).size();
    seen += OperatorsOf(row, Shows, whose).size();
    if (whose == WhoseSweep::kUsers) shown += OperatorsOf(row, IsInert, whose).size();
  }
  const std::size_t effective = count[Fate::kCaught] + count[Fate::kMissed];
  const std::size_t healthy = count[Fate::kAccepted] + count[Fate::kAlarm];
  return fmt::format(
      "{} of {} faults caught ({} of {} on their operators), "
      "{} of {} healthy variants accepted",
      count[Fate::kCaught], effective, seen, shown, count[Fate::kAccepted], healthy);
}

/// The faults that `check` alone sees.
std::vector<std::string_view> OwnedBy(std::string_view check, const std::vector<Row>& rows,
                                      const SelftestReport& report) {
  std::vector<std::string_view> owned;
  for (const Row& row : rows) {
    const auto seen = ChecksThatSee(row, report);
    if (!IsHealthy(*row.way) && seen.size() == 1 && seen.front() == check) {
      owned.emplace_back(row.way->name);
    }
  }
  return owned;
}

std::size_t WidthOf(const std::vector<Row>& rows, const char* normgradFault::*text) {
  std::size_t width = 0;
  for (const Row& row : rows) width = std::max(width, std::string_view(row.way->*text).size());
  return width;
}

}  // namespace

bool Trial::healthy() const { return IsHealthy(*way); }

SelftestReport RunSelftest(const Device& device, std::span<const Case> cases,
                           const CheckOptions& checks, const SelftestOptions& options) {
  WaysOf(device);
  CheckOptions with_fill = checks;
  with_fill.fill = [&](const Case& the_case) { return FillInputs(the_case, checks.threads); };
  return Selftest(device, cases, with_fill, options).Run();
}

std::string SelftestText(const SelftestReport& report, WhoseSweep whose) {
  const std::vector<Row> rows = RowsOf(report);
  const std::size_t names = WidthOf(rows, &normgradFault::name);
  const std::size_t kinds = WidthOf(rows, &normgradFault::kind);
  std::string text;
  const auto out = std::back_inserter(text);
  for (const Row& row : rows) {
    fmt::format_to(out, "{:<{}}  {:<{}}  {}", row.way->name, names, row.way->kind, kinds,
                   FateText(row, report, whose));
    if (const auto first = FirstCase(row); !first.empty()) fmt::format_to(out, "  in {}", first);
    text += '\n';
    if (row.fate(whose) == Fate::kAlarm) {
      for (const Trial* trial : row.trials) {
        for (const Catch& found : trial->catches) {
          fmt::format_to(out, "    {} in {}: {}\n", found.check, found.case_id, found.reason);
        }
      }
    }
  }
  text += '\n';
  for (const Row& row : rows) {
    const auto inert = OperatorsOf(row, IsInert, whose);
    if (inert.empty()) continue;
    fmt::format_to(
        out, "{} equals {} bit by bit in every case of {}{}\n", row.way->name, row.way->twin,
        fmt::join(inert, " "),
        *row.way->shows == '\0' ? "" : fmt::format("; it shows where: {}", row.way->shows));
  }
  for (const std::string_view check : report.checks) {
    const auto owned = OwnedBy(check, rows, report);
    fmt::format_to(out, "{} alone sees {}{}{}\n", check, owned.size(), owned.empty() ? "" : ": ",
                   fmt::join(owned, " "));
  }
  fmt::format_to(out, "\n{} cases: {}\n", report.cases, Score(rows, whose));
  return text;
}

std::string SelftestMarkdown(const SelftestReport& report, WhoseSweep whose) {
  const std::vector<Row> rows = RowsOf(report);
  std::string text;
  const auto out = std::back_inserter(text);
  fmt::format_to(out, "{} cases: {}.\n\n| fault | what it is | museum |", report.cases,
                 Score(rows, whose));
  for (const std::string_view check : report.checks) fmt::format_to(out, " {} |", check);
  text += "\n| --- | --- | --- |";
  for (std::size_t i = 0; i < report.checks.size(); ++i) text += " --- |";
  for (const Row& row : rows) {
    if (IsHealthy(*row.way)) continue;
    fmt::format_to(out, "\n| `{}` | {} | {} |", row.way->name, row.way->what, row.way->museum);
    for (const std::string_view check : report.checks) {
      std::vector<std::string> operators;
      for (const Trial* trial : row.trials) {
        if (std::ranges::find(trial->catches, check, &Catch::check) == trial->catches.end())
          continue;
        // "layer" is enough of layer_norm_backward.
        operators.emplace_back(trial->op->name.substr(0, trial->op->name.find('_')));
      }
      fmt::format_to(out, " {} |",
                     operators.size() == row.trials.size()
                         ? "all"
                         : fmt::format("{}", fmt::join(operators, " ")));
    }
  }
  text += "\n\n| healthy variant | what it is | |\n| --- | --- | --- |\n";
  for (const Row& row : rows) {
    if (!IsHealthy(*row.way)) continue;
    fmt::format_to(out, "| `{}` | {} | {} |\n", row.way->name, row.way->what,
                   FateText(row, report, whose));
  }
  return text;
}

int SelftestExitCode(const SelftestReport& report, WhoseSweep whose) {
  return std::ranges::all_of(RowsOf(report),
                             [&](const Row& row) {
                               const Fate fate = row.fate(whose);
                               return fate != Fate::kMissed && fate != Fate::kAlarm;
                             })
             ? 0
             : 1;
}

}  // namespace normgrad
