// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "checks/case_run.h"
#include "report/result.h"

namespace normgrad {

/// The relations that the check invariants asks for, each a property of the case. `base` is what a
/// launch on the inputs of `run` left; `threads` does not show.

/// Relations that hold bit for bit, because a power of two commutes with every rounding of a binary
/// format, unless something leaves the range of normal numbers on the way: such elements, and
/// inputs near the edges, are left out. A constant that has no place in the formula, an epsilon
/// above all, breaks them.
///
///   dy times 2^k                                 dx, dgamma and dbeta times 2^k
///   x and mean times 2^k, 1/deviation by 2^-k    dx times 2^-k; dgamma and dbeta as they were
///   gamma times 2^k                              dx times 2^k; dgamma and dbeta as they were
std::vector<PropertyResult> ExactRelations(CaseRun& run, const DenseTensors& base,
                                           unsigned threads);

/// Relations that hold within the derived bound, because they change what is added to what: of sums
/// over the batch,
///
///   dbeta     sum of dy
///   dgamma    dgamma of one half of the batch + that of the other
std::vector<PropertyResult> ColumnRelations(CaseRun& run, const DenseTensors& base,
                                            unsigned threads);

/// and of sums over the elements that share statistics.
///
///   sum of dx            what the moments of the inputs make it, 0 for exact statistics and
///   sum of dx * xhat     no epsilon
///   dx                   dx of every second element of dy, others 0, + that of the rest
std::vector<PropertyResult> SetRelations(CaseRun& run, const DenseTensors& base, unsigned threads);

}  // namespace normgrad
