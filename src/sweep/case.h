// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/layout.h"
#include "base/shared.h"
#include "ops/contract.h"
#include "ops/operator.h"

namespace normgrad {

/// How one argument departs from the legal call that the rest of a case describes. What is empty
/// stays as it is.
struct Change {
  bool null = false;
  std::optional<Shape> shape{};  // of a tensor; the elements of an int array; {value} of an extent
  std::optional<std::int32_t> dtype{};      // aclDataType
  std::optional<std::int32_t> format{};     // aclFormat
  std::optional<std::vector<bool>> mask{};  // of a bool array

  bool operator==(const Change&) const = default;
};

/// By param name, or "workspaceSize" and "executor" for the pointers phase 1 answers through.
using Changes = std::map<std::string, Change, std::less<>>;

/// By param name.
using Layouts = std::map<std::string, LayoutKind, std::less<>>;
using Shapes = std::map<std::string, Shape, std::less<>>;

/// What phase 1 must answer.
struct Expectation {
  std::optional<std::int32_t> status{};  // this one; empty: any but success
  std::string because{};                 // the rule under test, in the words of the sweep

  bool AcceptsStatus(std::int32_t actual) const { return status ? actual == *status : actual != 0; }
};

struct Case;

/// One fully determined call of one operator, and the questions to ask about it. Everything a run
/// depends on is here, so equal cases give bitwise equal inputs on every machine. A plain value, of
/// which a sweep may have a million: what its entry gives to many cases they share.
struct Case {
  const Operator* op = nullptr;
  std::string product;  // Product::key
  Shared<Dims> dims;
  DTypes dtypes;                                // one per DTypeColumns(*op)
  LayoutKind layout = LayoutKind::kContiguous;  // of every tensor …
  Shared<Layouts> layout_of;                    // … but these
  std::string masks{};                          // see MaskOf()
  Shared<Shapes> reshaped;                      // shapes the contract leaves free
  Shared<Changes> changes;                      // a call that is not the legal one of the above
  std::optional<Expectation> expectation{};     // set in calls made to be refused, or accepted
  std::shared_ptr<const Case> legal{};          // a call that must still pass after this one
  std::string fill = "normal";
  double eps = 1e-6;  // of the forward pass that makes the statistics
  std::uint64_t seed = 1;
  Shared<std::vector<std::string>> checks;  // in the order of CheckNames()
  std::string source;                       // "cases/rms.yaml:12:5"

  /// "rms_norm_grad/atlas-a2/A=4x512,R=4096/float16-float32-float16-float32": operator, product,
  /// extents ("A=" for no axes), dtypes; then, only where they differ from the defaults,
  /// "/mask=110", "/shape=mean:4x1", "/with=x:null", "/<layout>" (or "/dy:transposed,x:offset"),
  /// "/<fill>", "/eps=…", "/seed=…". Unique within a sweep.
  std::string Id() const;

  /// Hash of what determines the call (all of the above but checks and source): the key of random
  /// data. Stable across releases.
  std::uint64_t Hash() const;

  LayoutKind LayoutOf(const Param& param) const;
  DType DTypeOf(const Param& param) const;  // kNone of an input that is null
  Shape ShapeOf(const Param& param) const;

  /// Of an output: '1' wanted; '0' not wanted, and null; 'x' not wanted, but a tensor that must
  /// stay as it is.
  char MaskOf(const Param& output) const;

  /// Whether the call passes a tensor for `param`.
  bool Passes(const Param& param) const;

  /// Whether `param` is a tensor that takes part: an input that is not null, an output wanted.
  bool Uses(const Param& param) const;
};

/// The arguments of the call, changes applied, one per param of its operator.
std::vector<CallArg> ArgsOf(const Case& the_case);

/// The rule that the call breaks, of the contract on its product; empty when it is legal.
std::optional<Violation> ViolationOf(const Case& the_case);

/// What sets the call apart from the plain one of its shape and dtypes: "mask=110 shape=mean:4x1";
/// empty when nothing does.
std::string VariantText(const Case& the_case);

/// "float16-float32-float16-float32"
std::string DTypesText(const DTypes& dtypes);

/// "contiguous", "transposed", "dy:transposed,x:offset".
std::string LayoutText(const Case& the_case);

/// Names of checks a sweep may ask for, in the order they run, and of fills.
std::span<const std::string_view> CheckNames();
std::span<const std::string_view> FillNames();

}  // namespace normgrad
