// SPDX-License-Identifier: Apache-2.0
#include "accuracy/certificate.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "ops/operators.h"
#include "tests/unit/golden/tensor_set.h"

namespace normgrad {
namespace {

Dims DimsOf(const Operator& op, std::int64_t rows) {
  if (op.params[0].pattern == "*A *R") return {{"A", {rows}}, {"R", {37}}};
  return {{"N", {rows}}, {"C", {6}}, {"G", {2}}, {"S", {3, 5}}, {"K", {2}}};
}

/// The certificates of every output, the oracle's references bent by `bend`.
template <typename Bend>
std::vector<Certificate> CertificatesOf(const Operator& op, const TensorSet& set, Bend bend) {
  const Oracle& oracle = OracleOf(op);
  std::vector<Certificate> certificates;
  for (std::size_t param = 0; param < op.params.size(); ++param) {
    if (op.params[param].kind != Param::Kind::kOutput) continue;
    OracleWitness witness(param, set.CountOf(op.params[param].name), {});
    oracle.reference(set.BoundDims(), set.All(), Profile::kExpanded, 2, [&](ReferenceBlock block) {
      std::vector<double> values(block.value.begin(), block.value.end());
      for (double& value : values) value = bend(value);
      block.value = values;
      witness.Consume(block);
    });
    certificates.push_back(witness.Certify(oracle, set.BoundDims(), set.All(), 2));
  }
  return certificates;
}

TEST(Certificate, HoldsForEveryOracle) {
  for (const Operator* op : AllOperators()) {
    for (const std::int64_t rows : {std::int64_t{1}, std::int64_t{7}, std::int64_t{300}}) {
      TensorSet set(*op, DimsOf(*op, rows), DTypesOf(*op, DType::kFloat32));
      set.FillRandom(1e-5);
      for (const Certificate& certificate :
           CertificatesOf(*op, set, [](double value) { return value; })) {
        EXPECT_GE(certificate.elements, 3U) << op->name;
        EXPECT_LE(certificate.elements, 8U) << op->name;
        EXPECT_LT(certificate.error, 0x1p-20) << op->name;
        EXPECT_TRUE(certificate.Holds()) << op->name;
      }
    }
  }
}

TEST(Certificate, IsRefusedToAnOracleThatIsALittleWrong) {
  for (const Operator* op : AllOperators()) {
    TensorSet set(*op, DimsOf(*op, 7), DTypesOf(*op, DType::kFloat32));
    set.FillRandom(1e-5);
    for (const Certificate& certificate :
         CertificatesOf(*op, set, [](double value) { return value * (1 + 0x1p-26); })) {
      EXPECT_FALSE(certificate.Holds()) << op->name;
    }
  }
}

TEST(Certificate, WantsBothOpinionsToBeFiniteOrNeither) {
  for (const Operator* op : AllOperators()) {
    TensorSet set(*op, DimsOf(*op, 7), DTypesOf(*op, DType::kFloat32));
    set.FillRandom(1e-5);
    const auto nan = [](double) { return std::numeric_limits<double>::quiet_NaN(); };
    for (const Certificate& certificate : CertificatesOf(*op, set, nan)) {
      EXPECT_FALSE(certificate.Holds()) << op->name;
      EXPECT_TRUE(std::isinf(certificate.error)) << op->name;
    }
    set.Set(op->params[0].name, 0, std::numeric_limits<double>::infinity());
    for (const Certificate& certificate :
         CertificatesOf(*op, set, [](double value) { return value; })) {
      EXPECT_TRUE(certificate.Holds()) << op->name;
    }
  }
}

TEST(OracleWitness, AsksForNothingAboutNothing) {
  const OracleWitness witness(4, 0, {});
  const Certificate certificate = witness.Certify(OracleOf(kRmsNormGrad), {}, {}, 1);
  EXPECT_EQ(certificate.elements, 0U);
  EXPECT_TRUE(certificate.Holds());
}

}  // namespace
}  // namespace normgrad
