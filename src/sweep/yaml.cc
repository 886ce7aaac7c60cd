// SPDX-License-Identifier: Apache-2.0
#include "sweep/yaml.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <sstream>

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include "sweep/limits.h"
#include "sweep/text_file.h"

namespace normgrad {
namespace {

/// Builds the tree from the parser's events. yaml-cpp's own tree expands aliases, keeps the first
/// of two equal keys and forgets where a key stood, which is why it is not used.
class TreeBuilder final : public YAML::EventHandler {
 public:
  explicit TreeBuilder(const std::string& path) : file_(std::make_shared<const std::string>(path)) {
    root_.file = file_;
  }

  YamlNode TakeRoot() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) {
      Located(mark).Fail("a second document: expected one sweep per file");
    }
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override { Add(Located(mark)); }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    Located(mark).Fail("an alias: write the value out, or put it into a file to include");
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                const std::string& value) override {
    YamlNode node = Located(mark, tag);
    node.kind = YamlNode::Kind::kScalar;
    node.text = value;
    Add(std::move(node));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    Open(Located(mark, tag), YamlNode::Kind::kList);
  }
  void OnSequenceEnd() override { open_.pop_back(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {
    Open(Located(mark, tag), YamlNode::Kind::kMap);
  }
  void OnMapEnd() override {
    std::map<std::string_view, const YamlNode*> first;
    for (const YamlNode& key : open_.back()->keys) {
      const auto [seen, is_new] = first.emplace(key.text, &key);
      if (!is_new) {
        key.Fail("key {} is given twice: the first is in line {}", key.Shown(), seen->second->line);
      }
    }
    open_.pop_back();
  }

 private:
  YamlNode Located(const YAML::Mark& mark, std::string_view tag = "") const {
    YamlNode node;
    node.file = file_;
    node.line = mark.line + 1;
    node.column = mark.column + 1;
    // "?" and "!" are the parser's marks of plain and quoted scalars.
    if (!tag.empty() && tag != "?" && tag != "!") node.Fail("a tag: write the plain value");
    return node;
  }

  YamlNode* Add(YamlNode node) {
    if (open_.empty()) {
      root_ = std::move(node);
      return &root_;
    }
    YamlNode& parent = *open_.back();
    if (parent.kind == YamlNode::Kind::kMap && parent.keys.size() == parent.items.size()) {
      if (node.kind != YamlNode::Kind::kScalar) {
        node.Fail("a key is {}: expected a word", node.Shown());
      }
      return &parent.keys.emplace_back(std::move(node));
    }
    if (parent.kind == YamlNode::Kind::kMap && node.kind == YamlNode::Kind::kNull) {
      // The parser says an absent value stands where the next one does.
      node.line = parent.keys.back().line;
      node.column = parent.keys.back().column;
    }
    return &parent.items.emplace_back(std::move(node));
  }

  void Open(YamlNode node, YamlNode::Kind kind) {
    if (open_.size() == kMaxNesting) {
      node.Fail("more than {} levels of nesting", kMaxNesting);
    };
    node.kind = kind;
    open_.push_back(Add(std::move(node)));
  }

  std::shared_ptr<const std::string> file_;
  YamlNode root_;
  std::vector<YamlNode*> open_;  // lists and maps still open, outermost first; they do not move
  int documents_ = 0;
};

}  // namespace

std::string YamlNode::Where() const { return fmt::format("{}:{}:{}", *file, line, column); }

const YamlNode* YamlNode::Find(std::string_view key) const {
  const auto found = std::ranges::find(keys, key, &YamlNode::text);
  return found == keys.end() ? nullptr : &items[static_cast<std::size_t>(found - keys.begin())];
}

std::string YamlNode::Shown() const {
  constexpr std::size_t kLongest = 60;
  switch (kind) {
    case Kind::kNull: return "nothing";
    case Kind::kList: return "a list";
    case Kind::kMap: return "a map";
    case Kind::kScalar: break;
  }
  std::string shown = text.substr(0, kLongest);
  if (text.size() > kLongest) {
    // Half a multi-byte character would make the message invalid UTF-8.
    const auto continues = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; };
    while (!shown.empty() && continues(shown.back())) shown.pop_back();
    if (!shown.empty()) shown.pop_back();
    shown += "…";
  }
  std::ranges::replace_if(
      shown, [](char c) { return static_cast<unsigned char>(c) < ' '; }, '?');
  return fmt::format("'{}'", shown);
}

YamlNode ReadYaml(const std::string& path) {
  std::istringstream text(ReadTextFile(path, "YAML"));
  TreeBuilder builder(path);
  try {
    YAML::Parser parser(text);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& error) {
    const YAML::Mark mark = error.mark.is_null() ? YAML::Mark() : error.mark;
    throw Error("{}:{}:{}: not valid YAML: {}", path, mark.line + 1, mark.column + 1, error.msg);
  }
  return builder.TakeRoot();
}

}  // namespace normgrad
