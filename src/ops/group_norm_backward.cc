// SPDX-License-Identifier: Apache-2.0
// Contract of aclnnGroupNormBackward.
// Source: CANN ops-nn, norm/group_norm_grad/docs/aclnnGroupNormBackward.md. Its formula of
// gradInput has a factor `mean` too many and names gradBetaOut and gradGammaOut where sums over one
// group, weighted with gamma, are meant; its parameter table gives gradBetaOut two axes where its
// own return codes and example give gamma's shape. This contract says what its example program
// computes.
//
// N, C, HxW and group are numbers of the call; tensors may have any shape of as many elements.
//
//   N  samples;  C  channels;  G  groups of C / G adjacent channels;  S  the rest: H, W, …
#include "ops/operators.h"

namespace normgrad {
namespace {

constexpr Param kParams[] = {
    AnyShape(Input("gradOut", Role::kData, "N C *S")),      // gradient of the forward output
    AnyShape(Input("input", Role::kData, "N C *S")),        // forward input
    AnyShape(Input("mean", Role::kStatistic, "N G")),       // of every group of every sample
    AnyShape(Input("rstd", Role::kStatistic, "N G")),       // 1 / standard deviation
    Optional(AnyShape(Input("gamma", Role::kScale, "C"))),  // forward scale
    ExtentOf("N", "N"),
    ExtentOf("C", "C"),
    ExtentOf("HxW", "*S"),
    ExtentOf("group", "G"),
    NullIsInvalid(OutputMask("outputMask")),
    ShapedAs("input", Output("gradInput", Role::kData, "N C *S")),
    ShapedAs("gamma", Output("gradGammaOut", Role::kScaleGrad, "C")),
    ShapedAs("gamma", Output("gradBetaOut", Role::kScaleGrad, "C")),
};

std::int64_t Extent(const CallFacts& call, std::string_view symbol) {
  return call.dims.find(symbol)->second.front();
}

constexpr Rule kRules[] = {
    {"group is positive", [](const CallFacts& call) { return Extent(call, "G") > 0; }},
    {"C is divisible by group",
     [](const CallFacts& call) { return Extent(call, "C") % Extent(call, "G") == 0; }},
};

constexpr EmbeddedRow kDTypes[] = {
#include "group_norm_backward_dtypes.inc"
};
constexpr EmbeddedRow kProducts[] = {
#include "group_norm_backward_products.inc"
};

}  // namespace

constinit const Operator kGroupNormBackward = {
    .name = "group_norm_backward",
    .api = "aclnnGroupNormBackward",
    .formula =
        "xhat      = (input - mean) * rstd\n"
        "g         = gradOut * gamma\n"
        "gradInput = rstd * (g - mean over a group of g - xhat * mean over a group of (g * xhat))\n"
        "gradGamma = sum over N and S of (gradOut * xhat)\n"
        "gradBeta  = sum over N and S of gradOut",
    .source = "CANN ops-nn, norm/group_norm_grad/docs/aclnnGroupNormBackward.md",
    .params = kParams,
    .rules = kRules,
    .shape_status = 161002,
    .dtypes_csv = kDTypes,
    .products_csv = kProducts,
};

}  // namespace normgrad
