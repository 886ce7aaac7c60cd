// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/report/expected_text.h"

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string_view>

#include <gtest/gtest.h>

namespace normgrad {

bool UpdatesExpected() {
  const char* value = std::getenv("NORMGRAD_UPDATE_EXPECTED");
  return value != nullptr && std::string_view(value) == "1";
}

std::string ReadFile(const std::filesystem::path& path) {
  const std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << "cannot read " << path;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void WriteFile(const std::filesystem::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  EXPECT_TRUE(file) << "cannot write " << path;
}

void ExpectText(const std::string& name, const std::string& text) {
  const std::filesystem::path path = std::filesystem::path("tests/expected/report") / name;
  if (UpdatesExpected()) {
    WriteFile(path, text);
  } else {
    EXPECT_EQ(text, ReadFile(path)) << "set NORMGRAD_UPDATE_EXPECTED=1 to rewrite " << path;
  }
}

}  // namespace normgrad
