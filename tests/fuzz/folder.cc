// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <fstream>
#include <system_error>

#include "tests/fuzz/fuzz.h"

namespace normgrad::fuzz {

Folder::Folder() {
  std::string name = (std::filesystem::temp_directory_path() / "normgrad-fuzz-XXXXXX").string();
  Require(::mkdtemp(name.data()) != nullptr, "a temporary folder can be made");
  path_ = name;
}

Folder::~Folder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string Folder::Write(std::string_view name, std::string_view text) const {
  std::string path = (path_ / name).string();
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

}  // namespace normgrad::fuzz
