// SPDX-License-Identifier: Apache-2.0
#include "ops/describe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ops/operators.h"

namespace normgrad {
namespace {

using testing::HasSubstr;

TEST(Describe, NamesEveryParameterRuleAndProductOfEveryOperator) {
  for (const Operator* op : AllOperators()) {
    const std::string text = Describe(*op);
    EXPECT_THAT(text, HasSubstr(std::string(op->api)));
    EXPECT_THAT(text, HasSubstr(std::string(op->source)));
    for (const Param& param : op->params) {
      EXPECT_THAT(text, HasSubstr("\n  " + std::string(param.name) + " "));
    }
    for (const Rule& rule : op->rules) EXPECT_THAT(text, HasSubstr(std::string(rule.text)));
    for (const Support& support : DocumentedSupport(*op)) {
      EXPECT_THAT(text, HasSubstr("\n  " + std::string(support.product) + " "));
    }
  }
}

TEST(Describe, ListsProductsOfADTypeRowOnce) {
  EXPECT_THAT(Describe(kRmsNormGrad),
              HasSubstr("  float32   float32    float32   float32     "
                        "ascend-950, atlas-a3, atlas-a2, atlas-inference\n"));
}

TEST(Describe, ShowsAlternativesAndOptionalTensors) {
  const std::string text = Describe(kGroupNormBackward);
  EXPECT_THAT(text,
              HasSubstr("  gamma            input      scale       C  (any shape with as many "
                        "elements)  (may be null)\n"));
  EXPECT_THAT(text, HasSubstr("  HxW              int64                  product of *S\n"));
  EXPECT_THAT(text,
              HasSubstr("  outputMask       bool array             3 bits, one per output\n"));
  EXPECT_THAT(text, HasSubstr("  float16   float32    float32|none   float32     ascend-950\n"));
}

TEST(DescribeSupport, HasOneLinePerProduct) {
  EXPECT_THAT(
      DescribeSupport(AllOperators()),
      HasSubstr("\natlas-training      -                           18 dtype combinations     "
                "  4 dtype combinations        1152 dtype combinations\n"
                "atlas-200-300-500   -                           -                          "
                " -                           -\n"));
}

}  // namespace
}  // namespace normgrad
