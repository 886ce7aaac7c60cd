// SPDX-License-Identifier: Apache-2.0
#include "sweep/text_file.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "base/error.h"
#include "sweep/limits.h"

namespace normgrad {

std::string ReadTextFile(const std::string& path, std::string_view kind) {
  std::error_code ignored;  // opening the file tells better what is wrong
  if (std::filesystem::is_directory(path, ignored)) {
    throw Error("{}: is a directory: expected a {} file", path, kind);
  }
  std::ifstream in(path, std::ios::binary);
  if (!in) throw Error("{}: cannot be read: {}", path, std::strerror(errno));
  std::string text;
  // Piece by piece: a pipe has no size, and a device no end.
  char piece[std::size_t{1} << 14];
  while (in.read(piece, sizeof piece), in.gcount() > 0) {
    text.append(piece, static_cast<std::size_t>(in.gcount()));
    if (text.size() > kMaxFileBytes) {
      throw Error("{}: larger than {} MiB: split it", path, kMaxFileBytes >> 20);
    }
  }
  return text;
}

}  // namespace normgrad
