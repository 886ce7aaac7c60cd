// SPDX-License-Identifier: Apache-2.0
// RFC 4180: comma-separated, CRLF, header row first; a field that holds a comma, a quote or a line
// end is quoted. Without a tail, a file that ends after any row is complete.
#include "report/columns.h"
#include "report/escape.h"
#include "report/format.h"

namespace normgrad {
namespace {

template <typename Text>
std::string Record(Text text) {
  std::string record;
  for (const Column& column : Columns()) record += CsvField(text(column)) + ',';
  record.pop_back();
  return record + "\r\n";
}

}  // namespace

std::string CsvHead(const RunInfo& /*info*/) {
  return Record([](const Column& column) { return std::string(column.name); });
}

std::string CsvRow(const Result& result, bool /*first*/) {
  return Record([&](const Column& column) { return column.text(result); });
}

std::string CsvTail(const Overview& /*overview*/) { return ""; }

}  // namespace normgrad
