// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "checks/case_run.h"
#include "sweep/case.h"

namespace normgrad {

/// How the elements of one input are drawn from element `index` of its random stream.
class RandomStream;
using Draw = double (*)(const RandomStream& random, std::uint64_t index);

/// A named way to fill the inputs of a case: a row of the table in fill.cc.
struct Fill {
  std::string_view name;     // as in YAML: FillNames()
  std::string_view exposes;  // which faults these data show
  Draw upstream;             // the gradient that comes in: the first data input
  Draw data;                 // the other data inputs
  Draw scale;                // gamma, weight, bias
  bool exchangeable;         // terms are identically distributed, so the sharp bound applies
};

/// Every fill, in the order of FillNames().
std::span<const Fill> Fills();

/// Draws every input of `the_case`, rounds it to its dtype, and derives the statistics from the
/// rounded data in float64. A pure function of the case: `threads` does not show.
std::shared_ptr<const CaseInputs> FillInputs(const Case& the_case, unsigned threads);

}  // namespace normgrad
