// SPDX-License-Identifier: Apache-2.0
#include "report/escape.h"

#include <algorithm>
#include <cctype>
#include <cstddef>

namespace normgrad {
namespace {

bool IsControl(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

bool IsWord(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }

/// The picture of a control character in UTF-8: U+2400 + c, and U+2421 for DEL.
std::string Picture(char c) {
  const int low = c == 0x7f ? 0x21 : static_cast<unsigned char>(c);
  return {'\xe2', '\x90', static_cast<char>(0x80 + low)};
}

unsigned char ByteAt(std::string_view text, std::size_t index) {
  return static_cast<unsigned char>(text[index]);
}

/// True if `text` starts with one of U+0080 to U+009F, which terminals obey.
bool StartsWithC1(std::string_view text) {
  return text.size() > 1 && text[0] == '\xc2' && ByteAt(text, 1) >= 0x80 && ByteAt(text, 1) < 0xa0;
}

/// Bytes of the UTF-8 character that `text`, which is not empty, starts with; 0 if with none.
std::size_t CharacterBytes(std::string_view text) {
  const unsigned char first = ByteAt(text, 0);
  const std::size_t bytes = first < 0x80   ? 1
                            : first < 0xc2 ? 0
                            : first < 0xe0 ? 2
                            : first < 0xf0 ? 3
                            : first < 0xf5 ? 4
                                           : 0;
  if (bytes > text.size()) return 0;
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((ByteAt(text, i) & 0xc0) != 0x80) return 0;
  }
  return bytes;
}

}  // namespace

std::string OneLine(std::string_view text) {
  std::string line;
  while (!text.empty()) {
    const char c = text.front();
    std::size_t bytes = CharacterBytes(text);
    if (c == '\n' || c == '\r' || c == '\t') {
      line += ' ';
    } else if (IsControl(c)) {
      line += Picture(c);
    } else if (bytes == 0 || StartsWithC1(text)) {
      line += "\uFFFD";
      bytes = std::max<std::size_t>(bytes, 1);
    } else {
      line += text.substr(0, bytes);
    }
    text.remove_prefix(bytes);
  }
  return line;
}

std::string MarkdownCell(std::string_view text) {
  std::string cell;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const char before = i > 0 ? text[i - 1] : ' ';
    const char after = i + 1 < text.size() ? text[i + 1] : ' ';
    switch (c) {
      case '<': cell += "&lt;"; break;
      case '>': cell += "&gt;"; break;
      case '&': cell += "&amp;"; break;
      case '\r':
        if (after != '\n') cell += "<br>";
        break;
      case '\n': cell += "<br>"; break;
      case '\t': cell += ' '; break;
      case '_':
        // Inside a word it is literal anyway, and rms_norm_grad stays readable in the source.
        if (!IsWord(before) || !IsWord(after)) cell += '\\';
        cell += c;
        break;
      case '(':
        // "[2, 17]" is a link only with a parenthesis behind it.
        if (before == ']') cell += '\\';
        cell += c;
        break;
      case '\\':
      case '`':
      case '*':
      case '~':
      case '|':
        cell += '\\';
        cell += c;
        break;
      default: cell += IsControl(c) ? Picture(c) : std::string(1, c);
    }
  }
  return cell;
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
