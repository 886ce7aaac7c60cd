// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace normgrad {

/// The entry of `known` nearest to `word` by edit distance, if it is near enough to be a likely
/// typing error (at most a third of the letters), else "".
std::string_view Nearest(std::string_view word, std::span<const std::string_view> known);

/// "did you mean 'dims'?" when Nearest() finds one, else "expected one of a, b, c".
std::string Suggest(std::string_view word, std::span<const std::string_view> known);

/// "1.5 GiB", "64 KiB", "17 B": at most three digits, binary units.
std::string HumanBytes(double bytes);

/// "12.3 us", "4.56 ms", "7.8 s", "3 min 20 s".
std::string HumanSeconds(double seconds);

/// "1,500,000": digits in groups of three.
std::string Grouped(std::uint64_t number);

/// `word` as a word of a shell's command: quoted when the shell would read it otherwise.
std::string ShellWord(const std::string& word);

/// `word` as the first word of a command, where the shell would take "a=b" for an assignment.
std::string ShellProgram(const std::string& word);

/// True when glob `pattern` (`*` any run of characters, `?` one) matches all of `text`.
bool GlobMatch(std::string_view pattern, std::string_view text);

}  // namespace normgrad
