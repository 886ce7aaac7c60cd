// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "sweep/case.h"
#include "sweep/values.h"

namespace normgrad {

/// The keys of an entry of calls made to be refused. Every function throws Error, at the node that
/// is wrong.

/// `with`: what is changed of a call that is legal without.
Changes ReadWith(const YamlNode& node, const Operator& op);

/// `each` argument in turn changed as `is` says.
std::vector<Shared<Changes>> ReadEach(const YamlNode& each, const YamlNode& is, const Operator& op);

/// `because` and `expect`.
Expectation ReadExpectation(const YamlNode& entry);

}  // namespace normgrad
