// SPDX-License-Identifier: Apache-2.0
#include "report/format.h"

#include <vector>

#include "base/error.h"
#include "base/text.h"

namespace normgrad {

std::span<const Format> Formats() {
  static constexpr Format kFormats[] = {
      {"json", "every value, for programs", JsonHead, JsonRow, JsonTail},
      {"csv", "one row per case, for spreadsheets", CsvHead, CsvRow, CsvTail},
      {"md", "a page to read and to publish", MarkdownHead, MarkdownRow, MarkdownTail},
  };
  return kFormats;
}

const Format& FindFormat(std::string_view extension) {
  std::vector<std::string_view> known;
  for (const Format& format : Formats()) {
    if (format.extension == extension) return format;
    known.push_back(format.extension);
  }
  throw Error("unknown report format '{}': {}", extension, Suggest(extension, known));
}

}  // namespace normgrad
