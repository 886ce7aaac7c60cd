// SPDX-License-Identifier: Apache-2.0
#include "ops/contract.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "abi/names.h"

namespace normgrad {
namespace {

using Kind = Violation::Kind;

// The texts of rules, each in one place for the check and for the list.
std::string WantedRule(const Param& param) {
  return fmt::format("{} is not null where its mask bit is true", param.name);
}
std::string DTypeRule(const Param& param) {
  return fmt::format("{} has a dtype of the table", param.name);
}
std::string FormatRule(const Param& param) {
  return fmt::format("{} has no private format", param.name);
}
std::string NegativeRule(const Param& param) {
  return fmt::format("{} is not negative", param.name);
}
constexpr std::string_view kProductRule = "the product supports the operator";

/// Whether a mask says which outputs of `op` are wanted.
bool HasMask(const Operator& op) {
  return std::ranges::find(op.params, Param::Kind::kOutputMask, &Param::kind) != op.params.end();
}

std::string MaskRule(const Operator& op, const Param& param) {
  return fmt::format("{} has {} elements", param.name, OutputCount(op));
}
std::string MostAxesRule(const Param& param) {
  return fmt::format("{} has at most {} axes", param.name, kMaxRank);
}
std::string LeastAxesRule(const Param& param) {
  return fmt::format("{} has at least {} {}", param.name, param.min_rank,
                     param.min_rank == 1 ? "axis" : "axes");
}
std::string ShapeRule(const Operator& op, const Param& param) {
  if (!param.same_shape_as.empty()) {
    const Param& other = op.params[FindParam(op, param.same_shape_as).value()];
    return fmt::format("{} has the shape of {}{}", param.name, other.name,
                       other.optional ? fmt::format(", or {}", param.pattern) : "");
  }
  switch (param.fit) {
    case Fit::kShape: return fmt::format("{} has the shape {}", param.name, param.pattern);
    case Fit::kTrailingOnes:
      return fmt::format("{} has the shape {}, or leaves out trailing ones", param.name,
                         param.pattern);
    case Fit::kCount: break;
  }
  return fmt::format("{} has as many elements as {}", param.name, param.pattern);
}

/// Whether more than kMaxRank axes are a violation of their own, not just the wrong shape.
bool IsRankFree(const Param& param) {
  if (param.fit == Fit::kCount || !param.same_shape_as.empty()) return true;
  const auto axes = ParsePattern(param.pattern);
  return std::ranges::any_of(
      axes, [](const PatternAxis& axis) { return axis.kind == PatternAxis::Kind::kGroup; });
}

/// Whether the shape of `param` is what its symbol stands for, so that it cannot be wrong: others
/// disagree with it.
bool DefinesItsSymbol(const Operator& op, const Param& param) {
  const auto axes = ParsePattern(param.pattern);
  if (axes.size() != 1 || axes[0].kind != PatternAxis::Kind::kGroup) return false;
  const auto first = std::ranges::find(op.params, param.pattern, &Param::pattern);
  return first->name == param.name && param.fit == Fit::kShape;
}

/// The answers of one call, one function per group of rules.
class Checker {
 public:
  Checker(const Operator& op, std::string_view product, std::span<const CallArg> args, Dims* dims,
          DTypes* dtypes)
      : op_(op), product_(product), args_(args), dims_(*dims), dtypes_(*dtypes) {
    std::size_t output = 0;
    for (std::size_t i = 0; i < op.params.size(); ++i) {
      const bool is_output = op.params[i].kind == Param::Kind::kOutput;
      wanted_.push_back(!is_output || IsWanted(op, args, output++));
    }
  }

  std::optional<Violation> Check() {
    if (auto violation = CheckNull()) return violation;
    if (!SupportOn(op_, product_).supported) {
      return Violation{Kind::kProduct, kAclnnParamInvalid, std::string(kProductRule),
                       fmt::format("{} does not support {}", product_, op_.api)};
    }
    if (auto violation = CheckDTypes()) return violation;
    if (auto violation = CheckFormats()) return violation;
    if (auto violation = CheckMask()) return violation;
    if (auto violation = CheckRanks()) return violation;
    if (auto violation = BindSymbols()) return violation;
    for (const Rule& rule : op_.rules) {
      if (rule.holds({product_, dims_, dtypes_})) continue;
      return Violation{Kind::kRule, op_.shape_status, std::string(rule.text),
                       fmt::format("violates \"{}\" ({})", rule.text, ToString(dims_))};
    }
    if (auto violation = CheckExtents()) return violation;
    return CheckShapes();
  }

 private:
  /// A tensor that the call uses.
  bool IsUsed(std::size_t i) const {
    return op_.params[i].IsTensor() && args_[i].present && wanted_[i];
  }

  std::optional<Violation> CheckNull() const {
    // A null mask whose being null is 161002 must not hide a pointer whose being null is 161001.
    for (const bool invalid : {false, true}) {
      for (std::size_t i = 0; i < op_.params.size(); ++i) {
        const Param& param = op_.params[i];
        const bool required = !param.optional && wanted_[i];
        if (args_[i].present || !required || param.null_is_invalid != invalid) continue;
        const bool masked = param.kind == Param::Kind::kOutput && HasMask(op_);
        return Violation{Kind::kNullPointer, invalid ? kAclnnParamInvalid : kAclnnParamNullptr,
                         masked ? WantedRule(param) : NotNullRule(param.name),
                         fmt::format("{}: is null", param.name)};
      }
    }
    return std::nullopt;
  }

  /// Narrows the rows of the table tensor by tensor; the one that leaves none is the offender.
  std::optional<Violation> CheckDTypes() {
    const auto columns = DTypeColumns(op_);
    std::vector<const Param*> first(columns.size(), nullptr);
    dtypes_.assign(columns.size(), DType::kNone);
    std::vector<const DTypeRow*> rows;
    for (const DTypeRow& row : DocumentedDTypes(op_)) {
      if (row.product == product_) rows.push_back(&row);
    }
    for (std::size_t i = 0; i < op_.params.size(); ++i) {
      const Param& param = op_.params[i];
      if (!param.IsTensor() || !wanted_[i]) continue;
      const auto refuse = [&](std::string message) {
        return Violation{Kind::kDType, kAclnnParamInvalid, DTypeRule(param),
                         fmt::format("{}: {}", param.name, message)};
      };
      if (args_[i].present && !args_[i].dtype) {
        return refuse(fmt::format("dtype {} is in no table", DataTypeName(args_[i].dtype_code)));
      }
      const DType dtype = args_[i].present ? *args_[i].dtype : DType::kNone;
      const std::size_t column = DTypeColumn(op_, param);
      if (first[column] != nullptr) {
        if (dtype == dtypes_[column]) continue;
        return refuse(fmt::format("dtype {}, expected {} as {}", Name(dtype), Name(dtypes_[column]),
                                  first[column]->name));
      }
      first[column] = &param;
      dtypes_[column] = dtype;
      const auto allows = [&](const DTypeRow* row) {
        return std::ranges::find(row->cells[column], dtype) != row->cells[column].end();
      };
      if (std::ranges::none_of(rows, allows)) {
        std::vector<std::string_view> expected;
        for (const DTypeRow* row : rows) {
          for (const DType legal : row->cells[column]) {
            if (std::ranges::find(expected, Name(legal)) == expected.end()) {
              expected.push_back(Name(legal));
            }
          }
        }
        return refuse(fmt::format("dtype {}, expected {} on {}{}", Name(dtype),
                                  fmt::join(expected, " or "), product_, Beside(first, column)));
      }
      std::erase_if(rows, [&](const DTypeRow* row) { return !allows(row); });
    }
    return std::nullopt;
  }

  /// " beside data float16, statistic float32": the columns bound before `column`.
  std::string Beside(const std::vector<const Param*>& first, std::size_t column) const {
    std::vector<std::string> cells;
    for (std::size_t i = 0; i < first.size(); ++i) {
      if (i == column || first[i] == nullptr) continue;
      cells.push_back(fmt::format("{} {}", ColumnName(*first[i]), Name(dtypes_[i])));
    }
    return cells.empty() ? "" : fmt::format(" beside {}", fmt::join(cells, ", "));
  }

  std::optional<Violation> CheckFormats() const {
    if (!op_.plain_formats_only) return std::nullopt;
    for (std::size_t i = 0; i < op_.params.size(); ++i) {
      const Param& param = op_.params[i];
      if (!IsUsed(i) || param.role != Role::kData || IsPlainFormat(args_[i].format)) continue;
      return Violation{Kind::kRule, kAclnnParamInvalid, FormatRule(param),
                       fmt::format("{}: format {} is private: expected a plain one such as ND",
                                   param.name, FormatName(args_[i].format))};
    }
    return std::nullopt;
  }

  std::optional<Violation> CheckMask() const {
    for (std::size_t i = 0; i < op_.params.size(); ++i) {
      const Param& param = op_.params[i];
      if (param.kind != Param::Kind::kOutputMask) continue;
      if (args_[i].mask.size() == OutputCount(op_)) continue;
      return Violation{Kind::kRule, op_.shape_status, MaskRule(op_, param),
                       fmt::format("{}: {} elements, expected {}", param.name, args_[i].mask.size(),
                                   OutputCount(op_))};
    }
    return std::nullopt;
  }

  std::optional<Violation> CheckRanks() const {
    for (std::size_t i = 0; i < op_.params.size(); ++i) {
      if (!IsUsed(i)) continue;
      const Param& param = op_.params[i];
      const std::size_t rank = args_[i].shape.size();
      if (rank > kMaxRank && IsRankFree(param)) {
        return Violation{Kind::kShape, op_.shape_status, MostAxesRule(param),
                         fmt::format("{}: shape {} has {} axes, expected at most {}", param.name,
                                     ToString(args_[i].shape), rank, kMaxRank)};
      }
      if (rank < param.min_rank) {
        return Violation{Kind::kShape, op_.shape_status, LeastAxesRule(param),
                         fmt::format("{}: shape {} has {} axes, expected at least {}", param.name,
                                     ToString(args_[i].shape), rank, param.min_rank)};
      }
    }
    return std::nullopt;
  }

  static bool BindsSymbols(const Param& param) {
    return param.kind == Param::Kind::kExtents || param.kind == Param::Kind::kExtent ||
           (param.IsTensor() && param.fit == Fit::kShape && param.same_shape_as.empty());
  }

  /// Binds symbols to the shape of the first argument that tells any, so that of two that disagree
  /// the later one is blamed. Returns whether there was one.
  bool BindNext() {
    for (std::size_t i = 0; i < op_.params.size(); ++i) {
      // A shape that may leave axes out, or is free, cannot tell which axes it has.
      if (!args_[i].present || !wanted_[i] || !BindsSymbols(op_.params[i])) continue;
      if (Bind(op_.params[i].pattern, args_[i].shape, &dims_)) return true;
    }
    return false;
  }

  std::optional<Violation> BindSymbols() {
    dims_.clear();
    while (BindNext()) {
    }
    for (std::size_t i = 0; i < op_.params.size(); ++i) {
      const Param& param = op_.params[i];
      if (!args_[i].present || !wanted_[i]) continue;
      for (const PatternAxis& axis : ParsePattern(param.pattern)) {
        const auto found = dims_.find(axis.symbol);
        if (found == dims_.end()) {
          return Violation{Kind::kShape, op_.shape_status, ShapeRule(op_, param),
                           fmt::format("{}: shape {} has too few axes for \"{}\" ({})", param.name,
                                       ToString(args_[i].shape), param.pattern, ToString(dims_))};
        }
      }
    }
    return std::nullopt;
  }

  /// No tensor's shape agrees with a negative extent, but no tensor may need it either.
  std::optional<Violation> CheckExtents() const {
    for (std::size_t i = 0; i < op_.params.size(); ++i) {
      const Param& param = op_.params[i];
      if (param.IsTensor() || !args_[i].present) continue;
      for (const std::int64_t extent : args_[i].shape) {
        if (extent >= 0) continue;
        return Violation{Kind::kShape, op_.shape_status, NegativeRule(param),
                         fmt::format("{}: {} is negative", param.name, extent)};
      }
    }
    return std::nullopt;
  }

  /// The product of the extents; empty where it does not fit.
  static std::optional<std::int64_t> CountOf(const Shape& shape) {
    if (std::ranges::find(shape, 0) != shape.end()) return 0;
    std::optional<std::int64_t> count = 1;
    for (const std::int64_t extent : shape) {
      if (count) count = CheckedMultiply(*count, extent);
    }
    return count;
  }

  std::optional<Violation> CheckShapes() const {
    for (std::size_t i = 0; i < op_.params.size(); ++i) {
      if (!IsUsed(i)) continue;
      const Param& param = op_.params[i];
      const Shape& shape = args_[i].shape;
      const Shape expected = ExpectedShape(param);
      const auto refuse = [&](std::string message) {
        return Violation{Kind::kShape, op_.shape_status, ShapeRule(op_, param), std::move(message)};
      };
      if (param.fit == Fit::kCount && param.same_shape_as.empty()) {
        const auto count = CountOf(shape), wanted = CountOf(expected);
        if (count && count == wanted) continue;
        return refuse(fmt::format("{}: shape {} has {} elements, expected {} (\"{}\", {})",
                                  param.name, ToString(shape),
                                  count ? fmt::to_string(*count) : "too many",
                                  wanted ? fmt::to_string(*wanted) : "more than fit 64 bits",
                                  param.pattern, ToString(dims_)));
      }
      if (Fits(param, shape, expected)) continue;
      return refuse(fmt::format("{}: shape {}, expected {} (\"{}\", {})", param.name,
                                ToString(shape), ToString(expected), param.pattern,
                                ToString(dims_)));
    }
    return std::nullopt;
  }

  Shape ExpectedShape(const Param& param) const {
    if (!param.same_shape_as.empty()) {
      const CallArg& other = args_[FindParam(op_, param.same_shape_as).value()];
      if (other.present) return other.shape;
    }
    return Expand(param.pattern, dims_);
  }

  static bool Fits(const Param& param, const Shape& shape, const Shape& expected) {
    if (param.fit != Fit::kTrailingOnes || shape.size() >= expected.size()) {
      return shape == expected;
    }
    const auto omitted = expected.begin() + static_cast<std::ptrdiff_t>(shape.size());
    return std::equal(shape.begin(), shape.end(), expected.begin()) &&
           std::all_of(omitted, expected.end(), [](std::int64_t extent) { return extent == 1; });
  }

  const Operator& op_;
  std::string_view product_;
  std::span<const CallArg> args_;
  Dims& dims_;
  DTypes& dtypes_;
  std::vector<bool> wanted_;  // per param: not an output whose mask bit is false
};

}  // namespace

std::optional<Violation> CheckContract(const Operator& op, std::string_view product,
                                       std::span<const CallArg> args, Dims* dims, DTypes* dtypes) {
  return Checker(op, product, args, dims, dtypes).Check();
}

bool IsWanted(const Operator& op, std::span<const CallArg> args, std::size_t output) {
  for (std::size_t i = 0; i < op.params.size(); ++i) {
    if (op.params[i].kind != Param::Kind::kOutputMask) continue;
    return output < args[i].mask.size() && args[i].mask[output];
  }
  return true;
}

std::string NotNullRule(std::string_view pointer) { return fmt::format("{} is not null", pointer); }

std::vector<DocumentedRule> DocumentedRules(const Operator& op, std::string_view product) {
  if (!SupportOn(op, product).supported) {
    return {{kAclnnParamInvalid, std::string(kProductRule)}};
  }
  std::vector<DocumentedRule> rules = {{kAclnnParamNullptr, NotNullRule("workspaceSize")},
                                       {kAclnnParamNullptr, NotNullRule("executor")}};
  const bool has_mask = HasMask(op);
  for (const Param& param : op.params) {
    if (param.optional || param.kind == Param::Kind::kExtent) continue;
    rules.push_back({param.null_is_invalid ? kAclnnParamInvalid : kAclnnParamNullptr,
                     param.kind == Param::Kind::kOutput && has_mask ? WantedRule(param)
                                                                    : NotNullRule(param.name)});
  }
  for (const Param& param : op.params) {
    if (param.IsTensor()) rules.push_back({kAclnnParamInvalid, DTypeRule(param)});
  }
  for (const Param& param : op.params) {
    if (op.plain_formats_only && param.IsTensor() && param.role == Role::kData) {
      rules.push_back({kAclnnParamInvalid, FormatRule(param)});
    }
    if (param.kind == Param::Kind::kOutputMask) {
      rules.push_back({op.shape_status, MaskRule(op, param)});
    }
    if (param.kind == Param::Kind::kExtent || param.kind == Param::Kind::kExtents) {
      // A group that is not positive has a rule of its own.
      const bool own = std::ranges::any_of(op.rules, [&](const Rule& rule) {
        return rule.text == fmt::format("{} is positive", param.name);
      });
      if (!own) rules.push_back({op.shape_status, NegativeRule(param)});
    }
    if (!param.IsTensor()) continue;
    if (IsRankFree(param)) rules.push_back({op.shape_status, MostAxesRule(param)});
    if (param.min_rank > 0) rules.push_back({op.shape_status, LeastAxesRule(param)});
    if (!DefinesItsSymbol(op, param)) rules.push_back({op.shape_status, ShapeRule(op, param)});
  }
  for (const Rule& rule : op.rules) {
    if (rule.product.empty() || rule.product == product) {
      rules.push_back({op.shape_status, std::string(rule.text)});
    }
  }
  return rules;
}

}  // namespace normgrad
