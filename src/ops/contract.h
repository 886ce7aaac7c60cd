// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ops/operator.h"

namespace normgrad {

/// aclFormat ACL_FORMAT_ND: plain strides and nothing else.
inline constexpr std::int32_t kNdFormat = 2;

/// One argument of a C call as the contract sees it.
struct CallArg {
  bool present = false;        // of a pointer: it is not null
  Shape shape{};               // of a tensor; the elements of an int array; {value} of an extent
  std::optional<DType> dtype;  // of a tensor; empty: one no operator knows, see dtype_code
  std::int32_t dtype_code = 0;
  std::int32_t format = kNdFormat;  // of a tensor
  std::vector<bool> mask{};         // of a bool array
};

/// Which rule of the contract a call broke, in words fit for a log line.
struct Violation {
  enum class Kind {
    kNullPointer,  // a required pointer is null
    kProduct,      // the product does not offer the operator
    kDType,        // no row of the product's dtype table
    kShape,        // a shape disagrees with the others, or with an extent
    kRule,         // one of Operator::rules, a mask of the wrong size, a private format
  };
  Kind kind;
  std::int32_t status;  // 161001, 161002 or 561002: what the document says phase 1 returns
  std::string rule;     // DocumentedRule::text of the rule
  std::string message;  // "dy: shape [4, 8], expected [4, 16] (\"*A *R\", A=[4], R=[16])"
};

/// Checks one call against the contract of `op` on `product`: null pointers first, as documented;
/// then product, dtypes, formats, mask, ranks, rules, shapes. The first offender is reported.
///
/// `args` has one entry per param of `op`, in that order. Outputs whose mask bit is false are
/// looked at no further, present or not. On success every symbol is bound in `*dims` and every
/// column in `*dtypes`, DType::kNone where no tensor of it is used; on failure both are
/// unspecified.
std::optional<Violation> CheckContract(const Operator& op, std::string_view product,
                                       std::span<const CallArg> args, Dims* dims, DTypes* dtypes);

/// Whether output number `output` of a call with these arguments is wanted: its mask bit, true
/// where there is none.
bool IsWanted(const Operator& op, std::span<const CallArg> args, std::size_t output);

/// One reason to refuse a call that the document of an operator gives.
struct DocumentedRule {
  std::int32_t status;
  std::string text;  // what must hold: "gamma is not null"
};

/// Every rule of `op` that a call on `product` can break: what Violation::rule may be, and those
/// about the two pointers phase 1 answers through. On a product that does not support `op` that is
/// the only one.
std::vector<DocumentedRule> DocumentedRules(const Operator& op, std::string_view product);

/// The rule that phase 1's own `pointer`, workspaceSize or executor, is not null.
std::string NotNullRule(std::string_view pointer);

/// Statuses of the aclnn functions, ACLNN_ERR_PARAM_NULLPTR and ACLNN_ERR_PARAM_INVALID, which no
/// public header of CANN names. Source: CANN ops-nn, docs/zh/context/aclnn_return_code.md.
inline constexpr std::int32_t kAclnnParamNullptr = 161001;
inline constexpr std::int32_t kAclnnParamInvalid = 161002;

}  // namespace normgrad
