// SPDX-License-Identifier: Apache-2.0
#include "sweep/sweep_file.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <limits>
#include <set>
#include <span>
#include <string_view>
#include <system_error>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "base/text.h"
#include "ops/operators.h"
#include "ops/product.h"
#include "sweep/dtype_file.h"
#include "sweep/yaml.h"

namespace normgrad {
namespace {

using Kind = YamlNode::Kind;
using Names = std::vector<std::string_view>;

// Keys of the top of a file that every entry inherits, and may set for itself.
constexpr std::string_view kInherited[] = {"operator", "products", "dtypes", "rows", "checks",
                                           "layouts",  "fills",    "seeds",  "eps"};
constexpr std::string_view kTopOnly[] = {"include", "sweep"};
constexpr std::string_view kEntryOnly[] = {"name", "dims", "shapes"};

void CheckKeys(const YamlNode& map, std::span<const std::string_view> more, const char* what) {
  if (map.kind != Kind::kMap) map.Fail("{} is {}: expected a map of keys", what, map.Shown());
  Names known(std::begin(kInherited), std::end(kInherited));
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

/// The alternatives `node` holds: the items of a list, or a single scalar or map by itself.
std::span<const YamlNode> Alternatives(const YamlNode& node, std::string_view key) {
  if (node.kind == Kind::kNull || (node.kind == Kind::kList && node.items.empty())) {
    node.Fail("{} is empty: expected at least one value", key);
  }
  return node.kind == Kind::kList ? std::span(node.items) : std::span(&node, 1);
}

/// A word that is one of `known`.
const std::string& Word(const YamlNode& node, std::string_view what,
                        std::span<const std::string_view> known) {
  const std::string& word = Scalar(node, what);
  if (std::ranges::find(known, word) == known.end()) {
    node.Fail("unknown {} {}: {}", what, node.Shown(), Suggest(word, known));
  }
  return word;
}

/// Words of `known`, none given twice. `what` is the singular of `key`.
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

bool Exists(const std::string& path) {
  std::error_code ignored;  // a path that cannot be looked at is as good as none
  return std::filesystem::exists(path, ignored);
}

std::int64_t Extent(const YamlNode& node) {
  constexpr std::int64_t kMaxExtent = std::numeric_limits<std::int32_t>::max();
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

/// `[4, 8]`, `[]` for no axes, or `8` for one.
Shape Extents(const YamlNode& node) {
  if (node.kind != Kind::kList) return {Extent(node)};
  Shape shape;
  for (const YamlNode& item : node.items) shape.push_back(Extent(item));
  return shape;
}

/// Symbols of the operator's patterns, in order of first appearance.
Names Symbols(const Operator& op) {
  Names symbols;
  for (const Param& param : op.params) {
    for (const PatternAxis& axis : ParsePattern(param.pattern)) {
      if (std::ranges::find(symbols, axis.symbol) == symbols.end()) symbols.push_back(axis.symbol);
    }
  }
  return symbols;
}

/// Calls use(symbol, value) for each symbol of `op`; `map` must have these keys and no others.
template <typename Use>
void ForEachSymbol(const YamlNode& map, const Operator& op, std::string_view what, Use use) {
  const Names symbols = Symbols(op);
  if (map.kind != Kind::kMap) {
    map.Fail("{} is {}: expected a map from each of {}", what, map.Shown(),
             fmt::join(symbols, ", "));
  }
  for (const YamlNode& key : map.keys) {
    if (std::ranges::find(symbols, key.text) == symbols.end()) {
      key.Fail("unknown symbol {}: {} has {}", key.Shown(), op.name, fmt::join(symbols, ", "));
    }
  }
  for (const std::string_view symbol : symbols) {
    const YamlNode* const value = map.Find(symbol);
    if (value == nullptr) {
      map.Fail("symbol '{}' is missing: {} has {}", symbol, op.name, fmt::join(symbols, ", "));
    }
    use(std::string(symbol), *value);
  }
}

void ReadDims(const YamlNode& node, SweepEntry* entry) {
  ForEachSymbol(node, *entry->op, "dims", [&](const std::string& symbol, const YamlNode& value) {
    if (value.kind != Kind::kList || value.items.empty()) {
      value.Fail("{} is {}: expected a list of alternatives such as [[8], [4, 2]]", symbol,
                 value.items.empty() && value.kind == Kind::kList ? "empty" : value.Shown());
    }
    for (const YamlNode& item : value.items) entry->dims[symbol].push_back(Extents(item));
  });
}

void ReadShapes(const YamlNode& node, SweepEntry* entry) {
  for (const YamlNode& item : Alternatives(node, "shapes")) {
    Dims& dims = entry->shapes.emplace_back();
    ForEachSymbol(item, *entry->op, "a shape",
                  [&](const std::string& symbol, const YamlNode& value) {
                    dims.emplace(symbol, Extents(value));
                  });
  }
}

LayoutKind ReadLayout(const YamlNode& node) {
  Names known;
  for (const LayoutKind kind : AllLayoutKinds()) known.push_back(Name(kind));
  return ParseLayoutKind(Word(node, "layout", known));
}

std::vector<LayoutChoice> ReadLayouts(const YamlNode& node, const Operator& op) {
  Names params;
  for (const Param& param : op.params) params.push_back(param.name);
  std::vector<LayoutChoice> layouts;
  for (const YamlNode& item : Alternatives(node, "layouts")) {
    LayoutChoice& choice = layouts.emplace_back();
    if (item.kind != Kind::kMap) {
      choice.layout = ReadLayout(item);
      continue;
    }
    if (item.keys.empty()) item.Fail("the map of layouts is empty: expected {{tensor: layout}}");
    for (const YamlNode& key : item.keys) {
      if (std::ranges::find(params, key.text) == params.end()) {
        key.Fail("unknown tensor {} of {}: {}", key.Shown(), op.name, Suggest(key.text, params));
      }
      choice.layout_of.emplace(key.text, ReadLayout(*item.Find(key.text)));
    }
  }
  return layouts;
}

std::vector<double> ReadEps(const YamlNode& node) {
  std::vector<double> values;
  for (const YamlNode& item : Alternatives(node, "eps")) {
    const std::string& text = Scalar(item, "eps");
    const char* const end = text.data() + text.size();
    // from_chars knows no plus sign, which YAML's numbers may have.
    const bool has_plus = text.starts_with('+') && !text.starts_with("+-");
    double eps = 0;
    const auto [stop, error] = std::from_chars(text.data() + (has_plus ? 1 : 0), end, eps);
    if (stop == end && error == std::errc::result_out_of_range) {
      item.Fail("eps {} is too large or too small for a float64", item.Shown());
    }
    if (error != std::errc() || stop != end || !std::isfinite(eps) || eps < 0) {
      item.Fail("eps is {}: expected a finite number that is not negative", item.Shown());
    }
    values.push_back(eps + 0.0);  // -0 and 0 are the same case
  }
  return values;
}

std::vector<std::uint64_t> ReadSeeds(const YamlNode& node) {
  std::vector<std::uint64_t> seeds;
  for (const YamlNode& item : Alternatives(node, "seeds")) {
    const std::string& text = Scalar(item, "seed");
    const char* const end = text.data() + text.size();
    std::uint64_t seed = 0;
    const auto [stop, error] = std::from_chars(text.data(), end, seed);
    if (error != std::errc() || stop != end) {
      item.Fail("seed is {}: expected a whole number from 0 to {}", item.Shown(),
                std::numeric_limits<std::uint64_t>::max());
    }
    seeds.push_back(seed);
  }
  return seeds;
}

/// `rows`: dtype rows in the spelling of ids, "float16-float32-float16-float32".
std::vector<DTypes> ReadRows(const YamlNode& node, const Operator& op) {
  const auto columns = DTypeColumns(op);
  std::vector<DTypes> rows;
  for (const YamlNode& item : Alternatives(node, "rows")) {
    DTypes& row = rows.emplace_back();
    std::string_view text = Scalar(item, "row");
    for (bool more = true; more;) {
      const auto end = text.find('-');
      more = end != std::string_view::npos;
      // No dtype's name is as long as what is cut off here: it would only fill the message.
      constexpr std::size_t kLongestShown = 40;
      try {
        row.push_back(ParseDType(text.substr(0, std::min(end, kLongestShown))));
      } catch (const Error& error) {
        item.Fail("row {}: {}", item.Shown(), error.what());
      }
      if (more) text.remove_prefix(end + 1);
    }
    if (row.size() != columns.size()) {
      item.Fail("row {} has {} dtypes: expected {} ({})", item.Shown(), row.size(), columns.size(),
                fmt::join(columns, "-"));
    }
  }
  return rows;
}

struct DTypeTable {
  std::string name;  // for messages
  std::vector<FileDTypeRow> rows;
};

DTypeTable ReadTable(const YamlNode* node, const Operator& op) {
  if (node != nullptr) {
    const auto folder = std::filesystem::path(*node->file).parent_path();
    const std::string path = (folder / Scalar(*node, "dtypes")).lexically_normal().string();
    if (!Exists(path)) node->Fail("dtype table {} does not exist", path);
    return {path, LoadDTypeFile(path, op)};
  }
  DTypeTable table{fmt::format("the document of {}", op.api), {}};
  for (const DTypeRow& row : DocumentedDTypes(op)) {
    table.rows.push_back({std::string(row.product), row.dtypes});
  }
  return table;
}

/// `all` or `[all]`
bool IsAll(std::span<const YamlNode> products) {
  return products.size() == 1 && products[0].kind == Kind::kScalar && products[0].text == "all";
}

std::vector<std::string> ReadProducts(const YamlNode* node, const Operator& op) {
  std::vector<std::string> products;
  if (node == nullptr || IsAll(Alternatives(*node, "products"))) {
    for (const Support& support : DocumentedSupport(op)) {
      if (support.supported) products.emplace_back(support.product);
    }
    return products;
  }
  Names known;
  for (const Product& product : AllProducts()) known.push_back(product.key);
  return Words(*node, "products", "product", known);
}

/// Every product with each of its rows of `table`, or of `wanted` where that is given. What the
/// contract refuses stays in, with the reason, so that it is counted.
std::vector<CallChoice> ReadCalls(const std::vector<std::string>& products, const DTypeTable& table,
                                  const std::vector<DTypes>& wanted, const Operator& op) {
  const auto documented = DocumentedDTypes(op);
  std::vector<CallChoice> calls;
  for (const std::string& product : products) {
    std::vector<DTypes> listed;
    for (const FileDTypeRow& row : table.rows) {
      if (row.product == product) listed.push_back(row.dtypes);
    }
    std::vector<DTypes> asked = wanted.empty() ? listed : wanted;
    if (asked.empty()) asked.emplace_back();  // still counts as a combination
    for (DTypes& dtypes : asked) {
      const bool is_documented = std::ranges::any_of(documented, [&](const DTypeRow& row) {
        return row.product == product && row.dtypes == dtypes;
      });
      std::string refusal;
      if (!SupportOn(op, product).supported) {
        refusal = fmt::format("{} does not support {}", product, op.api);
      } else if (dtypes.empty()) {
        refusal = fmt::format("{} has no row for {}", table.name, product);
      } else if (std::ranges::find(listed, dtypes) == listed.end()) {
        refusal = fmt::format("{} has no row {} for {}", table.name, DTypesText(dtypes), product);
      } else if (!is_documented) {
        refusal = fmt::format("the document of {} has no row {} for {}", op.api, DTypesText(dtypes),
                              product);
      }
      calls.push_back({product, std::move(dtypes), std::move(refusal)});
    }
  }
  return calls;
}

Names OperatorNames() {
  Names names;
  for (const Operator* op : AllOperators()) names.push_back(op->name);
  return names;
}

/// What an entry says for itself or else inherits from `top`; `entry` may be `top`.
SweepEntry ReadInherited(const YamlNode& entry, const YamlNode& top) {
  const auto find = [&](std::string_view key) {
    const YamlNode* const own = entry.Find(key);
    return own != nullptr ? own : top.Find(key);
  };
  SweepEntry out;
  out.source = entry.Where();
  const YamlNode* node = find("operator");
  if (node == nullptr) {
    entry.Fail("operator is missing: expected one of {}", fmt::join(OperatorNames(), ", "));
  }
  out.op = &FindOperator(Word(*node, "operator", OperatorNames()));
  const auto products = ReadProducts(find("products"), *out.op);
  node = find("rows");
  const auto rows = node == nullptr ? std::vector<DTypes>{} : ReadRows(*node, *out.op);
  out.calls = ReadCalls(products, ReadTable(find("dtypes"), *out.op), rows, *out.op);
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
  out.checks = node == nullptr ? std::vector<std::string>{"accuracy", "memory", "determinism"}
                               : OrderedChecks(Words(*node, "checks", "check", CheckNames()));
  return out;
}

SweepEntry ReadEntry(const YamlNode& node, const YamlNode& top) {
  CheckKeys(node, kEntryOnly, "a sweep entry");
  if (const YamlNode* name = node.Find("name")) Scalar(*name, "name");
  SweepEntry entry = ReadInherited(node, top);
  const YamlNode* const dims = node.Find("dims");
  const YamlNode* const shapes = node.Find("shapes");
  if (dims == nullptr && shapes == nullptr) {
    node.Fail("the entry has no shape: expected dims or shapes");
  }
  if (dims != nullptr) ReadDims(*dims, &entry);
  if (shapes != nullptr) ReadShapes(*shapes, &entry);
  return entry;
}

/// Reads one file after another, depth first, and remembers which it is in.
class Reader {
 public:
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
    open_.push_back({identity, path});
    ReadNew(path);
    open_.pop_back();
  }

  std::vector<SweepEntry> entries;
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
    CheckKeys(top, kTopOnly, "the file");
    const YamlNode* const include = top.Find("include");
    const YamlNode* const sweep = top.Find("sweep");
    if (include == nullptr && sweep == nullptr) {
      top.Fail("sweep is missing: expected a list of shapes, or an include");
    }
    if (include != nullptr) {
      const auto folder = std::filesystem::path(path).parent_path();
      for (const YamlNode& item : Alternatives(*include, "include")) {
        const std::string other = (folder / Scalar(item, "include")).lexically_normal().string();
        if (!Exists(other)) item.Fail("included file {} does not exist", other);
        Read(other, &item);
      }
    }
    files.push_back(path);
    if (sweep != nullptr) {
      // Also finds what is wrong in a key that no entry happens to inherit.
      if (top.Find("operator") != nullptr) ReadInherited(top, top);
      if (sweep->kind != Kind::kList && sweep->kind != Kind::kNull) {
        sweep->Fail("sweep is {}: expected a list of entries", sweep->Shown());
      }
      for (const YamlNode& item : Alternatives(*sweep, "sweep")) {
        entries.push_back(ReadEntry(item, top));
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

std::vector<SweepEntry> ReadSweepFiles(const std::vector<std::string>& paths,
                                       std::vector<std::string>* files) {
  Reader reader;
  for (const std::string& path : paths) reader.Read(path, nullptr);
  *files = std::move(reader.files);
  return std::move(reader.entries);
}

}  // namespace normgrad
