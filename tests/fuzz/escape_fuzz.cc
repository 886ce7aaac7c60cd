// SPDX-License-Identifier: Apache-2.0
// Text of others in reports: it must say the same and do nothing.
#include <optional>

#include "report/escape.h"
#include "report/json.h"
#include "tests/fuzz/fuzz.h"

namespace normgrad::fuzz {
namespace {

/// The characters of `text`; empty where it is not UTF-8 by table 3-7 of the Unicode standard.
std::optional<std::u32string> Decode(std::string_view text) {
  std::u32string characters;
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = [&](std::size_t k) -> unsigned {
      return i + k < text.size() ? static_cast<unsigned char>(text[i + k]) : 0;
    };
    const unsigned first = byte(0);
    const std::size_t length = first < 0x80   ? 1
                               : first < 0xc0 ? 0
                               : first < 0xe0 ? 2
                               : first < 0xf0 ? 3
                               : first < 0xf8 ? 4
                                              : 0;
    if (length == 0) return std::nullopt;
    char32_t code = length == 1 ? first : first & (0xffU >> (length + 1));
    for (std::size_t k = 1; k < length; ++k) {
      if ((byte(k) & 0xc0) != 0x80) return std::nullopt;
      code = code << 6 | (byte(k) & 0x3f);
    }
    static constexpr char32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
    const bool surrogate = code >= 0xd800 && code < 0xe000;
    if (code < kLeast[length] || surrogate || code > 0x10ffff) return std::nullopt;
    characters += code;
    i += length;
  }
  return characters;
}

/// Whether a terminal or an editor obeys `c` instead of showing it.
bool IsLive(char32_t c) {
  return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x200e || c == 0x200f ||
         (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

bool IsInert(std::string_view text, std::string_view but = "") {
  const auto characters = Decode(text);
  if (!characters) return false;
  for (const char32_t c : *characters) {
    const bool allowed = c < 0x80 && but.find(static_cast<char>(c)) != std::string_view::npos;
    if (IsLive(c) && !allowed) return false;
  }
  return true;
}

void CheckTerminal(std::string_view text) {
  const std::string line = OneLine(text);
  Require(IsInert(line), "a line for the terminal is inert", line);
  Require(OneLine(line) == line, "an inert line stays as it is", line);
}

/// The one cell that a reader of RFC 4180 finds in `field`, which is a file of one.
std::string ReadCsv(std::string_view field) {
  if (!field.starts_with('"')) {
    Require(field.find_first_of("\",\r\n") == std::string_view::npos, "a plain field is plain");
    return std::string(field);
  }
  std::string cell;
  for (std::size_t i = 1; i + 1 < field.size(); ++i) {
    if (field[i] == '"') Require(field[++i] == '"' && i + 1 < field.size(), "quotes come in pairs");
    cell += field[i];
  }
  Require(field.size() > 1 && field.ends_with('"'), "a quoted field ends with a quote");
  return cell;
}

void CheckCsv(std::string_view text) {
  const std::string field = CsvField(text);
  Require(IsInert(field, "\r\n\t"), "a CSV field is inert", field);
  const std::string cell = ReadCsv(field);
  const bool number = cell.find_first_not_of("0123456789.eE+-") == std::string::npos;
  const bool formula =
      !cell.empty() && std::string_view("=+-@\t\r").find(cell[0]) != std::string_view::npos;
  Require(number || !formula, "no spreadsheet takes a cell for a formula", cell);
  if (IsInert(text, "\r\n\t")) {
    Require(cell == text || cell == "'" + std::string(text), "a CSV field reads back", cell);
  }
}

void CheckMarkdown(std::string_view text) {
  const std::string cell = MarkdownCell(text);
  Require(IsInert(cell), "a Markdown cell is inert", cell);
  for (std::size_t i = 0; i < cell.size(); ++i) {
    if (cell[i] == '\\') {
      ++i;  // whatever follows is literal
      Require(i < cell.size(), "a cell does not end within an escape", cell);
      continue;
    }
    Require(std::string_view("|`*~$").find(cell[i]) == std::string_view::npos,
            "no cell holds markup", cell);
    const std::string_view rest = std::string_view(cell).substr(i);
    if (cell[i] == '<') Require(rest.starts_with("<br>"), "no cell holds a tag but <br>", cell);
    Require(!rest.starts_with("](") && !rest.starts_with("://") && !rest.starts_with("www.") &&
                cell[i] != '@',
            "no cell holds a link", cell);
  }
}

void CheckFence(std::string_view text) {
  const std::string block = MarkdownFence("", text);
  const auto fence = block.substr(0, block.find('\n'));
  const auto end = block.find("\n" + fence, fence.size());
  Require(end + 1 + fence.size() + 1 == block.size(), "a fence closes at its end only", block);
}

void CheckJson(std::string_view text) {
  Result result;
  result.reason = text;
  const std::string json = ToJson(result);
  Require(json.find_first_of(std::string_view("\n\r\t\0\x1b", 5)) == std::string::npos,
          "JSON holds no control characters", json);
  const std::string reason = ResultFromJson(json).reason;
  if (Decode(text)) Require(reason == text, "JSON reads back", json);
  Require(Decode(reason).has_value(), "JSON holds UTF-8", json);
  Require(AsWritten(result).reason == reason, "a result is made what JSON keeps of it", json);
}

}  // namespace
}  // namespace normgrad::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = normgrad::fuzz::TextOf(data, size);
  normgrad::fuzz::CheckTerminal(text);
  normgrad::fuzz::CheckCsv(text);
  normgrad::fuzz::CheckMarkdown(text);
  normgrad::fuzz::CheckFence(text);
  normgrad::fuzz::CheckJson(text);
  return 0;
}
