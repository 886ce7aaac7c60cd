// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

namespace normgrad {

/// Keeps the score of this build in `file`: its build id, a line end, the score, a line end. Throws
/// Error when it cannot be written.
void WriteSelftestRecord(const std::filesystem::path& file, const std::string& score);

/// The score in share/normgrad-bench/selftest.txt beside the executable; empty where there is none
/// or it is another build's.
std::string SelftestOfThisBuild();

}  // namespace normgrad
