// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "report/result.h"

namespace normgrad {

/// One value of every table about cases. Defined once: CSV, Markdown and the table in
/// reports/README.md are made from it.
struct Column {
  std::string_view name;                      // with its unit: "kernel_cold_us"
  std::string_view unit;                      // "us"; "" for text
  std::string_view meaning;                   // one line
  std::string (*text)(const Result& result);  // "" where the case has no such value
};

/// Every column, in the order of the CSV file.
std::span<const Column> Columns();

/// The column of that name. Throws std::logic_error if there is none.
const Column& FindColumn(std::string_view name);

/// The Markdown table "name | unit | meaning" over Columns(), as in reports/README.md.
std::string ColumnsTable();

}  // namespace normgrad
