// SPDX-License-Identifier: Apache-2.0
// Contract of aclnnLayerNormBackward.
// Source: CANN ops-nn, norm/layer_norm_grad_v3/docs/aclnnLayerNormBackward.md.
//
// The document gives mean and rstd the shape [A1, …, Ai, 1, …, 1] and refuses only another number
// of elements, which is what this contract says. A null weight counts as ones of input's dtype.
//
//   A  leading axes, kept;  R  normalizedShape, normalised over
#include "ops/operators.h"

namespace normgrad {
namespace {

constexpr Param kParams[] = {
    Input("gradOut", Role::kData, "*A *R"),  // gradient of the forward output
    Input("input", Role::kData, "*A *R"),    // forward input
    ExtentsOf("normalizedShape", "*R"),
    AnyShape(Input("mean", Role::kStatistic, "*A ones(R)"), 1),       // of the forward pass
    AnyShape(Input("rstd", Role::kStatistic, "*A ones(R)"), 1),       // 1 / standard deviation
    Optional(OwnDType(Input("weightOptional", Role::kScale, "*R"))),  // forward scale
    Optional(OwnDType(Input("biasOptional", Role::kScale, "*R"))),    // unused by the arithmetic
    OutputMask("outputMask"),
    Output("gradInputOut", Role::kData, "*A *R"),
    Output("gradWeightOut", Role::kScaleGrad, "*R"),
    Output("gradBiasOut", Role::kScaleGrad, "*R"),
};

constexpr Rule kRules[] = {
    {"normalizedShape has at least 1 axis",
     [](const CallFacts& call) { return !call.dims.find("R")->second.empty(); }},
    {"no tensor is empty", [](const CallFacts& call) { return Count("*A *R", call.dims) > 0; }},
};

constexpr EmbeddedRow kDTypes[] = {
#include "layer_norm_backward_dtypes.inc"
};
constexpr EmbeddedRow kProducts[] = {
#include "layer_norm_backward_products.inc"
};

}  // namespace

constinit const Operator kLayerNormBackward = {
    .name = "layer_norm_backward",
    .api = "aclnnLayerNormBackward",
    .formula =
        "xhat       = (input - mean) * rstd\n"
        "g          = gradOut * weight\n"
        "gradInput  = rstd * (g - mean over R of g - xhat * mean over R of (g * xhat))\n"
        "gradWeight = sum over A of (gradOut * xhat)\n"
        "gradBias   = sum over A of gradOut",
    .source = "CANN ops-nn, norm/layer_norm_grad_v3/docs/aclnnLayerNormBackward.md",
    .params = kParams,
    .rules = kRules,
    .shape_status = 161002,
    .dtypes_csv = kDTypes,
    .products_csv = kProducts,
};

}  // namespace normgrad
