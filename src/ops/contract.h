// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "ops/operator.h"

namespace normgrad {

/// A tensor argument as the C API sees it. A null tensor is `present == false`.
struct TensorArg {
  bool present = false;
  Shape shape;
  std::optional<DType> dtype;  // empty: a dtype no operator knows, described by dtype_code
  std::int32_t dtype_code = 0;
};

/// Which rule of the contract a call broke, in words fit for a log line.
struct Violation {
  enum class Kind {
    kNullPointer,  // a required tensor is null
    kProduct,      // the product does not offer the operator
    kDType,        // no row of the product's dtype table
    kShape,        // a shape disagrees with the others
    kRule,         // one of Operator::rules
  };
  Kind kind;
  std::string message;  // "dy: shape [4, 8], expected [4, 16] (\"*A *R\", A=[4], R=[16])"
};

/// Checks one call against the contract of `op` on `product`, in the documented order: null
/// pointers, product, dtypes, shapes, rules. The first offender is reported.
///
/// `tensors` has one entry per param of `op`, in that order. On success every symbol is bound in
/// `*dims` and every column in `*dtypes`; on failure both are unspecified.
std::optional<Violation> CheckContract(const Operator& op, std::string_view product,
                                       std::span<const TensorArg> tensors, Dims* dims,
                                       DTypes* dtypes);

/// Statuses of the aclnn functions, ACLNN_ERR_PARAM_NULLPTR and ACLNN_ERR_PARAM_INVALID, which no
/// public header of CANN names. Source: CANN ops-nn, docs/zh/context/aclnn_return_code.md.
inline constexpr std::int32_t kAclnnParamNullptr = 161001;
inline constexpr std::int32_t kAclnnParamInvalid = 161002;

/// The aclnn status phase 1 documents for `violation`: 161001, 161002 or 561002.
std::int32_t StatusOf(const Operator& op, const Violation& violation);

}  // namespace normgrad
