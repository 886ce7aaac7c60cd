// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sweep/case.h"

namespace normgrad {

/// One word of a deviation's condition: "empty-batch", "breaks=no tensor is empty", "!has=float16".
struct DeviationWord {
  std::string_view name;
  std::string_view value;  // behind '='; empty where there is none
  bool negated = false;    // a '!' in front
};

/// A way in which the vendor's published implementation is known to differ from its document: a row
/// of cases/deviations.csv.
struct Deviation {
  std::string_view number;  // "D7"
  std::vector<std::string_view> operators;
  std::string_view products;  // keys with '|' between them, or "all"
  std::vector<DeviationWord> when;
  std::string_view observed;  // what the device does then: a word of checks/deviation.h
  std::string_view text;
};

/// The cells of a row of cases/deviations.csv.
using DeviationCells = std::array<std::string_view, 6>;

/// What `rows` say, in their order; it holds views of them. Throws std::logic_error where they say
/// what nobody understands.
std::vector<Deviation> ParseDeviations(std::span<const DeviationCells> rows);

/// Every row of the file, in its order.
std::span<const Deviation> KnownDeviations();

/// Whether the row is about `the_case`: its operator, its product, and every word of its condition:
///
///   always               every call
///   empty-batch          the sums over the batch are over nothing, and there are such sums
///   masked               some output is not wanted
///   strided-output       a wanted output is not contiguous
///   may-differ           the document lets repeated runs differ
///   many-channels        C / G is above 8000, or C above 240000
///   wide-group           C / G is above 8000
///   dtypes=GLOB          the dtypes in the spelling of ids
///   breaks=GLOB          the call breaks such a rule of the contract
///   changes=PARAM        the call is a legal one but for this argument
///   has=DTYPE            a tensor has this dtype
///   only-floats          every tensor is float32, float16 or bfloat16
///   expects=STATUS       the sweep expects this status of phase 1
bool IsAbout(const Deviation& deviation, const Case& the_case);

}  // namespace normgrad
