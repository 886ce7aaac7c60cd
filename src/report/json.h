// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "report/journal.h"
#include "report/result.h"
#include "report/roofline.h"
#include "report/selftest.h"

namespace normgrad {

/// Version of the JSON that ToJson() and report.json hold; reports/README.md defines it. It grows
/// when a field changes its meaning or goes away, not when one is added.
inline constexpr int kJsonSchemaVersion = 1;

/// One line of JSON, no line end, with every field of `result` under its own name.
///
/// Numbers keep all their digits; NaN and infinities, which JSON lacks, are the strings "nan",
/// "inf" and "-inf". Bytes that are not UTF-8 become U+FFFD.
std::string ToJson(const Result& result);

/// A JSON object with every field of `report` under its own name, on lines of its own.
std::string SelftestJson(const SelftestReport& report);

/// The same of a roofline.
std::string RooflineToJson(const Roofline& roofline);

/// The longest text RooflineFromJson() reads: a hundred times what any machine needs.
inline constexpr std::size_t kMaxRooflineBytes = std::size_t{1} << 20;

/// The inverse of RooflineToJson(). Unknown fields are ignored; throws Error as ResultFromJson().
Roofline RooflineFromJson(std::string_view json);

/// The longest text ResultFromJson() reads: a hundred times what any case says.
inline constexpr std::size_t kMaxResultBytes = std::size_t{1} << 20;

/// The inverse of ToJson() of a result. Unknown fields are ignored; throws Error on a missing
/// field, a wrong type, text that is not JSON, and more than kMaxResultBytes of it.
Result ResultFromJson(std::string_view json);

/// `result` as ResultFromJson() reads it from what ToJson() writes: what JSON cannot hold replaced.
Result AsWritten(Result result);

/// What ToJson() and ResultFromJson() are, of a record of a journal: an object with one member,
/// named after the kind of record.
std::string RecordToJson(const JournalRecord& record);
JournalRecord RecordFromJson(std::string_view json);

}  // namespace normgrad
