// SPDX-License-Identifier: Apache-2.0
#include "ops/contract.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace normgrad {
namespace {

using Kind = Violation::Kind;

std::string DTypeText(const TensorArg& tensor) {
  return tensor.dtype ? std::string(Name(*tensor.dtype))
                      : fmt::format("aclDataType {}", tensor.dtype_code);
}

std::optional<Violation> CheckDTypes(const Operator& op, std::string_view product,
                                     std::span<const TensorArg> tensors, DTypes* dtypes) {
  const auto columns = DTypeColumns(op);
  std::vector<const Param*> first(columns.size(), nullptr);
  dtypes->assign(columns.size(), DType::kFloat32);
  for (std::size_t i = 0; i < op.params.size(); ++i) {
    const Param& param = op.params[i];
    const TensorArg& tensor = tensors[i];
    if (!tensor.present) continue;
    if (!tensor.dtype) {
      return Violation{Kind::kDType,
                       fmt::format("{}: {} is not supported", param.name, DTypeText(tensor))};
    }
    const std::size_t column = DTypeColumn(op, param);
    if (first[column] == nullptr) {
      first[column] = &param;
      (*dtypes)[column] = *tensor.dtype;
    } else if (*tensor.dtype != (*dtypes)[column]) {
      return Violation{Kind::kDType,
                       fmt::format("{}: dtype {}, expected {} as {}", param.name, DTypeText(tensor),
                                   Name((*dtypes)[column]), first[column]->name)};
    }
  }
  const auto rows = DocumentedDTypes(op);
  const bool listed = std::ranges::any_of(
      rows, [&](const DTypeRow& row) { return row.product == product && row.dtypes == *dtypes; });
  if (listed) return std::nullopt;
  std::vector<std::string> cells;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    cells.push_back(fmt::format("{} {}", columns[i], Name((*dtypes)[i])));
  }
  return Violation{Kind::kDType, fmt::format("dtypes {} are not a row of {}'s table for {}",
                                             fmt::join(cells, ", "), op.api, product)};
}

bool Fits(const Param& param, const Shape& shape, const Shape& expected) {
  if (!param.may_omit_ones || shape.size() >= expected.size()) return shape == expected;
  const auto omitted = expected.begin() + static_cast<std::ptrdiff_t>(shape.size());
  return std::equal(shape.begin(), shape.end(), expected.begin()) &&
         std::all_of(omitted, expected.end(), [](std::int64_t extent) { return extent == 1; });
}

}  // namespace

std::optional<Violation> CheckContract(const Operator& op, std::string_view product,
                                       std::span<const TensorArg> tensors, Dims* dims,
                                       DTypes* dtypes) {
  for (std::size_t i = 0; i < op.params.size(); ++i) {
    if (!tensors[i].present && !op.params[i].optional) {
      return Violation{Kind::kNullPointer, fmt::format("{}: is null", op.params[i].name)};
    }
  }
  if (!SupportOn(op, product).supported) {
    return Violation{Kind::kProduct, fmt::format("{} does not support {}", product, op.api)};
  }
  if (auto violation = CheckDTypes(op, product, tensors, dtypes)) return violation;

  dims->clear();
  // A pass that binds nothing is the last, so this ends after at most one pass per symbol.
  for (bool bound_any = true; bound_any;) {
    bound_any = false;
    for (std::size_t i = 0; i < op.params.size(); ++i) {
      // A shape that may leave axes out cannot tell which of them it has.
      if (!tensors[i].present || op.params[i].may_omit_ones) continue;
      bound_any |= Bind(op.params[i].pattern, tensors[i].shape, dims);
    }
  }
  for (std::size_t i = 0; i < op.params.size(); ++i) {
    if (!tensors[i].present) continue;
    const Param& param = op.params[i];
    for (const PatternAxis& axis : ParsePattern(param.pattern)) {
      if (dims->contains(axis.symbol)) continue;
      return Violation{Kind::kShape,
                       fmt::format("{}: shape {} has too few axes for \"{}\" ({})", param.name,
                                   ToString(tensors[i].shape), param.pattern, ToString(*dims))};
    }
    const Shape expected = Expand(param.pattern, *dims);
    if (!Fits(param, tensors[i].shape, expected)) {
      return Violation{Kind::kShape,
                       fmt::format("{}: shape {}, expected {} (\"{}\", {})", param.name,
                                   ToString(tensors[i].shape), ToString(expected), param.pattern,
                                   ToString(*dims))};
    }
  }
  for (const Rule& rule : op.rules) {
    if (!rule.holds({product, *dims, *dtypes})) {
      return Violation{Kind::kRule,
                       fmt::format("violates \"{}\" ({})", rule.text, ToString(*dims))};
    }
  }
  return std::nullopt;
}

std::int32_t StatusOf(const Operator& op, const Violation& violation) {
  switch (violation.kind) {
    case Kind::kNullPointer: return kAclnnParamNullptr;
    case Kind::kProduct:
    case Kind::kDType: return kAclnnParamInvalid;
    case Kind::kShape:
    case Kind::kRule: return op.shape_status;
  }
  return kAclnnParamInvalid;
}

}  // namespace normgrad
