// SPDX-License-Identifier: Apache-2.0
// What every operator must have: adding one and forgetting a table fails here, by name.
#include <algorithm>
#include <set>
#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "ops/contract.h"
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
    if (!param.IsTensor()) continue;
    EXPECT_EQ(DTypeColumns(op_).at(DTypeColumn(op_, param)), ColumnName(param));
  }
}

TEST_P(EveryOperator, LetsExactlyItsOptionalInputsBeNull) {
  for (const Param& param : op_.params) {
    if (!param.IsTensor()) continue;
    const std::size_t column = DTypeColumn(op_, param);
    const bool may_be_null = std::ranges::any_of(DocumentedDTypes(op_), [&](const DTypeRow& row) {
      return std::ranges::find(row.cells[column], DType::kNone) != row.cells[column].end();
    });
    EXPECT_EQ(may_be_null, param.optional) << param.name;
  }
}

TEST_P(EveryOperator, NamesParamsThatExist) {
  for (const Param& param : op_.params) {
    if (!param.same_shape_as.empty()) {
      EXPECT_TRUE(FindParam(op_, param.same_shape_as).has_value()) << param.same_shape_as;
    }
  }
}

TEST_P(EveryOperator, HasDistinctDocumentedRules) {
  for (const Product& product : AllProducts()) {
    std::set<std::string> texts;
    for (const DocumentedRule& rule : DocumentedRules(op_, product.key)) {
      EXPECT_TRUE(texts.insert(rule.text).second) << rule.text;
      EXPECT_THAT(rule.status, testing::AnyOf(161001, 161002, 561002)) << rule.text;
    }
  }
}

TEST_P(EveryOperator, HasDistinctDTypeRowsForExactlyItsProducts) {
  std::set<std::string_view> with_rows, supported;
  for (const DTypeRow& row : DocumentedDTypes(op_)) {
    with_rows.insert(row.product);
    for (const DTypeRow& other : DocumentedDTypes(op_)) {
      if (&other == &row || other.product != row.product) continue;
      EXPECT_FALSE(other.Allows(row.Combinations().front())) << "twice in " << row.product;
    }
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

std::size_t CombinationsOn(const Operator& op, std::string_view product) {
  std::size_t count = 0;
  for (const DTypeRow& row : DocumentedDTypes(op)) {
    if (row.product == product) count += row.Combinations().size();
  }
  return count;
}

// Source: CANN ops-nn, norm/layer_norm_grad_v3/docs/aclnnLayerNormBackward.md. With a weight: 13
// triples of data, statistic and weight, each with and without a bias; without: 7 pairs, a bias of
// data's dtype, of float32, or none.
TEST(LayerNormBackward, HasTheRowsOfItsDocument) {
  EXPECT_EQ(CombinationsOn(kLayerNormBackward, "ascend-950"), 13U * 2 + 6 * 3 + 2);
  EXPECT_EQ(CombinationsOn(kLayerNormBackward, "atlas-training"), 5U * 2 + 2 * 3 + 2);
  EXPECT_FALSE(SupportOn(kLayerNormBackward, "atlas-200i-a2").supported);
  EXPECT_EQ(SupportOn(kLayerNormBackward, "atlas-a2").deterministic, Promise::kAlways);
  using enum DType;
  EXPECT_TRUE(IsDocumented(kLayerNormBackward, "atlas-a2",
                           {kFloat16, kBFloat16, kFloat32, kNone, kFloat32}));
  EXPECT_FALSE(IsDocumented(kLayerNormBackward, "atlas-a2",
                            {kFloat32, kFloat16, kFloat32, kNone, kFloat32}));
  EXPECT_FALSE(IsDocumented(kLayerNormBackward, "atlas-inference",
                            {kBFloat16, kFloat32, kFloat32, kNone, kFloat32}));
}

// Source: CANN ops-nn, norm/group_norm_grad/docs/aclnnGroupNormBackward.md.
TEST(GroupNormBackward, HasTheRowsOfItsDocument) {
  EXPECT_EQ(CombinationsOn(kGroupNormBackward, "ascend-950"), 10U);
  EXPECT_EQ(CombinationsOn(kGroupNormBackward, "atlas-a3"), 6U);
  EXPECT_EQ(CombinationsOn(kGroupNormBackward, "atlas-training"), 4U);
  EXPECT_FALSE(SupportOn(kGroupNormBackward, "atlas-inference").supported);
  EXPECT_EQ(SupportOn(kGroupNormBackward, "atlas-a2").deterministic, Promise::kOnRequest);
}

// Source: CANN ops-nn, norm/sync_batch_norm_backward_elemt/docs/aclnnBatchNormElemtBackward.md.
TEST(BatchNormElemtBackward, HasTheRowsOfItsDocument) {
  EXPECT_EQ(CombinationsOn(kBatchNormElemtBackward, "atlas-a2"), 6561U * 4);
  EXPECT_EQ(CombinationsOn(kBatchNormElemtBackward, "atlas-training"), 128U * 3 * 3);
  EXPECT_FALSE(SupportOn(kBatchNormElemtBackward, "atlas-inference").supported);
  EXPECT_EQ(SupportOn(kBatchNormElemtBackward, "atlas-a2").deterministic, Promise::kAlways);
}

}  // namespace
}  // namespace normgrad
