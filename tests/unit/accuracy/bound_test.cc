// SPDX-License-Identifier: Apache-2.0
#include "accuracy/bound.h"

#include <cmath>

#include <gtest/gtest.h>

namespace normgrad {
namespace {

constexpr double kRoundoff = 0x1p-24, kRoundUp = 1 + 0x1p-20;
constexpr BoundRule kSharp{.mode = SumMode::kSharp}, kCertified{.mode = SumMode::kCertified};

TEST(Allow, CertifiedCountsTheDeepestChainOfAdditions) {
  EXPECT_DOUBLE_EQ(Allow({10, 3, 5, 8, 7}, kCertified), kRoundUp * kRoundoff * 12 * 8);
}

TEST(Allow, SharpAddsRoundingErrorsInSquares) {
  // n = 3000, k = 4, s = 2, S = 3000, V = 3500: 5 sqrt(1000 (4 + 3500) + 4 * 3500)
  EXPECT_DOUBLE_EQ(Allow({3000, 4, 2, 3000, 3500}, kSharp),
                   kRoundUp * kRoundoff * 5 * std::sqrt(3'518'000.0));
}

TEST(Allow, SharpIsNeverAboveCertified) {
  // One term: nothing is added, only the roundings inside it count.
  EXPECT_DOUBLE_EQ(Allow({1, 4, 2, 2, 4}, kSharp), kRoundUp * kRoundoff * 4 * 2);
}

TEST(Allow, OneExactTermAndNoTermNeedNothing) {
  EXPECT_EQ(Allow({1, 0, 2, 2, 4}, kSharp), 0);
  EXPECT_EQ(Allow({0, 5, 0, 0, 0}, kSharp), 0);
  EXPECT_EQ(Allow({0, 0, 0, 0, 0}, kCertified), 0);
}

TEST(Allow, LongSameSignSumsOfSixteenBitInputsAreCertified) {
  const Sum same_sign{5000, 3, 2000, 4000, 4000}, mixed{5000, 3, 900, 4000, 4000};
  const Sum shorter{4096, 3, 2000, 4000, 4000};
  const BoundRule sixteen{.mode = SumMode::kSharp, .sixteen_bit_inputs = true};
  EXPECT_EQ(Allow(same_sign, sixteen), Allow(same_sign, kCertified));
  EXPECT_EQ(Allow(mixed, sixteen), Allow(mixed, kSharp));
  EXPECT_EQ(Allow(shorter, sixteen), Allow(shorter, kSharp));
  EXPECT_LT(Allow(same_sign, kSharp), Allow(same_sign, kCertified));
}

TEST(Allow, SumsOfFewDistinctTermsAreCertified) {
  const Sum sum{.count = 5000, .magnitude = 5000, .energy = 5000, .lattice = true};
  EXPECT_EQ(Allow(sum, kSharp), Allow(sum, kCertified));
}

constexpr BoundRule kExact{.mode = SumMode::kExact, .quantum = 0.5};

TEST(Allow, NothingForSumsWhosePartialSumsAreFloat32Numbers) {
  EXPECT_EQ(Allow({5000, 3, 2000, 0x1p23, 4000}, kExact), 0);
}

TEST(Allow, WhatIsCertifiedWhereAPartialSumMayBeRounded) {
  const Sum sum{5000, 3, 2000, 0x1p23 + 1, 4000};
  EXPECT_EQ(Allow(sum, kExact), Allow(sum, kCertified));
}

TEST(Allowances, OfExactSumsOfTheirOwnAreNothing) {
  const double local[] = {1, 2};
  const Sum exact[] = {{4, 1, 1, 8, 1}, {4, 1, 1, 8, 1}};
  ReferenceBlock block;
  block.roundings = 3;
  block.flush = 1;
  block.local = local;
  block.own = exact;
  double allowances[2];
  Allowances(block, kExact, 0, allowances);
  EXPECT_EQ(allowances[0], 0);
  EXPECT_EQ(allowances[1], 0);
  EXPECT_EQ(AllowanceOf(block, kExact, 1).Total(), 0);
}

TEST(Allowances, OfExactSharedSumsAreNothingOnlyIfElementsAreExactToo) {
  const double local[] = {2}, weight[] = {1};
  const SharedSum shared[] = {{{4, 1, 1, 8, 1}, weight}};
  ReferenceBlock block;
  block.roundings = 3;
  block.local = local;
  block.shared = shared;
  BoundRule rule = kExact;
  EXPECT_EQ(AllowanceOf(block, rule, 0).Total(), 6 * kRoundoff);
  rule.exact_elements = true;
  EXPECT_EQ(AllowanceOf(block, rule, 0).Total(), 0);
  rule.quantum = 0x1p-22;  // 2^24 of them are 4
  EXPECT_GT(AllowanceOf(block, rule, 0).sums, 0);
}

TEST(Allowances, AreTheSumOfTheirTerms) {
  const double local[] = {1, 2, 4}, weight[] = {1, 0, 2};
  const SharedSum shared[] = {{{2, 1, 1, 8, 1}, weight}, {{2, 0, 1, 4, 1}, weight}};
  const Sum own[] = {{1, 1, 1, 2, 1}, {1, 1, 1, 4, 1}, {1, 1, 1, 8, 1}};
  ReferenceBlock block;
  block.roundings = 3;
  block.local = local;
  block.shared = shared;
  block.own = own;
  block.flush = 0x1p110;
  double allowances[2];
  Allowances(block, kCertified, 1, allowances);
  const double flush = 0x1p110 * 0x1p-126;
  EXPECT_DOUBLE_EQ(allowances[0], 6 * kRoundoff + kRoundUp * kRoundoff * 4 + flush);
  EXPECT_DOUBLE_EQ(allowances[1],
                   12 * kRoundoff + kRoundUp * kRoundoff * (2 * (16 + 4) + 8) + flush);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_DOUBLE_EQ(AllowanceOf(block, kCertified, i + 1).Total(), allowances[i]);
  }
  EXPECT_DOUBLE_EQ(AllowanceOf(block, kCertified, 2).local, 12 * kRoundoff);
  EXPECT_DOUBLE_EQ(AllowanceOf(block, kCertified, 2).flush, flush);
}

}  // namespace
}  // namespace normgrad
