// SPDX-License-Identifier: Apache-2.0
// The sweeps in cases/ load, cover what they promise within what they may cost, and agree with the
// contract tables.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <tuple>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ops/contract.h"
#include "ops/operators.h"
#include "sweep/dtype_file.h"
#include "sweep/sweep.h"

namespace normgrad {
namespace {

/// What the legal calls of one operator in some sweep touch.
struct Touched {
  std::set<std::string> products, layouts, fills, checks, masks;
  std::set<std::pair<std::string, DTypes>> dtypes;
  std::set<std::size_t> ranks;
  std::size_t cases = 0, timed = 0;
  double elements = 0;
};

std::map<const Operator*, Touched> TouchedBy(const std::string& path) {
  std::map<const Operator*, Touched> all;
  for (const Case& the_case : LoadSweeps({path}, {}).cases) {
    if (the_case.expectation) continue;
    Touched& touched = all[the_case.op];
    const Shape data = the_case.ShapeOf(the_case.op->params.front());
    touched.products.insert(the_case.product);
    touched.dtypes.emplace(the_case.product, the_case.dtypes);
    touched.layouts.insert(LayoutText(the_case));
    touched.fills.insert(the_case.fill);
    touched.masks.insert(the_case.masks);
    touched.checks.insert(the_case.checks.begin(), the_case.checks.end());
    touched.ranks.insert(data.size());
    touched.elements += static_cast<double>(ElementCount(data));
    ++touched.cases;
    if (the_case.checks.back() == "throughput") ++touched.timed;
  }
  return all;
}

std::set<std::string> SupportingProducts(const Operator& op) {
  std::set<std::string> products;
  for (const Support& support : DocumentedSupport(op)) {
    if (support.supported) products.emplace(support.product);
  }
  return products;
}

/// Every pair of dtypes that a documented row allows in two columns, by product and row, that no
/// combination in `dtypes` has.
std::vector<std::string> MissingPairs(const Operator& op,
                                      const std::set<std::pair<std::string, DTypes>>& dtypes) {
  std::vector<std::string> missing;
  const auto columns = DTypeColumns(op);
  for (const DTypeRow& row : DocumentedDTypes(op)) {
    std::set<std::tuple<std::size_t, DType, std::size_t, DType>> shown;
    for (const auto& [product, combination] : dtypes) {
      if (product != row.product || !row.Allows(combination)) continue;
      for (std::size_t i = 0; i < combination.size(); ++i) {
        for (std::size_t j = i + 1; j < combination.size(); ++j) {
          shown.emplace(i, combination[i], j, combination[j]);
        }
      }
    }
    for (std::size_t i = 0; i < row.cells.size(); ++i) {
      for (std::size_t j = i + 1; j < row.cells.size(); ++j) {
        for (const DType a : row.cells[i]) {
          for (const DType b : row.cells[j]) {
            if (shown.contains({i, a, j, b})) continue;
            missing.push_back(std::string(row.product) + ": " + std::string(columns[i]) + " " +
                              std::string(Name(a)) + " beside " + std::string(columns[j]) + " " +
                              std::string(Name(b)));
          }
        }
      }
    }
  }
  return missing;
}

void ExpectEveryChoice(const Operator& op, const Touched& touched) {
  EXPECT_EQ(touched.products, SupportingProducts(op)) << op.name;
  for (const LayoutKind layout : AllLayoutKinds()) {
    EXPECT_TRUE(touched.layouts.contains(std::string(Name(layout)))) << op.name << Name(layout);
  }
  EXPECT_GE(touched.fills.size(), 7U) << op.name;
  EXPECT_GE(touched.checks.size(), 5U) << op.name;
  EXPECT_THAT(MissingPairs(op, touched.dtypes), testing::IsEmpty()) << op.name;
}

TEST(ShippedCases, SmokeTouchesEveryOperatorAndStaysSmall) {
  const auto all = TouchedBy("cases/suites/smoke.yaml");
  for (const Operator* op : AllOperators()) {
    ASSERT_TRUE(all.contains(op)) << op->name;
    const Touched& touched = all.at(op);
    EXPECT_EQ(touched.products, SupportingProducts(*op)) << op->name;
    EXPECT_EQ(touched.checks.size(), CheckNames().size()) << op->name;
    EXPECT_EQ(touched.timed, 1U) << op->name;
    EXPECT_LT(touched.cases, 300U) << op->name;
    EXPECT_LT(touched.elements, 1e6) << op->name;
  }
}

class MainSweep : public testing::TestWithParam<std::pair<const char*, const Operator*>> {};

INSTANTIATE_TEST_SUITE_P(ShippedCases, MainSweep,
                         testing::Values(std::pair{"rms", &kRmsNormGrad},
                                         std::pair{"layer", &kLayerNormBackward},
                                         std::pair{"group", &kGroupNormBackward},
                                         std::pair{"batch", &kBatchNormElemtBackward}),
                         [](const auto& test) { return std::string(test.param.first); });

TEST_P(MainSweep, TouchesEveryChoiceWithinItsBudget) {
  const auto all = TouchedBy("cases/" + std::string(GetParam().first) + ".yaml");
  const Operator& op = *GetParam().second;
  ASSERT_EQ(all.size(), 1U);
  const Touched& touched = all.at(&op);
  ExpectEveryChoice(op, touched);
  EXPECT_TRUE(touched.ranks.contains(8));
  EXPECT_GT(touched.timed, 0U);
  EXPECT_LT(touched.elements, 4e8);
  const bool has_mask = std::ranges::any_of(
      op.params, [](const Param& param) { return param.kind == Param::Kind::kOutputMask; });
  if (!has_mask) return;
  for (const char* mask : {"", "110", "101", "011", "100", "010", "001"}) {
    EXPECT_TRUE(touched.masks.contains(mask)) << "mask " << mask;
  }
}

TEST(ShippedCases, TheMainSweepRefusesShortRowsOnAtlasInference) {
  const Sweep sweep = LoadSweeps({"cases/rms.yaml"}, {});
  EXPECT_TRUE(std::ranges::any_of(sweep.drops, [](const Drop& drop) {
    return drop.reason ==
           "violates \"on atlas-inference the last axis of x, dy and gamma is at least 32 bytes, "
           "or "
           "empty\"";
  }));
}

TEST(ShippedCases, CiTouchesEveryDTypeRowOfEveryProduct) {
  const auto all = TouchedBy("cases/suites/ci.yaml");
  for (const Operator* op : AllOperators()) {
    ASSERT_TRUE(all.contains(op)) << op->name;
    EXPECT_EQ(all.at(op).products, SupportingProducts(*op)) << op->name;
    EXPECT_THAT(MissingPairs(*op, all.at(op).dtypes), testing::IsEmpty()) << op->name;
    EXPECT_EQ(all.at(op).fills.size(), FillNames().size()) << op->name;
  }
}

TEST(ShippedCases, EverySuiteLoads) {
  for (const auto& entry : std::filesystem::directory_iterator("cases/suites")) {
    EXPECT_GT(LoadSweeps({entry.path().string()}, {}).cases.size(), 20U) << entry.path();
  }
}

class RejectFile : public testing::TestWithParam<const Operator*> {
 protected:
  std::string path_ = "cases/" + std::string(GetParam()->name) + "/reject.yaml";
};

INSTANTIATE_TEST_SUITE_P(ShippedCases, RejectFile, testing::ValuesIn(AllOperators()),
                         [](const auto& test) { return std::string(test.param->name); });

// The files say what the documents say, in literal statuses; the tables are code. Two people would
// have to misread the document alike.
TEST_P(RejectFile, AgreesWithTheContract) {
  for (const Case& the_case : LoadSweeps({path_}, {}).cases) {
    const auto violation = ViolationOf(the_case);
    const std::int32_t status = violation ? violation->status : 0;
    EXPECT_TRUE(the_case.expectation->AcceptsStatus(status))
        << the_case.Id() << ": the contract says " << status
        << (violation ? ": " + violation->message : "");
  }
}

TEST_P(RejectFile, BreaksEveryDocumentedRuleOnEveryProduct) {
  std::set<std::pair<std::string, std::string>> broken;
  for (const Case& the_case : LoadSweeps({path_}, {}).cases) {
    if (const auto violation = ViolationOf(the_case)) {
      broken.emplace(the_case.product, violation->rule);
    }
  }
  for (const Product& product : AllProducts()) {
    for (const DocumentedRule& rule : DocumentedRules(*GetParam(), product.key)) {
      EXPECT_TRUE(broken.contains({std::string(product.key), rule.text}))
          << product.key << ": " << rule.text;
    }
  }
}

TEST(PairwiseTable, HasEveryPairOfDTypesAndTheUniformRows) {
  const auto rows =
      LoadDTypeFile("cases/batch_norm_elemt_backward/pairwise.csv", kBatchNormElemtBackward);
  std::set<std::pair<std::string, DTypes>> dtypes;
  std::map<std::string, std::size_t> per_product;
  for (const FileDTypeRow& row : rows) {
    const auto combinations = DTypeRow{row.product, row.cells}.Combinations();
    ASSERT_EQ(combinations.size(), 1U) << "line " << row.line;
    EXPECT_TRUE(IsDocumented(kBatchNormElemtBackward, row.product, combinations.front()))
        << "line " << row.line;
    dtypes.emplace(row.product, combinations.front());
    ++per_product[row.product];
  }
  EXPECT_THAT(MissingPairs(kBatchNormElemtBackward, dtypes), testing::IsEmpty());
  const std::size_t counter = 7;
  for (const std::string& product : SupportingProducts(kBatchNormElemtBackward)) {
    for (const DType uniform : {DType::kFloat32, DType::kFloat16}) {
      EXPECT_TRUE(std::ranges::any_of(dtypes,
                                      [&](const auto& row) {
                                        DTypes others = row.second;
                                        others.erase(others.begin() + counter);
                                        return row.first == product && others == DTypes(8, uniform);
                                      }))
          << product << " " << Name(uniform);
    }
    EXPECT_LT(per_product[product], 20U) << "a covering array is smaller";
  }
}

TEST(Museum, NamesCasesThatExist) {
  std::set<std::string> ids;
  for (const Case& the_case : LoadSweeps({"cases/suites/nightly.yaml"}, {}).cases) {
    ids.insert(the_case.Id());
  }
  std::ifstream file("docs/museum.md");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  std::size_t named = 0;
  for (std::size_t begin = text.find('`'); begin != std::string::npos;) {
    const std::size_t end = text.find('`', begin + 1);
    ASSERT_NE(end, std::string::npos);
    const std::string word = text.substr(begin + 1, end - begin - 1);
    const bool is_id = std::ranges::any_of(AllOperators(), [&](const Operator* op) {
      return word.starts_with(std::string(op->name) + "/");
    });
    if (is_id && !word.ends_with(".yaml")) {
      ++named;
      EXPECT_TRUE(ids.contains(word)) << word;
    }
    begin = text.find('`', end + 1);
  }
  EXPECT_GE(named, 20U);
}

}  // namespace
}  // namespace normgrad
