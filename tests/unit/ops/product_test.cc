// SPDX-License-Identifier: Apache-2.0
#include "ops/product.h"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace normgrad {
namespace {

TEST(Products, AreThoseOfTheOperatorsDocuments) {
  std::vector<std::string_view> keys;
  for (const Product& product : AllProducts()) keys.push_back(product.key);
  EXPECT_THAT(keys, testing::ElementsAre("ascend-950", "atlas-a3", "atlas-a2", "atlas-200i-a2",
                                         "atlas-inference", "atlas-training", "atlas-200-300-500"));
}

TEST(Products, AreToldApartByTheirSocName) {
  std::set<std::string_view> socs;
  for (const Product& product : AllProducts()) {
    EXPECT_TRUE(product.soc.starts_with("Ascend")) << product.key;
    EXPECT_FALSE(product.family.empty()) << product.key;
    socs.insert(product.soc);
  }
  EXPECT_EQ(socs.size(), AllProducts().size());
}

TEST(Products, AreFoundByKey) {
  ASSERT_NE(FindProduct("atlas-a2"), nullptr);
  EXPECT_EQ(FindProduct("atlas-a2")->soc, "Ascend910B1");
  EXPECT_EQ(FindProduct("atlas-a2")->arch, 2201);
  EXPECT_EQ(FindProduct("atlas-a1"), nullptr);
}

}  // namespace
}  // namespace normgrad
