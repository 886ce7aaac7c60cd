// SPDX-License-Identifier: Apache-2.0
// Contract of aclnnBatchNormElemtBackward.
// Source: CANN ops-nn, norm/sync_batch_norm_backward_elemt/docs/aclnnBatchNormElemtBackward.md. Its
// formula leaves open what the factor invstd * weight multiplies: the whole difference. sumDy and
// sumDyXmu are sums, whatever its parameter table calls them, and counter is summed to one number,
// as its example program shows.
//
//   N  samples;  C  channels;  S  the rest: H, W, …;  K  axes of counter
#include "ops/operators.h"

namespace normgrad {
namespace {

constexpr Param kParams[] = {
    OwnDType(Input("gradOut", Role::kData, "N C *S")),       // gradient of the forward output
    OwnDType(Input("input", Role::kData, "N C *S")),         // forward input
    OwnDType(Input("mean", Role::kStatistic, "C")),          // of every channel, over all devices
    OwnDType(Input("invstd", Role::kStatistic, "C")),        // 1 / standard deviation
    Optional(OwnDType(Input("weight", Role::kScale, "C"))),  // forward scale
    OwnDType(Input("sumDy", Role::kChannelSum, "C")),        // of gradOut, over all devices
    OwnDType(Input("sumDyXmu", Role::kChannelSum, "C")),     // of gradOut * (input - mean)
    OwnDType(Input("counter", Role::kCount, "*K")),          // elements per channel of each device
    OwnDType(Output("gradInput", Role::kData, "N C *S")),
};

constexpr Rule kRules[] = {
    {"axis 1 of input is not empty",
     [](const CallFacts& call) { return call.dims.find("C")->second.front() > 0; }},
};

constexpr EmbeddedRow kDTypes[] = {
#include "batch_norm_elemt_backward_dtypes.inc"
};
constexpr EmbeddedRow kProducts[] = {
#include "batch_norm_elemt_backward_products.inc"
};

}  // namespace

constinit const Operator kBatchNormElemtBackward = {
    .name = "batch_norm_elemt_backward",
    .api = "aclnnBatchNormElemtBackward",
    .formula =
        "n         = sum over K of counter\n"
        "gradInput = (gradOut - sumDy / n - (input - mean) * invstd^2 * (sumDyXmu / n))\n"
        "            * invstd * weight",
    .source =
        "CANN ops-nn, norm/sync_batch_norm_backward_elemt/docs/aclnnBatchNormElemtBackward.md",
    .params = kParams,
    .rules = kRules,
    .shape_status = 161002,
    .plain_formats_only = true,
    .dtypes_csv = kDTypes,
    .products_csv = kProducts,
};

}  // namespace normgrad
