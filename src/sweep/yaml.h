// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/error.h"

namespace normgrad {

/// One value of a YAML file that knows where it stands, so that every complaint can point at it.
struct YamlNode {
  enum class Kind { kNull, kScalar, kList, kMap };

  Kind kind = Kind::kNull;
  std::string text;             // of a scalar
  std::vector<YamlNode> items;  // of a list, or the values of a map
  std::vector<YamlNode> keys;   // of a map: one scalar per item, no two alike
  std::shared_ptr<const std::string> file;
  int line = 1;
  int column = 1;

  /// "cases/rms.yaml:12:5"
  std::string Where() const;

  /// The value of `key`, nullptr when this is no map or has no such key.
  const YamlNode* Find(std::string_view key) const;

  /// "'fp16'", "a list", "a map" or "nothing": for messages, on one line whatever the text holds.
  std::string Shown() const;

  /// Throws Error "<file>:<line>:<column>: <message>".
  template <typename... Args>
  [[noreturn]] void Fail(fmt::format_string<Args...> format, Args&&... args) const {
    throw Error("{}: {}", Where(), fmt::format(format, std::forward<Args>(args)...));
  }
};

/// Reads the one document of the YAML file at `path`; kNull when it is empty.
///
/// Refuses what a sweep never needs and a hostile file abuses: aliases, tags, keys that are not
/// plain words, a key given twice, and what exceeds the limits of sweep/limits.h. Throws Error
/// "<file>:<line>:<column>: …", or "<file>: …" when the file cannot be read.
YamlNode ReadYaml(const std::string& path);

}  // namespace normgrad
