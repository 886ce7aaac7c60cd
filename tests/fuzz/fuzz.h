// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

/// What a fuzz target is: called with one input after another by libFuzzer, or by driver.cc where
/// the compiler has none. Returns 0; a finding ends the process.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace normgrad::fuzz {

/// Ends the process when a property does not hold. `input` is what broke it.
inline void Require(bool holds, const char* property, std::string_view input = {}) {
  if (holds) return;
  std::fprintf(stderr, "property broken: %s\n%s\n", property, std::string(input).c_str());
  std::abort();
}

/// Whether `call` returns. It may refuse by throwing Error, with a message of at most `longest`
/// bytes: fit for one screen, whatever a file holds.
template <typename Call>
bool Accepts(Call call, std::size_t longest = 8192) {
  try {
    call();
    return true;
  } catch (const Error& error) {
    const std::string_view message = error.what();
    Require(!message.empty(), "an error says something");
    Require(message.size() <= longest, "an error fits a screen", message);
    return false;
  }
}

inline std::string_view TextOf(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// The parts of `text` between `separator`s, at least one.
inline std::vector<std::string> Split(std::string_view text, std::string_view separator) {
  std::vector<std::string> parts;
  for (bool more = true; more;) {
    const auto end = text.find(separator);
    more = end != std::string_view::npos;
    parts.emplace_back(text.substr(0, end));
    if (more) text.remove_prefix(end + separator.size());
  }
  return parts;
}

/// A folder of this process's own, removed when it ends.
class Folder {
 public:
  Folder();
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  /// Writes a file and returns its path.
  std::string Write(std::string_view name, std::string_view text) const;

 private:
  std::filesystem::path path_;
};

}  // namespace normgrad::fuzz
