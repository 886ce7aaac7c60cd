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
              HasSubstr("  float32     float32     float32     float32     "
                        "ascend-950, atlas-a3, atlas-a2, atlas-inference\n"));
}

}  // namespace
}  // namespace normgrad
