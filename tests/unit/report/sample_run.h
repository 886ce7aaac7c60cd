// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "report/overview.h"
#include "report/result.h"

namespace normgrad {

/// A run of four cases, as the literal input of expected-text tests.
RunInfo SampleInfo();

/// Its results: all is well, with every kind of number; a failure whose reason holds every
/// character that some format must escape; unsupported; crashed.
std::vector<Result> SampleResults();

/// Both, finished.
Overview SampleOverview();

}  // namespace normgrad
