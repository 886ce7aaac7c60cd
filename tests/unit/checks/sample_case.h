// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <utility>

#include "checks/case_run.h"
#include "ops/operators.h"

namespace normgrad {

/// A plain case in float32 on atlas-a2, without checks.
inline Case FloatCase(const Operator& op, Dims dims) {
  Case the_case;
  the_case.op = &op;
  the_case.product = "atlas-a2";
  the_case.dims = std::move(dims);
  the_case.dtypes.assign(DTypeColumns(op).size(), DType::kFloat32);
  return the_case;
}

/// The same of an RMS norm.
inline Case FloatCase(Shape rows, Shape cols) {
  return FloatCase(kRmsNormGrad, {{"A", std::move(rows)}, {"R", std::move(cols)}});
}

/// Inputs whose every element is `value`.
inline std::shared_ptr<CaseInputs> Constant(const Case& the_case, double value) {
  auto inputs = std::make_shared<CaseInputs>();
  inputs->tensors.resize(the_case.op->params.size());
  for (std::size_t i = 0; i < inputs->tensors.size(); ++i) {
    const Param& param = the_case.op->params[i];
    if (param.kind != Param::Kind::kInput || !the_case.Uses(param)) continue;
    const DType dtype = the_case.DTypeOf(param);
    inputs->tensors[i].resize(ElementCount(the_case.ShapeOf(param)) * SizeOf(dtype));
    for (std::size_t at = 0; at < inputs->tensors[i].size(); at += SizeOf(dtype)) {
      Store(dtype, value, &inputs->tensors[i][at]);
    }
  }
  return inputs;
}

}  // namespace normgrad
