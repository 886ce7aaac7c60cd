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

#include "abi/names.h"
#include "abi/status.h"
#include "base/error.h"
#include "base/text.h"
#include "ops/operators.h"
#include "ops/product.h"
#include "sweep/dtype_file.h"
#include "sweep/limits.h"
#include "sweep/yaml.h"

namespace normgrad {
namespace {

using Kind = YamlNode::Kind;
using Names = std::vector<std::string_view>;

// Keys of the top of a file that every entry inherits, and may set for itself.
constexpr std::string_view kInherited[] = {"operator", "products", "dtypes", "rows",
                                           "checks",   "layouts",  "fills",  "seeds",
                                           "eps",      "masks",    "reshape"};
constexpr std::string_view kTopOnly[] = {"include", "sweep"};
constexpr std::string_view kEntryOnly[] = {"name", "dims", "shapes"};
constexpr std::string_view kRejectInherited[] = {"operator", "products", "rows", "dims", "masks"};
constexpr std::string_view kRejectTopOnly[] = {"reject"};
constexpr std::string_view kRejectEntryOnly[] = {"because", "with", "each", "is", "expect"};

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

/// The path of the file that `node` of another file names. Only the user may name what is no file:
/// a pipe would keep the tool waiting, and opening a device may do something.
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

void CheckAxes(const YamlNode& node, std::size_t count) {
  if (count > kMaxAxes) node.Fail("{} numbers: expected at most {}", count, kMaxAxes);
}

/// `[4, 8]`, `[]` for no axes, or `8` for one.
Shape Extents(const YamlNode& node) {
  if (node.kind != Kind::kList) return {Extent(node)};
  CheckAxes(node, node.items.size());
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

/// Whether `symbol` stands for exactly one axis.
bool IsOneAxis(const Operator& op, std::string_view symbol) {
  for (const Param& param : op.params) {
    for (const PatternAxis& axis : ParsePattern(param.pattern)) {
      if (axis.symbol == symbol) return axis.kind == PatternAxis::Kind::kSingle;
    }
  }
  return false;
}

/// The extents of `symbol`: as many as it has axes.
Shape ExtentsOfSymbol(const YamlNode& node, const Operator& op, std::string_view symbol) {
  Shape extents = Extents(node);
  if (IsOneAxis(op, symbol) && extents.size() != 1) {
    node.Fail("{} has {} axes: it stands for one", symbol, extents.size());
  }
  return extents;
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
    for (const YamlNode& item : value.items) {
      entry->dims[symbol].push_back(ExtentsOfSymbol(item, *entry->op, symbol));
    }
  });
}

/// One shape: a map from every symbol to its extents.
Dims ReadShape(const YamlNode& node, const Operator& op, std::string_view what) {
  Dims dims;
  ForEachSymbol(node, op, what, [&](const std::string& symbol, const YamlNode& value) {
    dims.emplace(symbol, ExtentsOfSymbol(value, op, symbol));
  });
  return dims;
}

void ReadShapes(const YamlNode& node, SweepEntry* entry) {
  for (const YamlNode& item : Alternatives(node, "shapes")) {
    entry->shapes.push_back(ReadShape(item, *entry->op, "a shape"));
  }
}

/// The param called `name.text`, one of those for which `accepts` holds.
template <typename Accepts>
const Param& ReadParam(const YamlNode& name, const Operator& op, std::string_view what,
                       Accepts accepts) {
  Names known;
  for (const Param& param : op.params) {
    if (accepts(param)) known.push_back(param.name);
  }
  if (std::ranges::find(known, name.text) == known.end()) {
    name.Fail("unknown {} {} of {}: {}", what, name.Shown(), op.name, Suggest(name.text, known));
  }
  return op.params[FindParam(op, name.text).value()];
}

/// `masks`: one character per output, as in Case::MaskOf().
std::vector<std::string> ReadMasks(const YamlNode& node, const Operator& op) {
  const bool has_mask = std::ranges::any_of(
      op.params, [](const Param& param) { return param.kind == Param::Kind::kOutputMask; });
  if (!has_mask) node.Fail("masks has no effect: {} has no output mask", op.name);
  std::vector<std::string> masks;
  for (const YamlNode& item : Alternatives(node, "masks")) {
    const std::string& mask = Scalar(item, "mask");
    if (mask.size() != OutputCount(op) || mask.find_first_not_of("01x") != std::string::npos) {
      item.Fail(
          "mask is {}: expected {} characters, one per output: 1 wanted, 0 not wanted and "
          "null, x not wanted but given",
          item.Shown(), OutputCount(op));
    }
    masks.push_back(mask.find_first_not_of('1') == std::string::npos ? "" : mask);
  }
  return masks;
}

/// `reshape`: alternatives of shapes that the contract leaves free.
std::vector<Shared<Shapes>> ReadReshape(const YamlNode& node, const Operator& op) {
  const bool has_free =
      std::ranges::any_of(op.params, [](const Param& param) { return param.fit == Fit::kCount; });
  if (!has_free) node.Fail("reshape has no effect: no tensor of {} has a free shape", op.name);
  std::vector<Shared<Shapes>> alternatives;
  for (const YamlNode& item : Alternatives(node, "reshape")) {
    if (item.kind != Kind::kMap) {
      item.Fail("reshape is {}: expected a map of {{tensor: [extents]}}", item.Shown());
    }
    Shared<Shapes>& shapes = alternatives.emplace_back();
    for (const YamlNode& key : item.keys) {
      ReadParam(key, op, "tensor of free shape",
                [](const Param& param) { return param.fit == Fit::kCount; });
      shapes.emplace(key.text, Extents(*item.Find(key.text)));
    }
  }
  return alternatives;
}

LayoutKind ReadLayout(const YamlNode& node) {
  Names known;
  for (const LayoutKind kind : AllLayoutKinds()) known.push_back(Name(kind));
  return ParseLayoutKind(Word(node, "layout", known));
}

std::vector<LayoutChoice> ReadLayouts(const YamlNode& node, const Operator& op) {
  std::vector<LayoutChoice> layouts;
  for (const YamlNode& item : Alternatives(node, "layouts")) {
    LayoutChoice& choice = layouts.emplace_back();
    if (item.kind != Kind::kMap) {
      choice.layout = ReadLayout(item);
      continue;
    }
    if (item.keys.empty()) item.Fail("the map of layouts is empty: expected {{tensor: layout}}");
    for (const YamlNode& key : item.keys) {
      ReadParam(key, op, "tensor", [](const Param& param) { return param.IsTensor(); });
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
        row.push_back(ParseDTypeOrNone(text.substr(0, std::min(end, kLongestShown))));
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
  std::string name;                                                  // for messages
  std::map<std::string, std::vector<DTypeRow>, std::less<>> rows{};  // by product
};

/// The tables that sweeps name, each read once: a thousand entries may name the same.
class DTypeTables {
 public:
  /// The table that `node` names; null: the documented one.
  const DTypeTable& Of(const YamlNode* node, const Operator& op) {
    const std::string path = node == nullptr ? "" : PathOf(*node, "dtype table");
    const auto found = tables_.find({path, &op});
    if (found != tables_.end()) return found->second;
    if (tables_.size() == kMaxFiles) node->Fail("more than {} dtype tables", kMaxFiles);
    DTypeTable table;
    if (node == nullptr) {
      table.name = fmt::format("the document of {}", op.api);
      for (const DTypeRow& row : DocumentedDTypes(op)) {
        table.rows[std::string(row.product)].push_back(row);
      }
    } else {
      table.name = path;
      for (FileDTypeRow& row : LoadDTypeFile(path, op)) {
        // The product is the key of the map, which outlives the row.
        auto& rows = *table.rows.try_emplace(std::move(row.product)).first;
        rows.second.push_back({rows.first, std::move(row.cells)});
      }
    }
    return tables_.emplace(std::pair(path, &op), std::move(table)).first->second;
  }

 private:
  std::map<std::pair<std::string, const Operator*>, DTypeTable> tables_;
};

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

/// How many combinations of dtypes `rows` allow, one counted as often as it is allowed.
std::uint64_t CountChoices(const std::vector<DTypeRow>& rows) {
  std::uint64_t count = 0;
  for (const DTypeRow& row : rows) {
    std::uint64_t choices = 1;  // at most 5 per cell: no overflow
    for (const auto& cell : row.cells) choices *= cell.size();
    count += choices;
  }
  return count;
}

/// Every product with each combination of its rows of `table`, or each of `wanted` where that is
/// given. What the contract refuses stays in, with the reason, so that it is counted.
std::vector<CallChoice> ReadCalls(const std::vector<std::string>& products, const DTypeTable& table,
                                  const std::vector<DTypes>& wanted, const Operator& op) {
  static const std::vector<DTypeRow> kNoRows;
  std::vector<CallChoice> calls;
  for (const std::string& product : products) {
    const auto found = table.rows.find(product);
    const std::vector<DTypeRow>& rows = found == table.rows.end() ? kNoRows : found->second;
    std::vector<DTypes> asked = wanted;
    if (asked.empty()) {
      if (CountChoices(rows) > kMaxCombinations) {
        throw Error("{}: {} combinations of dtypes for {}: expected at most {}", table.name,
                    Grouped(CountChoices(rows)), product, Grouped(kMaxCombinations));
      }
      for (const DTypeRow& row : rows) {
        const auto combinations = row.Combinations();
        asked.insert(asked.end(), combinations.begin(), combinations.end());
      }
    }
    if (asked.empty()) asked.emplace_back();  // still counts as a combination
    for (DTypes& dtypes : asked) {
      const bool in_table = wanted.empty() || std::ranges::any_of(rows, [&](const DTypeRow& row) {
                              return row.Allows(dtypes);
                            });
      std::string refusal;
      if (!SupportOn(op, product).supported) {
        refusal = fmt::format("{} does not support {}", product, op.api);
      } else if (dtypes.empty()) {
        refusal = fmt::format("{} has no row for {}", table.name, product);
      } else if (!in_table) {
        refusal = fmt::format("{} has no row {} for {}", table.name, DTypesText(dtypes), product);
      } else if (!IsDocumented(op, product, dtypes)) {
        refusal = fmt::format("the document of {} has no row {} for {}", op.api, DTypesText(dtypes),
                              product);
      }
      calls.push_back({product, std::move(dtypes), std::move(refusal)});
    }
  }
  return calls;
}

/// For calls made to be refused: each product with `wanted`, or with its first documented
/// combination; with the operator's first where the product has none.
std::vector<CallChoice> ReadRejectCalls(const std::vector<std::string>& products,
                                        const std::vector<DTypes>& wanted, const Operator& op) {
  std::vector<CallChoice> calls;
  for (const std::string& product : products) {
    if (!wanted.empty()) {
      for (const DTypes& dtypes : wanted) calls.push_back({product, dtypes, ""});
      continue;
    }
    const auto rows = DocumentedDTypes(op);
    const auto own = std::ranges::find(rows, product, &DTypeRow::product);
    const DTypeRow& row = own != rows.end() ? *own : rows.front();
    calls.push_back({product, row.Combinations().front(), ""});
  }
  return calls;
}

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

/// Reads `code`, the name of one of `codes`.
std::int32_t ReadCode(const YamlNode& node, std::string_view what,
                      std::span<const NamedCode> codes) {
  Names known;
  for (const NamedCode& code : codes) known.push_back(code.name);
  return FindCode(codes, Word(node, what, known)).value();
}

std::vector<bool> ReadBits(const YamlNode& node) {
  const std::string& text = Scalar(node, "mask");
  if (text.find_first_not_of("01") != std::string::npos) {
    node.Fail("mask is {}: expected any number of 0 and 1", node.Shown());
  }
  CheckAxes(node, text.size());
  std::vector<bool> bits;
  for (const char c : text) bits.push_back(c == '1');
  return bits;
}

/// Whole numbers, negative ones included: a call made to be refused may hold any.
Shape ReadNumbers(const YamlNode& node) {
  CheckAxes(node, node.items.size());
  Shape numbers;
  for (const YamlNode& item :
       node.kind == Kind::kList ? std::span(node.items) : std::span(&node, 1)) {
    const std::string& text = Scalar(item, "a number");
    const char* const end = text.data() + text.size();
    std::int64_t number = 0;
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc() || stop != end) {
      item.Fail("{} is no whole number of 64 bits", item.Shown());
    }
    numbers.push_back(number);
  }
  return numbers;
}

/// How one argument is changed. `param` is null for workspaceSize and executor.
Change ReadChange(const YamlNode& node, const Param* param) {
  Change change;
  if (node.kind == Kind::kNull) {
    if (param != nullptr && param->kind == Param::Kind::kExtent) {
      node.Fail("{} is a number: it cannot be null", param->name);
    }
    change.null = true;
    return change;
  }
  Names keys;
  if (param == nullptr) {
    node.Fail("expected null: nothing else can be wrong about this pointer");
  } else if (param->IsTensor()) {
    keys = {"shape", "dtype", "format"};
  } else if (param->kind == Param::Kind::kExtents) {
    keys = {"elements"};
  } else if (param->kind == Param::Kind::kExtent) {
    keys = {"value"};
  } else {
    keys = {"mask"};
  }
  if (node.kind != Kind::kMap || node.keys.empty()) {
    node.Fail("the change of {} is {}: expected null or a map with {}", param->name,
              node.kind == Kind::kMap ? "empty" : node.Shown(), fmt::join(keys, ", "));
  }
  for (const YamlNode& key : node.keys) {
    const YamlNode& value = *node.Find(key.text);
    const std::string& what = Word(key, "change", keys);
    if (what == "dtype") {
      const bool outside = value.kind == Kind::kScalar && value.text == "outside";
      change.dtype = outside ? kEveryDTypeOutside : ReadCode(value, "dtype", DataTypes());
    } else if (what == "format") {
      change.format = ReadCode(value, "format", TensorFormats());
    } else if (what == "mask") {
      change.mask = ReadBits(value);
    } else {
      change.shape = ReadNumbers(value);
      if (what == "value" && change.shape->size() != 1) value.Fail("expected one number");
    }
  }
  return change;
}

/// The param that `name` names; null for workspaceSize and executor.
const Param* ReadChanged(const YamlNode& name, const Operator& op) {
  if (name.text == "workspaceSize" || name.text == "executor") return nullptr;
  return &ReadParam(name, op, "argument", [](const Param&) { return true; });
}

Changes ReadWith(const YamlNode& node, const Operator& op) {
  if (node.kind != Kind::kMap || node.keys.empty()) {
    node.Fail("with is {}: expected a map of {{argument: change}}",
              node.kind == Kind::kMap ? "empty" : node.Shown());
  }
  Changes changes;
  for (const YamlNode& key : node.keys) {
    changes.emplace(key.text, ReadChange(*node.Find(key.text), ReadChanged(key, op)));
  }
  return changes;
}

/// `each` argument in turn changed as `is` says.
std::vector<Shared<Changes>> ReadEach(const YamlNode& each, const YamlNode& is,
                                      const Operator& op) {
  std::vector<Shared<Changes>> alternatives;
  for (const YamlNode& name : Alternatives(each, "each")) {
    Scalar(name, "an argument");
    alternatives.push_back({{name.text, ReadChange(is, ReadChanged(name, op))}});
  }
  return alternatives;
}

Expectation ReadExpectation(const YamlNode& entry) {
  const YamlNode* const because = entry.Find("because");
  if (because == nullptr) entry.Fail("because is missing: expected the rule under test, in words");
  const YamlNode* const expect = entry.Find("expect");
  if (expect == nullptr) {
    entry.Fail("expect is missing: expected a status such as ACLNN_ERR_PARAM_INVALID, or refused");
  }
  Expectation expectation{{}, Scalar(*because, "because")};
  if (expectation.because.empty()) because->Fail("because is empty: expected words");
  const std::string& status = Scalar(*expect, "expect");
  if (status == "refused") return expectation;
  expectation.status = status == "ACLNN_SUCCESS" ? 0 : ParseStatus(status);
  if (!expectation.status) {
    expect->Fail(
        "unknown status {}: expected the name of an aclnn status, ACLNN_SUCCESS or "
        "refused",
        expect->Shown());
  }
  return expectation;
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
