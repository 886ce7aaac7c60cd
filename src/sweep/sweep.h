// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sweep/case.h"

namespace normgrad {

/// Combinations of a sweep that make no case, counted by reason.
struct Drop {
  std::string source;  // "cases/rms.yaml:12:5", the entry they come from
  std::string reason;  // "atlas-training does not support aclnnRmsNormGrad"
  std::uint64_t count = 0;
  std::string example;  // id of the first
};

/// What the files say, expanded.
struct Sweep {
  std::vector<Case> cases;  // in the order written, rightmost axis fastest; ids are unique
  std::vector<Drop> drops;
  std::uint64_t combinations = 0;  // cases + dropped ones; not what a Selection leaves out
  std::vector<std::string> files;  // every file read, once; includes before what includes them
};

/// What the command line overrides or narrows. Empty means: as written.
struct Selection {
  // Keep ids that match any of these (* and ?), or contain one without wildcards; one that is a
  // complete id keeps this case alone. Each must keep something.
  std::vector<std::string> case_globs;
  std::vector<std::string> products;  // keep these
  std::vector<std::string> checks;    // replace every case's checks
  std::optional<std::uint64_t> seed;  // replace every case's seed
};

/// Reads and expands sweep files and their includes.
///
/// Throws Error "<file>:<line>:<column>: <what is wrong>: <what would be right>" for anything a
/// user can get wrong, and Error when nothing is left to run.
Sweep LoadSweeps(const std::vector<std::string>& paths, const Selection& selection);

}  // namespace normgrad
