// SPDX-License-Identifier: Apache-2.0
#include "sweep/entry_parts.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <system_error>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/text.h"

namespace normgrad {
namespace {

using Kind = YamlNode::Kind;

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

LayoutKind ReadLayout(const YamlNode& node) {
  Names known;
  for (const LayoutKind kind : AllLayoutKinds()) known.push_back(Name(kind));
  return ParseLayoutKind(Word(node, "layout", known));
}

}  // namespace

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

const Param& ReadParam(const YamlNode& name, const Operator& op, std::string_view what,
                       bool (*accepts)(const Param& param)) {
  Names known;
  for (const Param& param : op.params) {
    if (accepts(param)) known.push_back(param.name);
  }
  if (std::ranges::find(known, name.text) == known.end()) {
    name.Fail("unknown {} {} of {}: {}", what, name.Shown(), op.name, Suggest(name.text, known));
  }
  return op.params[FindParam(op, name.text).value()];
}

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

}  // namespace normgrad
