// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sweep/case.h"

namespace normgrad {

/// A product and a dtype row to call an operator with.
struct CallChoice {
  std::string product;
  DTypes dtypes;        // empty only where no table has a row for the product
  std::string refusal;  // why the contract does not allow it whatever the shape; empty: it does
};

/// An element of `layouts`: one layout for every tensor, or some tensors' own.
struct LayoutChoice {
  LayoutKind layout = LayoutKind::kContiguous;
  Shared<Layouts> layout_of;
};

/// Change::dtype that stands for every aclDataType with which the call leaves the product's table.
inline constexpr std::int32_t kEveryDTypeOutside = std::numeric_limits<std::int32_t>::min();

/// One entry of a file's `sweep` or `reject` list, with what it inherits from the top of the file
/// filled in. Every list holds alternatives and none is empty, but for dims and shapes, of which
/// one may be.
struct SweepEntry {
  std::string source;  // "cases/rms.yaml:12:5"
  const Operator* op = nullptr;
  std::map<std::string, std::vector<Shape>, std::less<>> dims;  // crossed with one another
  std::vector<Dims> shapes;                                     // as listed, after those of dims
  std::vector<CallChoice> calls;
  std::vector<std::string> masks = {""};    // Case::masks
  std::vector<Shared<Shapes>> reshaped{1};  // Case::reshaped
  std::vector<LayoutChoice> layouts;
  std::vector<std::string> fills;
  std::vector<double> eps;
  std::vector<std::uint64_t> seeds;
  Shared<std::vector<std::string>> checks;  // asked of every case, in the order of CheckNames()

  // Of a `reject` entry.
  std::vector<Shared<Changes>> changes{1};
  std::optional<Expectation> expectation;
  std::optional<Dims> legal_dims;  // of the call that must still pass afterwards
};

/// How many combinations `entry` stands for, before the contract drops any; the largest number
/// there is where they do not fit.
std::uint64_t CountCombinations(const SweepEntry& entry);

/// Reads sweep files and what they include, includes first, every file once however often it is
/// named, and hands on entry after entry; `*files` receives the files in the order of their first
/// entry. Throws Error as LoadSweeps() does. The format is described in cases/README.md.
void ReadSweepFiles(const std::vector<std::string>& paths, std::vector<std::string>* files,
                    const std::function<void(SweepEntry entry)>& use);

/// `names` in the order of CheckNames(), each once.
std::vector<std::string> OrderedChecks(const std::vector<std::string>& names);

}  // namespace normgrad
