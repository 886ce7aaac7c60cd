// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/dtype.h"
#include "ops/product.h"
#include "ops/shape_pattern.h"

namespace normgrad {

/// What a tensor is for. The role fixes its dtype column, its default fill and its place in the
/// traffic model, so that no operator states any of the three.
enum class Role {
  kData,       // dy, x, dx: the activations and their gradients
  kStatistic,  // mean, rstd: saved by the forward pass, derived from x when filling
  kScale,      // gamma, weight, bias
  kScaleGrad,  // dgamma, dbeta: reduced over every row
};

/// "data", "statistic", "scale", "scale_grad": the dtype column of a tensor of this role.
std::string_view Name(Role role);

/// One parameter of the operator's C function.
struct Param {
  enum class Kind {
    kInput,   // const aclTensor*
    kOutput,  // aclTensor*
  };
  Kind kind;
  std::string_view name;  // the vendor's spelling, so that messages match its documentation
  Role role = Role::kData;
  std::string_view pattern;  // see ops/shape_pattern.h
  bool optional = false;
  bool may_omit_ones = false;  // its shape may leave out trailing axes of extent 1
};

// A malformed pattern does not compile: consteval turns the throw into an error at the call site.
consteval Param Tensor(Param::Kind kind, std::string_view name, Role role, std::string_view shape) {
  if (!IsShapePattern(shape)) throw "malformed shape pattern";
  return {kind, name, role, shape};
}
consteval Param Input(std::string_view name, Role role, std::string_view shape) {
  return Tensor(Param::Kind::kInput, name, role, shape);
}
consteval Param Output(std::string_view name, Role role, std::string_view shape) {
  return Tensor(Param::Kind::kOutput, name, role, shape);
}

/// `param`, whose shape may leave out trailing axes of extent 1. It binds no symbol.
consteval Param MayOmitOnes(Param param) {
  param.may_omit_ones = true;
  return param;
}

/// One dtype per dtype column of the operator (see DTypeColumns), in column order.
using DTypes = std::vector<DType>;

/// What a rule may ask about: a call whose shapes are bound and whose dtypes are legal.
struct CallFacts {
  std::string_view product;
  const Dims& dims;
  const DTypes& dtypes;
};

/// A constraint that is not the agreement of shapes or dtypes, in the words of the documentation.
struct Rule {
  std::string_view text;
  bool (*holds)(const CallFacts& call);
};

/// One legal dtype combination of one product: a row of cases/<operator>/dtypes.csv.
struct DTypeRow {
  std::string_view product;
  DTypes dtypes;
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
  std::span<const Rule> rules;                // checked after the shapes
  std::int32_t shape_status;                  // documented status of a broken shape rule
  std::span<const EmbeddedRow> dtypes_csv;    // cases/<name>/dtypes.csv
  std::span<const EmbeddedRow> products_csv;  // cases/<name>/products.csv
};

/// The dtype columns of `op`: the roles its tensors have, in order of first appearance.
std::vector<std::string_view> DTypeColumns(const Operator& op);

/// Index into DTypes of `param`'s dtype.
std::size_t DTypeColumn(const Operator& op, const Param& param);

/// Documented legal combinations, every product, in the order of the file.
std::vector<DTypeRow> DocumentedDTypes(const Operator& op);

/// One entry per product that the document names; std::logic_error for a product it does not.
std::vector<Support> DocumentedSupport(const Operator& op);
Support SupportOn(const Operator& op, std::string_view product);

}  // namespace normgrad
