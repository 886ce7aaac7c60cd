// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"

#include <cstdio>
#include <fstream>
#include <memory>
#include <random>

#include <gtest/gtest.h>

#include "base/error.h"

namespace normgrad {
namespace {

constexpr std::string_view kKeys[] = {"operator", "products", "dims", "layout"};

TEST(Nearest, FindsTypingErrors) {
  EXPECT_EQ(Nearest("dmis", kKeys), "");  // two substitutions in four letters
  EXPECT_EQ(Nearest("dim", kKeys), "dims");
  EXPECT_EQ(Nearest("product", kKeys), "products");
  EXPECT_EQ(Nearest("oprator", kKeys), "operator");
  EXPECT_EQ(Nearest("layuot", kKeys), "layout");
}

TEST(Nearest, FindsNothingForAnotherWord) {
  EXPECT_EQ(Nearest("tolerance", kKeys), "");
  EXPECT_EQ(Nearest("", kKeys), "");
  EXPECT_EQ(Nearest("dims", {}), "");
}

TEST(Suggest, NamesTheNearestOrAll) {
  EXPECT_EQ(Suggest("dim", kKeys), "did you mean 'dims'?");
  EXPECT_EQ(Suggest("x", kKeys), "expected one of operator, products, dims, layout");
}

TEST(HumanBytes, UsesBinaryUnitsAndThreeDigits) {
  EXPECT_EQ(HumanBytes(0), "0 B");
  EXPECT_EQ(HumanBytes(17), "17 B");
  EXPECT_EQ(HumanBytes(65536), "64 KiB");
  EXPECT_EQ(HumanBytes(1.5 * 1024 * 1024 * 1024), "1.5 GiB");
  EXPECT_EQ(HumanBytes(1e18), "888 PiB");
}

TEST(HumanBytes, NeverPrintsAnExponentAtAUnitsEdge) {
  EXPECT_EQ(HumanBytes(999.4), "999 B");
  EXPECT_EQ(HumanBytes(999.6), "0.976 KiB");
  EXPECT_EQ(HumanBytes(999.7 * 1024), "0.976 MiB");
}

TEST(HumanSeconds, PicksTheUnit) {
  EXPECT_EQ(HumanSeconds(0), "0 us");
  EXPECT_EQ(HumanSeconds(12.34e-6), "12.3 us");
  EXPECT_EQ(HumanSeconds(4.56e-3), "4.56 ms");
  EXPECT_EQ(HumanSeconds(7.8), "7.8 s");
  EXPECT_EQ(HumanSeconds(99.4), "99.4 s");
  EXPECT_EQ(HumanSeconds(200), "3 min 20 s");
  EXPECT_EQ(HumanSeconds(119.6), "2 min 0 s");
}

TEST(HumanSeconds, NeverPrintsAnExponentAtAUnitsEdge) {
  EXPECT_EQ(HumanSeconds(999.4e-6), "999 us");
  EXPECT_EQ(HumanSeconds(999.6e-6), "1 ms");
  EXPECT_EQ(HumanSeconds(0.9994), "999 ms");
  EXPECT_EQ(HumanSeconds(0.9996), "1 s");
}

TEST(GlobMatch, MatchesTheWholeText) {
  EXPECT_TRUE(GlobMatch("", ""));
  EXPECT_TRUE(GlobMatch("abc", "abc"));
  EXPECT_FALSE(GlobMatch("abc", "abcd"));
  EXPECT_FALSE(GlobMatch("abc", "ab"));
  EXPECT_FALSE(GlobMatch("", "a"));
}

TEST(GlobMatch, KnowsStarsAndQuestionMarks) {
  EXPECT_TRUE(GlobMatch("*", ""));
  EXPECT_TRUE(GlobMatch("rms_*/atlas-a2/*", "rms_norm_grad/atlas-a2/A=4x8,R=31"));
  EXPECT_TRUE(GlobMatch("a*b*c", "aXbYbZc"));
  EXPECT_FALSE(GlobMatch("a*b*c", "aXbYbZ"));
  EXPECT_TRUE(GlobMatch("a?c", "abc"));
  EXPECT_FALSE(GlobMatch("a?c", "ac"));
  EXPECT_TRUE(GlobMatch("**x", "x"));
}

TEST(Error, FormatsItsMessage) {
  EXPECT_STREQ(Error("{}:{}: unknown key", "smoke.yaml", 3).what(), "smoke.yaml:3: unknown key");
}

TEST(Grouped, SetsThreeDigitsApart) {
  EXPECT_EQ(Grouped(0), "0");
  EXPECT_EQ(Grouped(999), "999");
  EXPECT_EQ(Grouped(1000), "1,000");
  EXPECT_EQ(Grouped(1'500'000'000), "1,500,000,000");
  EXPECT_EQ(Grouped(18'446'744'073'709'551'615U), "18,446,744,073,709,551,615");
}

TEST(ShellWord, QuotesOnlyWhatAShellWouldReadOtherwise) {
  EXPECT_EQ(ShellWord("op/A=4x8,R=31"), "op/A=4x8,R=31");
  EXPECT_EQ(ShellWord(""), "''");
  EXPECT_EQ(ShellWord("it's"), "'it'\\''s'");
  EXPECT_EQ(ShellWord("$(x)"), "'$(x)'");
  EXPECT_EQ(ShellProgram("a=b"), "'a=b'");
  EXPECT_EQ(ShellProgram("./bench"), "./bench");
}

// A real shell must give back every word, whatever bytes are in it: zero ends a word everywhere.
TEST(ShellWord, ReadsBackInAShell) {
  std::mt19937 random(1);
  std::string expected;
  std::string script = "printf '%s\\0'";
  for (int word = 0; word < 500; ++word) {
    std::string text;
    for (auto left = random() % 20; left > 0; --left) {
      text += static_cast<char>(word % 2 == 0 ? 1 + random() % 255
                                              : "'\"\\$`\n \t!*~#&;|<>="[random() % 18]);
    }
    expected += text + '\0';
    script += ' ' + ShellWord(text);
  }
  const std::string path = testing::TempDir() + "/ShellWord.sh";
  std::ofstream(path, std::ios::binary) << script;
  const std::unique_ptr<FILE, int (*)(FILE*)> output(popen(("sh " + path).c_str(), "r"), pclose);
  ASSERT_NE(output, nullptr);
  std::string actual;
  for (int c = 0; (c = std::fgetc(output.get())) != EOF;) actual += static_cast<char>(c);
  EXPECT_EQ(actual, expected);
}

}  // namespace
}  // namespace normgrad
