// SPDX-License-Identifier: Apache-2.0
#include "sweep/sweep_file.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <set>
#include <string_view>
#include <system_error>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "abi/names.h"
#include "base/error.h"
#include "base/text.h"
#include "ops/operators.h"
#include "sweep/call_choices.h"
#include "sweep/entry_parts.h"
#include "sweep/limits.h"
#include "sweep/reject_changes.h"
#include "sweep/values.h"

namespace normgrad {
namespace {

using Kind = YamlNode::Kind;

// Keys of the top of a file that every entry inherits, and may set for itself.
constexpr std::string_view kInherited[] = {"operator", "products", "dtypes", "rows",
                                           "checks",   "layouts",  "fills",  "seeds",
                                           "eps",      "masks",    "reshape"};
constexpr std::string_view kTopOnly[] = {"include", "sweep"};
constexpr std::string_view kEntryOnly[] = {"name", "dims", "shapes"};
constexpr std::string_view kRejectInherited[] = {"operator", "products", "rows", "dims", "masks"};
constexpr std::string_view kRejectTopOnly[] = {"reject"};
constexpr std::string_view kRejectEntryOnly[] = {"because", "with", "each", "is", "expect"};

Names OperatorNames() {
  Names names;
  for (const Operator* op : AllOperators()) names.push_back(op->name);
  return names;
}

/// What `entry` says for itself, or else `top`.
const YamlNode* FindInherited(const YamlNode& entry, const YamlNode& top, std::string_view key) {
  const YamlNode* const own = entry.Find(key);
  return own != nullptr ? own : top.Find(key);
}

const Operator& ReadOperator(const YamlNode& entry, const YamlNode& top) {
  const YamlNode* const node = FindInherited(entry, top, "operator");
  if (node == nullptr) {
    entry.Fail("operator is missing: expected one of {}", fmt::join(OperatorNames(), ", "));
  }
  return FindOperator(Word(*node, "operator", OperatorNames()));
}

/// What an entry of a sweep says for itself or else inherits from `top`; `entry` may be `top`.
SweepEntry ReadInherited(const YamlNode& entry, const YamlNode& top, DTypeTables& tables) {
  const auto find = [&](std::string_view key) { return FindInherited(entry, top, key); };
  SweepEntry out;
  out.source = entry.Where();
  out.op = &ReadOperator(entry, top);
  const YamlNode* node = nullptr;
  const auto products = ReadProducts(find("products"), *out.op);
  node = find("rows");
  const auto rows = node == nullptr ? std::vector<DTypes>{} : ReadRows(*node, *out.op);
  out.calls = ReadCalls(products, tables.Of(find("dtypes"), *out.op), rows, *out.op);
  if ((node = find("masks")) != nullptr) out.masks = ReadMasks(*node, *out.op);
  if ((node = find("reshape")) != nullptr) out.reshaped = ReadReshape(*node, *out.op);
  node = find("layouts");
  out.layouts = node == nullptr ? std::vector<LayoutChoice>(1) : ReadLayouts(*node, *out.op);
  const Case defaults;
  node = find("fills");
  out.fills =
      node == nullptr ? std::vector{defaults.fill} : Words(*node, "fills", "fill", FillNames());
  node = find("eps");
  out.eps = node == nullptr ? std::vector{defaults.eps} : ReadEps(*node);
  node = find("seeds");
  out.seeds = node == nullptr ? std::vector{defaults.seed} : ReadSeeds(*node);
  node = find("checks");
  out.checks = node == nullptr
                   ? std::vector<std::string>{"contract", "accuracy", "memory", "determinism"}
                   : OrderedChecks(Words(*node, "checks", "check", CheckNames()));
  return out;
}

SweepEntry ReadEntry(const YamlNode& node, const YamlNode& top, DTypeTables& tables) {
  CheckKeys(node, kInherited, kEntryOnly, "a sweep entry");
  if (const YamlNode* name = node.Find("name")) Scalar(*name, "name");
  SweepEntry entry = ReadInherited(node, top, tables);
  const YamlNode* const dims = node.Find("dims");
  const YamlNode* const shapes = node.Find("shapes");
  if (dims == nullptr && shapes == nullptr) {
    node.Fail("the entry has no shape: expected dims or shapes");
  }
  if (dims != nullptr) ReadDims(*dims, &entry);
  if (shapes != nullptr) ReadShapes(*shapes, &entry);
  return entry;
}

SweepEntry ReadRejectEntry(const YamlNode& node, const YamlNode& top) {
  CheckKeys(node, kRejectInherited, kRejectEntryOnly, "a reject entry");
  const auto find = [&](std::string_view key) { return FindInherited(node, top, key); };
  SweepEntry entry;
  entry.source = node.Where();
  entry.op = &ReadOperator(node, top);
  entry.expectation = ReadExpectation(node);
  const YamlNode* const rows = find("rows");
  entry.calls = ReadRejectCalls(
      ReadProducts(find("products"), *entry.op),
      rows == nullptr ? std::vector<DTypes>{} : ReadRows(*rows, *entry.op), *entry.op);
  const YamlNode* const dims = find("dims");
  if (dims == nullptr) node.Fail("dims is missing: expected the shape of the call that is changed");
  entry.shapes = {ReadShape(*dims, *entry.op, "dims")};
  const YamlNode* const legal = top.Find("dims");
  entry.legal_dims = ReadShape(legal != nullptr ? *legal : *dims, *entry.op, "dims");
  if (const YamlNode* const masks = find("masks")) entry.masks = ReadMasks(*masks, *entry.op);
  const YamlNode* const with = node.Find("with");
  const YamlNode* const each = node.Find("each");
  const YamlNode* const is = node.Find("is");
  if ((each == nullptr) != (is == nullptr)) node.Fail("each and is belong together");
  if (with != nullptr && each != nullptr) node.Fail("expected with, or each and is, not both");
  if (with != nullptr) entry.changes = {ReadWith(*with, *entry.op)};
  if (each != nullptr) entry.changes = ReadEach(*each, *is, *entry.op);
  const Case defaults;
  entry.layouts.resize(1);
  entry.fills = {defaults.fill};
  entry.eps = {defaults.eps};
  entry.seeds = {defaults.seed};
  entry.checks = {"contract"};
  return entry;
}

/// Reads one file after another, depth first, and remembers which it is in.
class Reader {
 public:
  explicit Reader(const std::function<void(SweepEntry)>& use) : use_(use) {}

  /// `include` is the node that asked for `path`, nullptr for a file the user named.
  void Read(const std::string& path, const YamlNode* include) {
    std::error_code ignored;  // a path that cannot be resolved cannot be read either
    const std::string identity = std::filesystem::weakly_canonical(path, ignored).string();
    if (const auto open = std::ranges::find(open_, identity, &OpenFile::identity);
        open != open_.end()) {
      std::string chain;
      for (auto file = open; file != open_.end(); ++file) chain += file->path + " -> ";
      include->Fail("the include closes a cycle: {}{}", chain, path);
    }
    const bool is_new = seen_.insert(identity).second;
    if (!is_new) return;
    if (open_.size() == kMaxIncludeDepth) {
      include->Fail("more than {} files include one another", kMaxIncludeDepth);
    }
    if (seen_.size() > kMaxFiles) throw Error("{}: more than {} sweep files", path, kMaxFiles);
    open_.push_back({identity, path});
    ReadNew(path);
    open_.pop_back();
  }

  std::vector<std::string> files;

 private:
  struct OpenFile {
    std::string identity;  // canonical path
    std::string path;      // as written
  };

  void ReadNew(const std::string& path) {
    const YamlNode top = ReadYaml(path);
    if (top.kind == Kind::kNull) {
      throw Error("{}: the file is empty: expected the keys operator and sweep", path);
    }
    if (top.Find("reject") != nullptr) return ReadRejects(path, top);
    CheckKeys(top, kInherited, kTopOnly, "the file");
    const YamlNode* const include = top.Find("include");
    const YamlNode* const sweep = top.Find("sweep");
    if (include == nullptr && sweep == nullptr) {
      top.Fail("sweep is missing: expected a list of shapes, or an include or reject");
    }
    if (include != nullptr) {
      for (const YamlNode& item : Alternatives(*include, "include")) {
        Read(PathOf(item, "included file"), &item);
      }
    }
    files.push_back(path);
    if (sweep != nullptr) {
      // Also finds what is wrong in a key that no entry happens to inherit.
      if (top.Find("operator") != nullptr) ReadInherited(top, top, tables_);
      if (sweep->kind != Kind::kList && sweep->kind != Kind::kNull) {
        sweep->Fail("sweep is {}: expected a list of entries", sweep->Shown());
      }
      for (const YamlNode& item : Alternatives(*sweep, "sweep")) {
        Use(ReadEntry(item, top, tables_), item);
      }
      return;
    }
    for (const YamlNode& key : top.keys) {
      if (std::ranges::find(kInherited, key.text) != std::end(kInherited)) {
        key.Fail("{} has no effect: the file has no sweep, and included files have their own",
                 key.text);
      }
    }
  }

  void ReadRejects(const std::string& path, const YamlNode& top) {
    CheckKeys(top, kRejectInherited, kRejectTopOnly, "the file");
    files.push_back(path);
    for (const YamlNode& item : Alternatives(*top.Find("reject"), "reject")) {
      Use(ReadRejectEntry(item, top), item);
    }
  }

  void Use(SweepEntry entry, const YamlNode& node) {
    if (++entries_ > kMaxEntries) node.Fail("more than {} entries", Grouped(kMaxEntries));
    calls_ += entry.calls.size();
    if (calls_ > kMaxCombinations) {
      node.Fail("{} products with dtypes up to here: expected at most {}", Grouped(calls_),
                Grouped(kMaxCombinations));
    }
    use_(std::move(entry));
  }

  const std::function<void(SweepEntry)>& use_;
  DTypeTables tables_;
  std::size_t entries_ = 0;
  std::uint64_t calls_ = 0;  // of all entries, before anything narrows them

  std::vector<OpenFile> open_;  // the file being read and those that include it, outermost first
  std::set<std::string> seen_;
};

}  // namespace

std::vector<std::string> OrderedChecks(const std::vector<std::string>& names) {
  std::vector<std::string> ordered;
  for (const std::string_view check : CheckNames()) {
    if (std::ranges::find(names, check) != names.end()) ordered.emplace_back(check);
  }
  return ordered;
}

std::uint64_t CountCombinations(const SweepEntry& entry) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
  const auto multiply = [](std::uint64_t a, std::uint64_t b) {
    return b != 0 && a > kMost / b ? kMost : a * b;
  };
  std::uint64_t shapes = entry.dims.empty() ? 0 : 1;
  for (const auto& [symbol, alternatives] : entry.dims) {
    shapes = multiply(shapes, alternatives.size());
  }
  std::uint64_t changes = 0;
  for (const Shared<Changes>& some : entry.changes) {
    const bool every = std::ranges::any_of(
        some, [](const auto& named) { return named.second.dtype == kEveryDTypeOutside; });
    changes += every ? DataTypes().size() : 1;
  }
  std::uint64_t count = shapes > kMost - entry.shapes.size() ? kMost : shapes + entry.shapes.size();
  for (const std::uint64_t choices :
       {std::uint64_t{entry.calls.size()}, std::uint64_t{entry.masks.size()},
        std::uint64_t{entry.reshaped.size()}, changes, std::uint64_t{entry.layouts.size()},
        std::uint64_t{entry.fills.size()}, std::uint64_t{entry.eps.size()},
        std::uint64_t{entry.seeds.size()}}) {
    count = multiply(count, choices);
  }
  return count;
}

void ReadSweepFiles(const std::vector<std::string>& paths, std::vector<std::string>* files,
                    const std::function<void(SweepEntry entry)>& use) {
  Reader reader(use);
  for (const std::string& path : paths) reader.Read(path, nullptr);
  *files = std::move(reader.files);
}

}  // namespace normgrad
