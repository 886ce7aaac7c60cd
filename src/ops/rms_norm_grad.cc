// SPDX-License-Identifier: Apache-2.0
// Contract of aclnnRmsNormGrad.
// Source: CANN ops-nn, norm/rms_norm_grad/docs/aclnnRmsNormGrad.md. Its parameter table calls rstd
// "Rms(x)"; its formulas and its example program need 1 / Rms(x), which is what this contract says.
//
// Its example program gives rstd as [2] beside x [2, 1, 16] and gamma [16], so rstd may leave out
// trailing ones of the leading axes.
//
//   A  leading axes, kept;  R  trailing axes, normalised over
#include "ops/operators.h"

namespace normgrad {
namespace {

constexpr Param kParams[] = {
    Input("dy", Role::kData, "*A *R"),                   // gradient of the forward output
    Input("x", Role::kData, "*A *R"),                    // forward input
    MayOmitOnes(Input("rstd", Role::kStatistic, "*A")),  // 1 / rms(x), saved by the forward pass
    Input("gamma", Role::kScale, "*R"),                  // forward scale
    Output("dxOut", Role::kData, "*A *R"),               // gradient of x
    Output("dgammaOut", Role::kScaleGrad, "*R"),         // gradient of gamma
};

constexpr std::size_t kDataColumn = 0, kScaleColumn = 2;

bool LastAxisFills32Bytes(const CallFacts& call) {
  if (call.product != "atlas-inference") return true;
  const Shape& normalised = call.dims.find("R")->second;
  const auto extent = static_cast<std::size_t>(normalised.back());
  if (extent == 0) return true;  // empty tensors are supported, and this one has no last axis
  return extent * SizeOf(call.dtypes[kDataColumn]) >= 32 &&
         extent * SizeOf(call.dtypes[kScaleColumn]) >= 32;
}

constexpr Rule kRules[] = {
    {"gamma has at least 1 axis",
     [](const CallFacts& call) { return !call.dims.find("R")->second.empty(); }},
    {"on atlas-inference the last axis of x, dy and gamma is at least 32 bytes, or empty",
     LastAxisFills32Bytes, "atlas-inference"},
};

constexpr EmbeddedRow kDTypes[] = {
#include "rms_norm_grad_dtypes.inc"
};
constexpr EmbeddedRow kProducts[] = {
#include "rms_norm_grad_products.inc"
};

}  // namespace

constinit const Operator kRmsNormGrad = {
    .name = "rms_norm_grad",
    .api = "aclnnRmsNormGrad",
    .formula =
        "xhat   = x * rstd\n"
        "m      = mean over R of (dy * gamma * xhat)\n"
        "dx     = rstd * (dy * gamma - xhat * m)\n"
        "dgamma = sum over A of (dy * xhat)",
    .source = "CANN ops-nn, norm/rms_norm_grad/docs/aclnnRmsNormGrad.md",
    .params = kParams,
    .rules = kRules,
    .shape_status = 561002,
    .dtypes_csv = kDTypes,
    .products_csv = kProducts,
};

}  // namespace normgrad
