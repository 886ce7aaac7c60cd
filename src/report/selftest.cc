// SPDX-License-Identifier: Apache-2.0
#include "report/selftest.h"

#include <algorithm>
#include <iterator>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace normgrad {
namespace {

/// What became of a way on all of its operators and dtypes.
enum class Fate { kCaught, kMissed, kInert, kAccepted, kAlarm };

bool Missed(const SelftestTrial& trial, WhoseSweep whose) {
  return !trial.caught() && (trial.differs || whose == WhoseSweep::kUsers);
}

Fate FateOf(const SelftestWay& way, WhoseSweep whose) {
  const bool caught = std::ranges::any_of(way.trials, &SelftestTrial::caught);
  if (way.healthy()) return caught ? Fate::kAlarm : Fate::kAccepted;
  const auto missed = [&](const SelftestTrial& trial) { return Missed(trial, whose); };
  if (std::ranges::any_of(way.trials, missed)) return Fate::kMissed;
  if (caught) return Fate::kCaught;
  return whose == WhoseSweep::kOurs ? Fate::kMissed : Fate::kInert;
}

/// "rms_norm_grad fhb" for float32, float16 and bfloat16: where `holds` does.
template <typename Holds>
std::vector<std::string> PlacesWhere(const SelftestWay& way, Holds holds) {
  std::vector<std::string> places;
  std::string_view op;
  for (const SelftestTrial& trial : way.trials) {
    if (!holds(trial)) continue;
    if (trial.op != op) places.push_back(trial.op + ' ');
    op = trial.op;
    places.back() += trial.dtype == "float16" ? 'h' : trial.dtype.front();
  }
  return places;
}

/// The same in a cell of a table: "all" where it holds wherever there is something to see, else
/// "rms fh, layer b": the first word of a name is enough.
template <typename Holds>
std::string Cell(const SelftestWay& way, Holds holds) {
  const auto fits = [&](const SelftestTrial& trial) { return trial.Inert() || holds(trial); };
  if (std::ranges::all_of(way.trials, fits) && std::ranges::any_of(way.trials, holds)) return "all";
  std::vector<std::string> places = PlacesWhere(way, holds);
  for (std::string& place : places) place.erase(place.find('_'), place.find(' ') - place.find('_'));
  return fmt::format("{}", fmt::join(places, ", "));
}

bool SeenBy(const SelftestWay& way, std::string_view check) {
  return std::ranges::any_of(way.trials,
                             [&](const SelftestTrial& trial) { return trial.CaughtBy(check); });
}

std::vector<std::string_view> ChecksThatSee(const SelftestWay& way, const SelftestReport& report) {
  std::vector<std::string_view> checks;
  for (const std::string& check : report.checks) {
    if (SeenBy(way, check)) checks.emplace_back(check);
  }
  return checks;
}

std::string FateText(const SelftestWay& way, const SelftestReport& report, WhoseSweep whose) {
  std::string seen = fmt::format("{}", fmt::join(ChecksThatSee(way, report), " "));
  switch (FateOf(way, whose)) {
    case Fate::kAccepted: return "accepted";
    case Fate::kCaught: return seen;
    case Fate::kInert: return "shows in no case";
    case Fate::kAlarm: return fmt::format("FALSE ALARM of {}", seen);
    case Fate::kMissed: break;
  }
  const auto missed = [&](const SelftestTrial& trial) { return Missed(trial, whose); };
  const auto places = PlacesWhere(way, missed);
  if (places.empty()) return "MISSED: it shows in no case";
  return fmt::format("MISSED on {}", fmt::join(places, ", "));
}

/// Where it was first seen: the case of the check that comes first.
std::string_view FirstCase(const SelftestWay& way) {
  for (const SelftestTrial& trial : way.trials) {
    if (trial.caught()) return trial.catches.front().case_id;
  }
  return "";
}

/// The faults that on some operator and dtype `check` alone sees.
std::vector<std::string_view> OwnedBy(std::string_view check, const SelftestReport& report) {
  std::vector<std::string_view> owned;
  for (const SelftestWay& way : report.ways) {
    const auto alone = [&](const SelftestTrial& trial) {
      return trial.catches.size() == 1 && trial.CaughtBy(check);
    };
    if (!way.healthy() && std::ranges::any_of(way.trials, alone)) owned.emplace_back(way.name);
  }
  return owned;
}

std::size_t WidthOf(const std::vector<SelftestWay>& ways, std::string SelftestWay::*text) {
  std::size_t width = 0;
  for (const SelftestWay& way : ways) width = std::max(width, (way.*text).size());
  return width;
}

void AppendFaultsByCheck(const SelftestReport& report, std::string* text) {
  const auto out = std::back_inserter(*text);
  *text += "| fault | what it is | museum |";
  for (const std::string& check : report.checks) fmt::format_to(out, " {} |", check);
  *text += "\n| --- | --- | --- |";
  for (std::size_t i = 0; i < report.checks.size(); ++i) *text += " --- |";
  for (const SelftestWay& way : report.ways) {
    if (way.healthy()) continue;
    fmt::format_to(out, "\n| `{}` | {} | {} |", way.name, way.what, way.museum);
    for (const std::string& check : report.checks) {
      const auto caught = [&](const SelftestTrial& trial) { return trial.CaughtBy(check); };
      fmt::format_to(out, " {} |", Cell(way, caught));
    }
  }
  *text += "\n";
}

bool FailsUnder(const SelftestTrial& trial, std::string_view standard) {
  return std::ranges::find(trial.standards, standard) != trial.standards.end();
}

/// How many trials of the faults, or of the healthy variants, `holds` is true of; out of how many.
template <typename Holds>
std::string Share(const SelftestReport& report, bool healthy, Holds holds) {
  std::size_t all = 0, held = 0;
  for (const SelftestWay& way : report.ways) {
    if (way.healthy() != healthy) continue;
    for (const SelftestTrial& trial : way.trials) {
      if (!healthy && trial.Inert()) continue;
      ++all;
      if (holds(trial)) ++held;
    }
  }
  return all == 0 ? "" : fmt::format("{} of {}", held, all);
}

/// Only faults of the results: of what accuracy, and so a standard, has something to say.
void AppendFaultsByStandard(const SelftestReport& report, std::string* text) {
  const auto out = std::back_inserter(*text);
  const auto accuracy = [](const SelftestTrial& trial) { return trial.CaughtBy("accuracy"); };
  SelftestReport numeric = report;
  std::erase_if(numeric.ways, [&](const SelftestWay& way) {
    return !way.healthy() && std::ranges::none_of(way.trials, accuracy);
  });
  *text += "| fault | derived |";
  for (const std::string& standard : report.standards) fmt::format_to(out, " {} |", standard);
  *text += "\n| --- | --- |";
  for (std::size_t i = 0; i < report.standards.size(); ++i) *text += " --- |";
  for (const SelftestWay& way : numeric.ways) {
    if (way.healthy()) continue;
    fmt::format_to(out, "\n| `{}` | {} |", way.name, Cell(way, accuracy));
    for (const std::string& standard : report.standards) {
      fmt::format_to(out, " {} |", Cell(way, [&](const SelftestTrial& trial) {
                       return FailsUnder(trial, standard);
                     }));
    }
  }
  for (const bool healthy : {false, true}) {
    fmt::format_to(out, "\n| **{}** | {} |", healthy ? "false alarms" : "caught",
                   Share(numeric, healthy, accuracy));
    for (const std::string& standard : report.standards) {
      fmt::format_to(out, " {} |", Share(numeric, healthy, [&](const SelftestTrial& trial) {
                       return FailsUnder(trial, standard);
                     }));
    }
  }
  *text += "\n";
}

}  // namespace

bool SelftestTrial::CaughtBy(std::string_view check) const {
  return std::ranges::find(catches, check, &SelftestCatch::check) != catches.end();
}

std::string FaultList(const std::vector<SelftestWay>& ways) {
  const std::size_t names = WidthOf(ways, &SelftestWay::name);
  const std::size_t kinds = WidthOf(ways, &SelftestWay::kind);
  std::string text;
  for (const SelftestWay& way : ways) {
    text += fmt::format("{:<{}}  {:<{}}  {}\n", way.name, names, way.kind, kinds, way.what);
  }
  return text;
}

std::string SelftestScore(const SelftestReport& report, WhoseSweep whose) {
  std::map<Fate, std::size_t> count;
  std::size_t shown = 0, seen = 0;
  for (const SelftestWay& way : report.ways) {
    ++count[FateOf(way, whose)];
    if (way.healthy()) continue;
    for (const SelftestTrial& trial : way.trials) {
      if (trial.caught()) ++seen;
      if (trial.caught() || Missed(trial, whose)) ++shown;
    }
  }
  return fmt::format(
      "{} of {} faults caught ({} of {} on their operators and dtypes), "
      "{} of {} healthy variants accepted",
      count[Fate::kCaught], count[Fate::kCaught] + count[Fate::kMissed], seen, shown,
      count[Fate::kAccepted], count[Fate::kAccepted] + count[Fate::kAlarm]);
}

std::string SelftestText(const SelftestReport& report, WhoseSweep whose) {
  const std::size_t names = WidthOf(report.ways, &SelftestWay::name);
  const std::size_t kinds = WidthOf(report.ways, &SelftestWay::kind);
  std::string text;
  const auto out = std::back_inserter(text);
  for (const SelftestWay& way : report.ways) {
    fmt::format_to(out, "{:<{}}  {:<{}}  {}", way.name, names, way.kind, kinds,
                   FateText(way, report, whose));
    if (const auto first = FirstCase(way); !first.empty()) fmt::format_to(out, "  in {}", first);
    text += '\n';
    if (FateOf(way, whose) != Fate::kAlarm) continue;
    for (const SelftestTrial& trial : way.trials) {
      for (const SelftestCatch& found : trial.catches) {
        fmt::format_to(out, "    {} in {}: {}\n", found.check, found.case_id, found.reason);
      }
    }
  }
  text += '\n';
  if (whose != WhoseSweep::kUsers) {
    for (const SelftestWay& way : report.ways) {
      const auto inert = PlacesWhere(way, [](const auto& trial) { return trial.Inert(); });
      if (way.healthy() || inert.empty()) continue;
      fmt::format_to(out, "{} does what {} does in every case of {}{}\n", way.name, way.twin,
                     fmt::join(inert, ", "),
                     way.shows.empty() ? "" : fmt::format("; it shows where: {}", way.shows));
    }
  }
  for (const std::string& check : report.checks) {
    const auto owned = OwnedBy(check, report);
    fmt::format_to(out, "{} alone sees {}{}{}\n", check, owned.size(), owned.empty() ? "" : ": ",
                   fmt::join(owned, " "));
  }
  fmt::format_to(out, "\n{} cases: {}\n", report.cases, SelftestScore(report, whose));
  return text;
}

std::string SelftestMarkdown(const SelftestReport& report, WhoseSweep whose) {
  std::string text;
  const auto out = std::back_inserter(text);
  fmt::format_to(out, "{} cases: {}.\n\n", report.cases, SelftestScore(report, whose));
  AppendFaultsByCheck(report, &text);
  text += "\n| check | faults that on some operator and dtype it alone sees |\n| --- | --- |\n";
  for (const std::string& check : report.checks) {
    const auto owned = OwnedBy(check, report);
    fmt::format_to(out, "| {} | {}: {} |\n", check, owned.size(), fmt::join(owned, ", "));
  }
  text += "\n| healthy variant | what it is | |\n| --- | --- | --- |\n";
  for (const SelftestWay& way : report.ways) {
    if (!way.healthy()) continue;
    fmt::format_to(out, "| `{}` | {} | {} |\n", way.name, way.what, FateText(way, report, whose));
  }
  if (report.standards.empty()) return text;
  text += '\n';
  AppendFaultsByStandard(report, &text);
  return text;
}

int SelftestExitCode(const SelftestReport& report, WhoseSweep whose) {
  return std::ranges::all_of(report.ways,
                             [&](const SelftestWay& way) {
                               const Fate fate = FateOf(way, whose);
                               return fate != Fate::kMissed && fate != Fate::kAlarm;
                             })
             ? 0
             : 1;
}

}  // namespace normgrad
