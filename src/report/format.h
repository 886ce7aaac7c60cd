// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "report/overview.h"
#include "report/result.h"

namespace normgrad {

/// A file type: three pure functions from data to bytes, and the extension that selects it.
///
/// A file is head + row of every result + tail, and complete at any time: the tail is made anew
/// after every result and replaces the previous one. The texts must not grow with the number of
/// results before `overview.finished()`, or writing n results costs n^2.
struct Format {
  std::string_view extension;  // "csv"
  std::string_view meaning;    // one line, for --help
  std::string (*head)(const RunInfo& info);
  std::string (*row)(const Result& result, bool first);
  std::string (*tail)(const Overview& overview);
};

/// Every format; a new one is a file and a row.
std::span<const Format> Formats();

/// The format of that extension. Throws Error, naming those that exist.
const Format& FindFormat(std::string_view extension);

// One row of Formats() each; defined in csv.cc, json.cc, markdown.cc.
std::string CsvHead(const RunInfo& info);
std::string CsvRow(const Result& result, bool first);
std::string CsvTail(const Overview& overview);
std::string JsonHead(const RunInfo& info);
std::string JsonRow(const Result& result, bool first);
std::string JsonTail(const Overview& overview);
std::string MarkdownHead(const RunInfo& info);
std::string MarkdownRow(const Result& result, bool first);
std::string MarkdownTail(const Overview& overview);

}  // namespace normgrad
