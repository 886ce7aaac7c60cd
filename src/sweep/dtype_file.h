// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "ops/operator.h"

namespace normgrad {

/// A dtype row of a file: like DTypeRow, but owning its product's key.
struct FileDTypeRow {
  std::string product;
  std::vector<std::vector<DType>> cells;  // alternatives, one cell per dtype column
  int line = 0;
};

/// Reads a dtype table: columns product and DTypeColumns(op), in any order; '|' separates the
/// alternatives of a cell, "none" stands for a null input, '#' starts a comment line. Throws Error
/// "<file>:<line>: …" for an unknown or doubled dtype, an unknown product, a missing, unknown or
/// doubled column, a short or long row, more than kMaxDTypeRows, and Error "<file>: …" when it
/// cannot be read.
std::vector<FileDTypeRow> LoadDTypeFile(const std::string& path, const Operator& op);

}  // namespace normgrad
