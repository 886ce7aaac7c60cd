// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace normgrad {

/// The first case in which a check said that something is wrong.
struct SelftestCatch {
  std::string check{};
  std::string case_id{};
  std::string reason{};  // in the words of the check
};

/// One way to compute, on one operator and with data of one dtype.
struct SelftestTrial {
  std::string op{};
  std::string dtype{};      // of dx
  std::uint64_t cases = 0;  // it was tried in
  bool differs = false;     // from its twin, in some case; looked at where nothing caught it
  std::vector<SelftestCatch> catches{};  // at most one per check, in the order checks run
  std::vector<std::string> standards{};  // that fail it in a case in which they pass its twin

  bool caught() const { return !catches.empty(); }
  bool CaughtBy(std::string_view check) const;

  /// Nothing sees it, and there is nothing to see: it does what its twin does, bit by bit but for
  /// which of NaN and the infinities a result that is not finite is.
  bool Inert() const { return !caught() && !differs; }
};

/// A planted fault or a healthy variant: one way to compute.
struct SelftestWay {
  std::string name{};
  std::string kind{};    // "formula", "memory", …, "healthy"
  std::string museum{};  // its number in docs/museum.md; empty for none
  std::string shows{};   // in which calls it can show; empty: in all
  std::string twin{};    // the name of what it is right without
  std::string what{};    // one line
  std::vector<SelftestTrial> trials{};

  bool healthy() const { return kind == "healthy"; }
};

/// What the tool found of what it was shown.
struct SelftestReport {
  std::string build{};  // of the tool: BuildId()
  std::uint64_t cases = 0;
  std::vector<std::string> checks{};     // that were asked, in the order they run
  std::vector<std::string> standards{};  // that were looked at; empty: none
  std::vector<SelftestWay> ways{};
};

/// Whose cases were run. A fault must be caught on every operator and dtype where it shows; it must
/// show somewhere if all of our cases are run, and on every operator and dtype of a user's sweep.
enum class WhoseSweep { kOurs, kPartOfOurs, kUsers };

/// The ways alone: a row each of name, kind and what it is.
std::string FaultList(const std::vector<SelftestWay>& ways);

/// "140 of 140 faults caught (1173 of 1173 on their operators and dtypes), 17 of 17 healthy
/// variants accepted".
std::string SelftestScore(const SelftestReport& report, WhoseSweep whose);

/// The report as text: a row per fault, the faults that one check alone sees, the score.
std::string SelftestText(const SelftestReport& report, WhoseSweep whose);

/// The same as Markdown: faults by check and, where standards were looked at, by standard.
std::string SelftestMarkdown(const SelftestReport& report, WhoseSweep whose);

/// 0 when every fault was caught wherever it must be, see WhoseSweep, and every healthy variant
/// accepted; else 1.
int SelftestExitCode(const SelftestReport& report, WhoseSweep whose);

}  // namespace normgrad
