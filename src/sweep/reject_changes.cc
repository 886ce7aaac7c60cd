// SPDX-License-Identifier: Apache-2.0
#include "sweep/reject_changes.h"

#include <charconv>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

#include <fmt/ranges.h>

#include "abi/names.h"
#include "abi/status.h"
#include "sweep/entry_parts.h"

namespace normgrad {
namespace {

using Kind = YamlNode::Kind;

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

}  // namespace

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

}  // namespace normgrad
