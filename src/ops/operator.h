// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/dtype.h"
#include "ops/product.h"
#include "ops/shape_pattern.h"

namespace normgrad {

/// What a tensor is for. The role fixes its default fill and its place in the traffic model, so
/// that no operator states either, and, unless the tensor has a dtype of its own, its dtype column.
enum class Role {
  kData,        // dy, x, dx: the activations and their gradients
  kStatistic,   // mean, rstd: saved by the forward pass, derived from x when filling
  kScale,       // gamma, weight, bias
  kScaleGrad,   // dgamma, dbeta: reduced over every row
  kChannelSum,  // sums over a channel that an earlier reduction left, derived from the data
  kCount,       // how many elements such sums are over
};

/// "data", "statistic", "scale", "scale_grad", "channel_sum", "count".
std::string_view Name(Role role);

/// How the shape of a tensor must agree with its pattern.
enum class Fit {
  kShape,         // it is the pattern's
  kTrailingOnes,  // it is, or leaves out trailing axes of extent 1
  kCount,         // it has as many elements, in any shape
};

/// One parameter of the operator's C function.
struct Param {
  enum class Kind {
    kInput,       // const aclTensor*
    kOutput,      // aclTensor*
    kExtents,     // const aclIntArray*: the extents of its pattern
    kExtent,      // int64_t: their product
    kOutputMask,  // const aclBoolArray*: which outputs are wanted, one bit each, in order
  };
  Kind kind;
  std::string_view name;  // the vendor's spelling, so that messages match its documentation
  Role role = Role::kData;
  std::string_view pattern;  // see ops/shape_pattern.h
  Fit fit = Fit::kShape;
  std::size_t min_rank = 0;          // documented beyond what the pattern says
  std::string_view same_shape_as{};  // a param whose shape it has, where that one is present
  bool optional = false;             // an input that may be null: as if it were all ones, or unused
  bool null_is_invalid = false;      // null is 161002, not 161001
  bool own_dtype = false;            // its dtype column is its name, not its role

  bool IsTensor() const { return kind == Kind::kInput || kind == Kind::kOutput; }
};

// A malformed pattern does not compile: consteval turns the throw into an error at the call site.
consteval Param WithPattern(Param param) {
  if (!IsShapePattern(param.pattern)) throw "malformed shape pattern";
  return param;
}
consteval Param Input(std::string_view name, Role role, std::string_view pattern) {
  return WithPattern({.kind = Param::Kind::kInput, .name = name, .role = role, .pattern = pattern});
}
consteval Param Output(std::string_view name, Role role, std::string_view pattern) {
  return WithPattern(
      {.kind = Param::Kind::kOutput, .name = name, .role = role, .pattern = pattern});
}
consteval Param ExtentsOf(std::string_view name, std::string_view pattern) {
  return WithPattern({.kind = Param::Kind::kExtents, .name = name, .pattern = pattern});
}
consteval Param ExtentOf(std::string_view name, std::string_view pattern) {
  return WithPattern({.kind = Param::Kind::kExtent, .name = name, .pattern = pattern});
}
consteval Param OutputMask(std::string_view name) {
  return {.kind = Param::Kind::kOutputMask, .name = name, .pattern = ""};
}

/// `param`, whose shape may leave out trailing axes of extent 1. It binds no symbol.
consteval Param MayOmitOnes(Param param) {
  param.fit = Fit::kTrailingOnes;
  return param;
}

/// `param`, which may have any shape of at least `min_rank` axes with the right number of elements.
/// It binds no symbol.
consteval Param AnyShape(Param param, std::size_t min_rank = 0) {
  param.fit = Fit::kCount;
  param.min_rank = min_rank;
  return param;
}

/// `param`, whose shape is that of the param called `other`, or its pattern's where that is null.
/// It binds no symbol.
consteval Param ShapedAs(std::string_view other, Param param) {
  param.same_shape_as = other;
  return param;
}

/// `param`, which may be null.
consteval Param Optional(Param param) {
  param.optional = true;
  return param;
}

/// `param`, whose being null is documented as 161002.
consteval Param NullIsInvalid(Param param) {
  param.null_is_invalid = true;
  return param;
}

/// `param`, whose dtype is independent of those of the other tensors of its role.
consteval Param OwnDType(Param param) {
  param.own_dtype = true;
  return param;
}

/// One dtype per dtype column of the operator (see DTypeColumns), in column order; DType::kNone for
/// an input that is null.
using DTypes = std::vector<DType>;

/// What a rule may ask about: a call whose symbols are bound and whose dtypes are legal.
struct CallFacts {
  std::string_view product;
  const Dims& dims;
  const DTypes& dtypes;
};

/// A constraint that is not the agreement of shapes or dtypes, in the words of the documentation.
struct Rule {
  std::string_view text;
  bool (*holds)(const CallFacts& call);
  std::string_view product{};  // the only one it is about; empty: all
};

/// Legal dtypes of one product: a row of cases/<operator>/dtypes.csv. Any choice of one dtype per
/// cell is a legal combination; kNone among them means that the input may be null.
struct DTypeRow {
  std::string_view product;
  std::vector<std::vector<DType>> cells;  // one per dtype column

  bool Allows(const DTypes& dtypes) const;

  /// Every choice of one dtype per cell, the last column's fastest.
  std::vector<DTypes> Combinations() const;
};

/// When equal inputs must give equal bits.
enum class Promise {
  kAlways,     // whatever the determinism option says
  kOnRequest,  // once ACL_OPT_DETERMINISTIC is on
};

/// What the document says about an operator on a product: a row of cases/<operator>/products.csv.
struct Support {
  std::string_view product;
  bool supported = false;
  Promise deterministic = Promise::kOnRequest;
};

/// Cells of an embedded CSV file, row by row, header first. Width is fixed per file; unused cells
/// of a narrower file are empty.
inline constexpr std::size_t kMaxCsvColumns = 10;
using EmbeddedRow = std::array<std::string_view, kMaxCsvColumns>;

/// Everything the engine knows about one operator. Case expansion, validation, filling, the C call,
/// comparison, byte counting and reporting read this; none of them names an operator.
struct Operator {
  std::string_view name;                      // "rms_norm_grad": file names, YAML, reports
  std::string_view api;                       // "aclnnRmsNormGrad": the phase-2 symbol
  std::string_view formula;                   // for `describe`, several lines
  std::string_view source;                    // the document the contract was taken from
  std::span<const Param> params;              // in C-ABI order, without workspaceSize and executor
  std::span<const Rule> rules;                // beside the agreement of shapes and dtypes
  std::int32_t shape_status;                  // documented status of a broken shape or rule
  bool plain_formats_only = false;            // private formats of data tensors are 161002
  std::span<const EmbeddedRow> dtypes_csv;    // cases/<name>/dtypes.csv
  std::span<const EmbeddedRow> products_csv;  // cases/<name>/products.csv
};

/// The most axes a tensor of any operator may have.
inline constexpr std::size_t kMaxRank = 8;

/// Index into op.params of the param called `name`; empty when it has none.
std::optional<std::size_t> FindParam(const Operator& op, std::string_view name);

/// How many outputs `op` has, which is how many bits its mask has.
std::size_t OutputCount(const Operator& op);

/// The dtype column of `param`, a tensor: its role, or its name where it has a dtype of its own.
std::string_view ColumnName(const Param& param);

/// The dtype columns of `op`'s tensors, in order of first appearance.
std::vector<std::string_view> DTypeColumns(const Operator& op);

/// Index into DTypes of the dtype of `param`, a tensor.
std::size_t DTypeColumn(const Operator& op, const Param& param);

/// The documented rows, every product, in the order of the file. Read once per process.
std::span<const DTypeRow> DocumentedDTypes(const Operator& op);

/// Whether a row of `product` allows `dtypes`.
bool IsDocumented(const Operator& op, std::string_view product, const DTypes& dtypes);

/// One entry per product that the document names; std::logic_error for a product it does not.
std::span<const Support> DocumentedSupport(const Operator& op);
Support SupportOn(const Operator& op, std::string_view product);

}  // namespace normgrad
