// SPDX-License-Identifier: Apache-2.0
#include "report/escape.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <system_error>
#include <utility>

namespace normgrad {
namespace {

bool IsControl(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

/// Whether there is nothing in `text` that anybody would obey, outside of markup.
bool IsPrintable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
}

bool IsWord(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }

/// The picture of a control character in UTF-8: U+2400 + c, and U+2421 for DEL.
std::string Picture(char c) {
  const int low = c == 0x7f ? 0x21 : static_cast<unsigned char>(c);
  return {'\xe2', '\x90', static_cast<char>(0x80 + low)};
}

/// One character of a text.
struct Character {
  std::size_t bytes = 1;
  char32_t code = 0xfffd;  // U+FFFD where the text is not UTF-8
};

/// The character that `text`, which is not empty, starts with. Strict, as table 3-7 of the Unicode
/// standard is: of a control character in too many bytes some terminals make the control character.
Character FirstCharacter(std::string_view text) {
  const auto byte = [&](std::size_t index) { return static_cast<unsigned char>(text[index]); };
  const std::size_t bytes = byte(0) < 0x80   ? 1
                            : byte(0) < 0xc2 ? 0
                            : byte(0) < 0xe0 ? 2
                            : byte(0) < 0xf0 ? 3
                            : byte(0) < 0xf5 ? 4
                                             : 0;
  if (bytes == 0 || bytes > text.size()) return {};
  if (bytes == 1) return {1, byte(0)};
  char32_t code = byte(0) & (0x7fU >> bytes);
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    code = code << 6 | (byte(i) & 0x3fU);
  }
  const bool overlong = (bytes == 3 && code < 0x800) || (bytes == 4 && code < 0x10000);
  const bool surrogate = code >= 0xd800 && code < 0xe000;
  if (overlong || surrogate || code > 0x10ffff) return {};
  return {bytes, code};
}

/// Whether terminals and editors obey `code`, which is not ASCII, in place of showing it: C1
/// controls, ends of lines and paragraphs, marks that turn the direction of text, and the byte
/// order mark.
bool IsLive(char32_t code) {
  return (code >= 0x80 && code < 0xa0) || code == 0x200e || code == 0x200f ||
         (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) || code == 0xfeff;
}

/// `text` with what would be obeyed made visible. `show` writes a character of ASCII that is no
/// letter or digit: it is given the text from there on, and the character of ASCII before it.
template <typename Show>
std::string Inert(std::string_view text, Show show) {
  std::string inert;
  inert.reserve(text.size());
  char before = ' ';
  for (Character character; !text.empty(); text.remove_prefix(character.bytes)) {
    character = FirstCharacter(text);
    if (character.code < 0x80) {
      const char last = std::exchange(before, text.front());
      if (IsWord(text.front())) {
        inert += text.front();
      } else {
        inert += show(text, last);
      }
    } else if (character.code == 0xfffd || IsLive(character.code)) {
      inert += "\uFFFD";
    } else {
      inert += text.substr(0, character.bytes);
    }
  }
  return inert;
}

std::string Shown(char c) { return IsControl(c) ? Picture(c) : std::string(1, c); }

/// Whether `text` is a number as reports write them: those may start with a sign.
bool IsNumber(std::string_view text) {
  double number = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && stop == text.data() + text.size() && std::isfinite(number);
}

}  // namespace

std::string OneLine(std::string_view text) {
  if (IsPrintable(text)) return std::string(text);
  return Inert(text, [](std::string_view rest, char) {
    const char c = rest.front();
    return c == '\n' || c == '\r' || c == '\t' ? " " : Shown(c);
  });
}

std::string CsvField(std::string_view text) {
  const auto show = [](std::string_view rest, char) {
    const char c = rest.front();
    return c == '\n' || c == '\r' || c == '\t' ? std::string(1, c) : Shown(c);
  };
  std::string field = IsPrintable(text) ? std::string(text) : Inert(text, show);
  static constexpr std::string_view kFormulaStarts = "=+-@\t\r";
  const bool is_formula = !field.empty() && kFormulaStarts.find(field[0]) != std::string_view::npos;
  if (is_formula && !IsNumber(field)) field.insert(0, 1, '\'');
  if (field.find_first_of(",\"\r\n") == std::string::npos) return field;
  std::string quoted = "\"";
  for (const char c : field) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

std::string MarkdownCell(std::string_view text) {
  return Inert(text, [](std::string_view rest, char last) -> std::string {
    const char c = rest.front();
    const char after = rest.size() > 1 ? rest[1] : ' ';
    switch (c) {
      case '<': return "&lt;";
      case '>': return "&gt;";
      case '&': return "&amp;";
      case '@': return "&#64;";  // an address would become a link
      case '\r': return after == '\n' ? "" : "<br>";
      case '\n': return "<br>";
      case '\t': return " ";
      case '_':
        // Inside a word it is literal anyway, and rms_norm_grad stays readable in the source.
        return IsWord(last) && IsWord(after) ? "_" : "\\_";
      case '(':
        // "[2, 17]" is a link only with a parenthesis behind it.
        return last == ']' ? "\\(" : "(";
      case ':':
        // GitHub makes links of plain addresses, too.
        return rest.starts_with("://") ? "&#58;" : ":";
      case '.': return last == 'w' || last == 'W' ? "&#46;" : ".";
      case '\\':
      case '`':
      case '*':
      case '~':
      case '$':
      case '|': return {'\\', c};
      default: return Shown(c);
    }
  });
}

std::string MarkdownFence(std::string_view language, std::string_view lines) {
  std::size_t longest = 0;
  std::size_t run = 0;
  for (const char c : lines) {
    run = c == '`' ? run + 1 : 0;
    longest = std::max(longest, run);
  }
  std::string fence(std::max<std::size_t>(3, longest + 1), '`');
  std::string block = fence;
  block.append(language).append("\n").append(lines);
  if (!lines.ends_with('\n')) block += '\n';
  return block.append(fence).append("\n");
}

}  // namespace normgrad
