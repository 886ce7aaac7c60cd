// SPDX-License-Identifier: Apache-2.0
#include "sweep/values.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <system_error>

#include "base/text.h"
#include "sweep/limits.h"

namespace normgrad {
namespace {

using Kind = YamlNode::Kind;

std::int64_t Extent(const YamlNode& node) {
  if (node.kind != Kind::kScalar) {
    node.Fail("an extent is {}: expected a whole number", node.Shown());
  }
  const char* const end = node.text.data() + node.text.size();
  std::int64_t extent = 0;
  const auto [stop, error] = std::from_chars(node.text.data(), end, extent);
  if (stop != end || error == std::errc::invalid_argument) {
    node.Fail("extent {} is not a whole number", node.Shown());
  }
  if (extent < 0) node.Fail("extent {} is negative", extent);
  if (error == std::errc::result_out_of_range || extent > kMaxExtent) {
    node.Fail("extent {} is out of range: expected 0 to {}", node.Shown(), kMaxExtent);
  }
  return extent;
}

}  // namespace

void CheckKeys(const YamlNode& map, std::span<const std::string_view> inherited,
               std::span<const std::string_view> more, const char* what) {
  if (map.kind != Kind::kMap) map.Fail("{} is {}: expected a map of keys", what, map.Shown());
  Names known(inherited.begin(), inherited.end());
  known.insert(known.end(), more.begin(), more.end());
  for (const YamlNode& key : map.keys) {
    if (std::ranges::find(known, key.text) == known.end()) {
      key.Fail("unknown key {}: {}", key.Shown(), Suggest(key.text, known));
    }
  }
}

const std::string& Scalar(const YamlNode& node, std::string_view what) {
  if (node.kind != Kind::kScalar) node.Fail("{} is {}: expected one word", what, node.Shown());
  return node.text;
}

std::span<const YamlNode> Alternatives(const YamlNode& node, std::string_view key) {
  if (node.kind == Kind::kNull || (node.kind == Kind::kList && node.items.empty())) {
    node.Fail("{} is empty: expected at least one value", key);
  }
  return node.kind == Kind::kList ? std::span(node.items) : std::span(&node, 1);
}

const std::string& Word(const YamlNode& node, std::string_view what,
                        std::span<const std::string_view> known) {
  const std::string& word = Scalar(node, what);
  if (std::ranges::find(known, word) == known.end()) {
    node.Fail("unknown {} {}: {}", what, node.Shown(), Suggest(word, known));
  }
  return word;
}

std::vector<std::string> Words(const YamlNode& node, std::string_view key, std::string_view what,
                               std::span<const std::string_view> known) {
  std::vector<std::string> words;
  for (const YamlNode& item : Alternatives(node, key)) {
    const std::string& word = Word(item, what, known);
    if (std::ranges::find(words, word) != words.end()) {
      item.Fail("{} {} is given twice", what, item.Shown());
    }
    words.push_back(word);
  }
  return words;
}

std::string PathOf(const YamlNode& node, const char* what) {
  const auto folder = std::filesystem::path(*node.file).parent_path();
  std::string path = (folder / Scalar(node, what)).lexically_normal().string();
  std::error_code ignored;  // a path that cannot be looked at is as good as none
  const auto status = std::filesystem::status(path, ignored);
  if (!std::filesystem::exists(status)) node.Fail("{} {} does not exist", what, path);
  if (!std::filesystem::is_regular_file(status)) {
    node.Fail("{} {} is no regular file: expected one", what, path);
  }
  return path;
}

void CheckAxes(const YamlNode& node, std::size_t count) {
  if (count > kMaxAxes) node.Fail("{} numbers: expected at most {}", count, kMaxAxes);
}

Shape Extents(const YamlNode& node) {
  if (node.kind != Kind::kList) return {Extent(node)};
  CheckAxes(node, node.items.size());
  Shape shape;
  for (const YamlNode& item : node.items) shape.push_back(Extent(item));
  return shape;
}

}  // namespace normgrad
