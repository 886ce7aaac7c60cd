// SPDX-License-Identifier: Apache-2.0
#include "run/messages.h"

#include <string>

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/random.h"
#include "sweep/sweep.h"

namespace normgrad {
namespace {

void ExpectEqual(const Case& a, const Case& b) {
  EXPECT_EQ(a.Id(), b.Id());
  EXPECT_EQ(a.op, b.op);
  EXPECT_EQ(a.layout, b.layout);
  EXPECT_EQ(a.layout_of, b.layout_of);
  EXPECT_EQ(a.reshaped, b.reshaped);
  EXPECT_EQ(a.changes, b.changes);
  EXPECT_EQ(a.checks, b.checks);
  EXPECT_EQ(a.source, b.source);
  EXPECT_EQ(a.eps, b.eps);
  ASSERT_EQ(a.expectation.has_value(), b.expectation.has_value());
  if (a.expectation) {
    EXPECT_EQ(a.expectation->status, b.expectation->status);
    EXPECT_EQ(a.expectation->because, b.expectation->because);
  }
  ASSERT_EQ(a.legal == nullptr, b.legal == nullptr);
  if (a.legal != nullptr) ExpectEqual(*a.legal, *b.legal);
}

std::vector<Case> ManyCases() { return LoadSweeps({"cases/suites/ci.yaml"}, {}).cases; }

TEST(Messages, CarryEveryCaseOfTheCiSuite) {
  for (const Case& the_case : ManyCases()) {
    ExpectEqual(DecodeCase(Encode(the_case)), the_case);
  }
}

TEST(Messages, CarryAHello) {
  const Hello hello = {"a device", "0x1", true, 4, {{"rms_norm_grad", "lacks it"}}};
  const Hello read = DecodeHello(Encode(hello));
  EXPECT_EQ(read.description, hello.description);
  EXPECT_EQ(read.is_ours, hello.is_ours);
  EXPECT_EQ(read.devices, hello.devices);
  EXPECT_EQ(read.missing, hello.missing);
}

TEST(Messages, CarryNumbers) {
  const CaseNumbers read = DecodeCaseNumbers(Encode(CaseNumbers{{1, 2}, "why"}));
  EXPECT_EQ(read.values, (std::vector<std::uint64_t>{1, 2}));
  EXPECT_EQ(read.unknown, "why");
}

TEST(Messages, RefuseEveryShorterText) {
  const std::string bytes = Encode(ManyCases().front());
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_THROW(DecodeCase(std::string_view(bytes).substr(0, length)), Error) << length;
  }
  EXPECT_THROW(DecodeCase(bytes + "x"), Error);
}

TEST(Messages, SurviveHostileBytes) {
  const RandomStream random(HashText("messages"));
  const std::string bytes = Encode(ManyCases().back());
  for (std::uint64_t trial = 0; trial < 5000; ++trial) {
    std::string changed = bytes;
    for (std::uint64_t i = 0; i < 1 + trial % 4; ++i) {
      changed[random.Bits(8 * trial + i) % changed.size()] =
          static_cast<char>(random.Bits(8 * trial + i + 4));
    }
    try {
      static_cast<void>(DecodeCase(changed));
      static_cast<void>(DecodeHello(changed));
    } catch (const Error&) {
      continue;  // what it is for
    }
  }
}

}  // namespace
}  // namespace normgrad
