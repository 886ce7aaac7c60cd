// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace normgrad {

/// `text` on one line and safe for a terminal: line ends and tabs become spaces, other control
/// characters their pictures (U+2400 and on), and U+FFFD what is not UTF-8, C1 controls and marks
/// that turn the direction of text, so that a device's message cannot colour, overwrite or forge
/// lines of ours.
std::string OneLine(std::string_view text);

/// `text` as one field of a CSV file (RFC 4180), quoted where it holds a comma, a quote or a line
/// end, and safe for terminals as OneLine() is. One that a spreadsheet would take for a formula,
/// since it starts with '=', '+', '-', '@' or a blank and is no number, gets an apostrophe in
/// front.
std::string CsvField(std::string_view text);

/// `text` as the content of one Markdown table cell: shown literally by CommonMark and GitHub
/// whatever it holds, addresses included, which GitHub makes links of; what OneLine() shows as
/// something else is so here. Line ends become <br>.
std::string MarkdownCell(std::string_view text);

/// `lines` as a fenced code block, with a fence longer than any run of backticks inside.
std::string MarkdownFence(std::string_view language, std::string_view lines);

}  // namespace normgrad
