// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

namespace normgrad {

/// Expects `text` to equal the file tests/expected/report/`name`, byte by byte. With
/// NORMGRAD_UPDATE_EXPECTED=1 in the environment, writes the file instead.
void ExpectText(const std::string& name, const std::string& text);

/// True if NORMGRAD_UPDATE_EXPECTED=1: expected files are rewritten, not compared.
bool UpdatesExpected();

std::string ReadFile(const std::filesystem::path& path);
void WriteFile(const std::filesystem::path& path, const std::string& text);

}  // namespace normgrad
