// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "base/random.h"
#include "checks/case_run.h"
#include "sweep/case.h"

namespace normgrad {

class FillCall;

/// How the elements first, first + 1, … of one input are drawn from its random stream.
using Draw = void (*)(const RandomStream& random, std::uint64_t first, std::span<double> elements);

/// Changes inputs that have been made.
using Amend = void (*)(FillCall& call);

/// Why a fill cannot give a case what it promises; empty where it can.
using WhyNot = std::optional<std::string_view> (*)(const FillCall& call);

/// What is known about the terms of the sums over data of a fill.
enum class Terms {
  kAny,           // the certified bound
  kExchangeable,  // identically distributed in random order: the sharp one
  kExact,         // multiples of a common quantum
};

/// A named way to fill the inputs of a case: a row of the table in fill.cc. Inputs are drawn,
/// amended, the statistics derived from them, and everything completed.
struct Fill {
  std::string_view name;     // as in YAML: FillNames()
  std::string_view exposes;  // which faults these data show
  Draw upstream;             // the gradient that comes in: the first data input
  Draw data;                 // the other data inputs
  Draw scale;                // gamma, weight, bias
  Terms terms = Terms::kExchangeable;
  bool exposing = true;      // no scale of ones, no two tensors alike
  Amend amend = nullptr;     // before statistics are derived
  Amend complete = nullptr;  // after: may replace statistics too
  WhyNot why_not = nullptr;  // null: any case will do
};

/// Every fill, in the order of FillNames().
std::span<const Fill> Fills();

/// Why the fill of `the_case` cannot give it what it promises: one of a few sentences, empty where
/// it can.
std::optional<std::string_view> WhyFillDoesNotApply(const Case& the_case);

/// Draws every input of `the_case`, rounds it to its dtype, and derives the statistics from the
/// rounded data in float64, unless its fill says otherwise. A pure function of the case: `threads`
/// does not show.
std::shared_ptr<const CaseInputs> FillInputs(const Case& the_case, unsigned threads);

}  // namespace normgrad
