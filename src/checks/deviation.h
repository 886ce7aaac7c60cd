// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "checks/check.h"

namespace normgrad {

/// Whether a device that failed a check did what a known deviation says (Deviation::observed):
///
///   accepted                    phase 1 took a call that it should refuse
///   status=N                    phase 1 returned N
///   nan-scale-gradients         every element of the gradients of the scales is NaN
///   unwritten-scale-gradients   none of them was written
///   unwanted-zeros              outputs that are not wanted hold zeros
///   contiguous-outputs          right results, written as if the outputs were contiguous
///   float16-arithmetic          right results for a device that rounds to float16 at every step
///   rebuilt-variance            right results but for a few more roundings of rstd
///   same-bits                   repeated runs agree: no mismatch, see ShowsDeviation()
///   within-bound                nothing that a correct device might not do: never a mismatch
///
/// Some of these launch the case again. std::logic_error for another word; `run` may be null where
/// the case could not be prepared.
bool IsObserved(std::string_view observed, const Answer& answer, CaseRun* run,
                const CheckOptions& options);

/// Whether a case that has no mismatch shows the deviation nevertheless.
bool ShowsDeviation(std::string_view observed, const Result& result);

/// Whether a case that is asked these checks can show the deviation.
bool IsObservable(std::string_view observed, const std::vector<std::string>& checks);

}  // namespace normgrad
