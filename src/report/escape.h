// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace normgrad {

/// `text` on one line and safe for a terminal: line ends and tabs become spaces, other control
/// characters their pictures (U+2400 and on), C1 controls and what is not UTF-8 U+FFFD, so that a
/// device's message cannot colour, overwrite or forge lines of ours.
std::string OneLine(std::string_view text);

/// `text` as the content of one Markdown table cell: shown literally by CommonMark and GitHub
/// whatever it holds. Line ends become <br>.
std::string MarkdownCell(std::string_view text);

/// `lines` as a fenced code block, with a fence longer than any run of backticks inside.
std::string MarkdownFence(std::string_view language, std::string_view lines);

}  // namespace normgrad
