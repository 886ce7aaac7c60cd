// SPDX-License-Identifier: Apache-2.0
// What every operator must have: adding one and forgetting a table fails here, by name.
#include <algorithm>
#include <set>
#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "ops/operators.h"

namespace normgrad {
namespace {

class EveryOperator : public testing::TestWithParam<const Operator*> {
 protected:
  const Operator& op_ = *GetParam();
};

INSTANTIATE_TEST_SUITE_P(Registry, EveryOperator, testing::ValuesIn(AllOperators()),
                         [](const auto& test) { return std::string(test.param->name); });

TEST_P(EveryOperator, IsFoundByName) { EXPECT_EQ(&FindOperator(op_.name), &op_); }

TEST_P(EveryOperator, SaysWhatItComputesAndWhereThatStands) {
  EXPECT_TRUE(op_.api.starts_with("aclnn")) << op_.api;
  EXPECT_FALSE(op_.formula.empty());
  EXPECT_TRUE(op_.source.starts_with("CANN ")) << op_.source;
  EXPECT_THAT(op_.shape_status, testing::AnyOf(161002, 561002));
}

TEST_P(EveryOperator, HasInputsThenOutputsWithDistinctNames) {
  std::set<std::string_view> names;
  for (const Param& param : op_.params) names.insert(param.name);
  EXPECT_EQ(names.size(), op_.params.size());
  const auto is_output = [](const Param& param) { return param.kind == Param::Kind::kOutput; };
  EXPECT_FALSE(is_output(op_.params.front()));
  EXPECT_TRUE(is_output(op_.params.back()));
  EXPECT_TRUE(std::ranges::is_partitioned(op_.params, std::not_fn(is_output)));
}

TEST_P(EveryOperator, HasAColumnForEveryRoleInItsDTypeTable) {
  std::vector<std::string_view> header = {"product"};
  for (const std::string_view column : DTypeColumns(op_)) header.push_back(column);
  const EmbeddedRow& cells = op_.dtypes_csv.front();
  for (std::size_t i = 0; i < cells.size(); ++i) {
    EXPECT_EQ(cells[i], i < header.size() ? header[i] : "");
  }
  for (const Param& param : op_.params) {
    EXPECT_EQ(DTypeColumns(op_).at(DTypeColumn(op_, param)), Name(param.role));
  }
}

TEST_P(EveryOperator, HasDistinctDTypeRowsForExactlyItsProducts) {
  std::set<std::pair<std::string_view, DTypes>> rows;
  std::set<std::string_view> with_rows, supported;
  for (const DTypeRow& row : DocumentedDTypes(op_)) {
    EXPECT_TRUE(rows.emplace(row.product, row.dtypes).second) << "twice in " << row.product;
    with_rows.insert(row.product);
  }
  for (const Support& support : DocumentedSupport(op_)) {
    if (support.supported) supported.insert(support.product);
  }
  EXPECT_EQ(with_rows, supported);
  EXPECT_FALSE(supported.empty());
}

TEST_P(EveryOperator, SaysForEveryProductWhetherItIsSupported) {
  std::vector<std::string_view> products, documented;
  for (const Product& product : AllProducts()) products.push_back(product.key);
  for (const Support& support : DocumentedSupport(op_)) documented.push_back(support.product);
  EXPECT_EQ(documented, products);
}

TEST_P(EveryOperator, SpellsItsSupportTableInKnownWords) {
  EXPECT_THAT(std::vector(op_.products_csv.front().begin(), op_.products_csv.front().begin() + 4),
              testing::ElementsAre("product", "supported", "deterministic", ""));
  for (const EmbeddedRow& row : op_.products_csv.subspan(1)) {
    EXPECT_THAT(row[1], testing::AnyOf("yes", "no")) << row[0];
    EXPECT_THAT(row[2], testing::AnyOf("always", "on-request")) << row[0];
  }
}

TEST(Registry, HasDistinctNamesAndSymbols) {
  std::set<std::string_view> names, apis;
  for (const Operator* op : AllOperators()) {
    names.insert(op->name);
    apis.insert(op->api);
  }
  EXPECT_EQ(names.size(), AllOperators().size());
  EXPECT_EQ(apis.size(), AllOperators().size());
}

TEST(Registry, SuggestsTheNearestName) {
  EXPECT_THAT([] { FindOperator("rms_norm_gard"); },
              testing::ThrowsMessage<Error>(
                  "unknown operator 'rms_norm_gard': did you mean 'rms_norm_grad'?"));
}

TEST(Registry, AnUndocumentedProductIsABug) {
  EXPECT_THROW(SupportOn(kRmsNormGrad, "atlas-a1"), std::logic_error);
}

// Source: CANN ops-nn, norm/rms_norm_grad/docs/aclnnRmsNormGrad.md.
TEST(RmsNormGrad, IsSupportedWhereItsDocumentSaysSo) {
  EXPECT_TRUE(SupportOn(kRmsNormGrad, "atlas-a2").supported);
  EXPECT_TRUE(SupportOn(kRmsNormGrad, "atlas-inference").supported);
  EXPECT_FALSE(SupportOn(kRmsNormGrad, "atlas-training").supported);
  EXPECT_EQ(SupportOn(kRmsNormGrad, "atlas-a2").deterministic, Promise::kOnRequest);
  const auto rows = DocumentedDTypes(kRmsNormGrad);
  EXPECT_EQ(std::ranges::count(rows, "atlas-a2", &DTypeRow::product), 5);
  EXPECT_EQ(std::ranges::count(rows, "atlas-inference", &DTypeRow::product), 2);
}

}  // namespace
}  // namespace normgrad
