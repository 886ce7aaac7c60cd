// SPDX-License-Identifier: Apache-2.0
// Every oracle against outputs computed in rational arithmetic by scripts/make_golden_vectors.py,
// which describes the format.
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "accuracy/bound.h"
#include "ops/operators.h"
#include "tests/unit/golden/tensor_set.h"

namespace normgrad {
namespace {

using nlohmann::json;

double ParseHex(const json& text) {
  return std::strtod(text.get_ref<const std::string&>().c_str(), nullptr);
}

std::vector<json> Vectors(const Operator& op) {
  std::vector<json> vectors;
  std::ifstream file("golden/vectors/" + std::string(op.name) + ".jsonl");
  for (std::string line; std::getline(file, line);) vectors.push_back(json::parse(line));
  return vectors;
}

TensorSet Inputs(const Operator& op, const json& vector) {
  DTypes dtypes = DTypesOf(op, DType::kNone);
  for (const Param& param : op.params) {
    if (!param.IsTensor()) continue;
    dtypes[DTypeColumn(op, param)] =
        ParseDTypeOrNone(vector["dtypes"].at(param.name).get<std::string>());
  }
  Dims dims;
  for (const auto& [symbol, extents] : vector["dims"].items()) {
    dims.emplace(symbol, extents.get<Shape>());
  }
  TensorSet set(op, dims, dtypes);
  for (const auto& [name, values] : vector["inputs"].items()) {
    set.Fill(name, [&, v = &values](std::size_t i) { return ParseHex((*v)[i]); });
    for (std::size_t i = 0; i < values.size(); ++i) {
      EXPECT_EQ(set.Get(name, i), ParseHex(values[i])) << "not exact in its dtype";
    }
  }
  return set;
}

std::uint32_t Bits(DType dtype, double value) {
  double storage = 0;
  Store(dtype, value, &storage);
  std::uint32_t bits = 0;
  std::memcpy(&bits, &storage, SizeOf(dtype));
  const std::uint32_t sign = SizeOf(dtype) == 2 ? 0x8000U : 0x80000000U;
  return bits == sign ? 0 : bits;  // one zero
}

// Compares one block and returns the largest |oracle - exact| / allowance seen in it.
double Compare(const TensorSet& set, const json& output, const ReferenceBlock& block) {
  const DType dtype = set.All()[block.param].dtype;
  double largest = 0;
  for (std::size_t i = 0; i < block.value.size(); ++i) {
    const std::size_t at = block.first + i;
    const double high = ParseHex(output["exact"][2 * at]);
    const double low = ParseHex(output["exact"][2 * at + 1]);
    const double error = std::fabs((block.value[i] - high) - low);
    const double allowance =
        AllowanceOf(block, {.mode = SumMode::kSharp, .smallest_normal = 0}, i).Total();
    EXPECT_LE(error, allowance * 0x1p-10) << "element " << at;
    if (allowance > 0) largest = std::max(largest, error / allowance);
    const auto rounded =
        std::stoul(output["rounded"][at].get_ref<const std::string&>(), nullptr, 16);
    if (Bits(dtype, high) == rounded) {
      EXPECT_EQ(Bits(dtype, block.value[i]), rounded) << "element " << at;
    } else {  // so near to a tie that the nearest float64 is one
      EXPECT_EQ(block.value[i], high) << "element " << at;
    }
  }
  return largest;
}

TEST(GoldenVectors, AgreeWithEveryOracleFarBelowItsAllowance) {
  for (const Operator* op : AllOperators()) {
    const std::vector<json> vectors = Vectors(*op);
    ASSERT_GT(vectors.size(), 100) << op->name;
    double largest = 0;
    for (const json& vector : vectors) {
      SCOPED_TRACE(vector["id"]);
      const TensorSet set = Inputs(*op, vector);
      std::map<std::size_t, std::size_t> elements;
      for (const Profile profile : {Profile::kExpanded, Profile::kCentred}) {
        OracleOf(*op).reference(
            set.BoundDims(), set.All(), profile, 1, [&](const ReferenceBlock& block) {
              const json& output = vector["outputs"].at(op->params[block.param].name);
              largest = std::max(largest, Compare(set, output, block));
              elements[block.param] += block.value.size();
            });
      }
      for (const auto& [name, output] : vector["outputs"].items()) {
        EXPECT_EQ(elements[set.IndexOf(name)], 2 * output["rounded"].size()) << name;
      }
    }
    EXPECT_LT(largest, 0x1p-25) << op->name;
  }
}

TEST(GoldenVectors, StatisticsAreCorrectlyRounded) {
  for (const Operator* op : AllOperators()) {
    std::size_t checked = 0;
    for (const json& vector : Vectors(*op)) {
      if (!vector["forward"].get<bool>()) continue;
      SCOPED_TRACE(vector["id"]);
      TensorSet set = Inputs(*op, vector);
      for (const Param& param : op->params) {
        if (TensorSet::IsDerived(param)) set.Fill(param.name, [](std::size_t) { return -1; });
      }
      set.FillStatistics(ParseHex(vector["eps"]));
      for (const Param& param : op->params) {
        if (!TensorSet::IsDerived(param)) continue;
        for (std::size_t i = 0; i < set.CountOf(param.name); ++i, ++checked) {
          EXPECT_EQ(set.Get(param.name, i), ParseHex(vector["inputs"][param.name][i])) << i;
        }
      }
    }
    EXPECT_GT(checked, 100) << op->name;
  }
}

}  // namespace
}  // namespace normgrad
