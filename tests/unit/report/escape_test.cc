// SPDX-License-Identifier: Apache-2.0
#include "report/escape.h"

#include <gtest/gtest.h>

namespace normgrad {
namespace {

TEST(OneLine, LeavesPlainTextAndUnicodeAlone) {
  EXPECT_EQ(OneLine("dxOut[2, 17]: 5 µs, 误差"), "dxOut[2, 17]: 5 µs, 误差");
}

TEST(OneLine, MakesOneLineOfSeveral) { EXPECT_EQ(OneLine("a\nb\tc\r\nd"), "a b c  d"); }

TEST(OneLine, ShowsControlCharactersInsteadOfObeyingThem) {
  EXPECT_EQ(OneLine("\x1b[2J\x07"), "␛[2J␇");
  EXPECT_EQ(OneLine("\x7f"), "␡");
  EXPECT_EQ(OneLine(std::string_view("\0", 1)), "␀");
}

TEST(OneLine, ObeysNoC1ControlsAndPassesOnNothingButUtf8) {
  EXPECT_EQ(OneLine("a\u009b2J\u0085b"), "a\uFFFD2J\uFFFDb");
  EXPECT_EQ(OneLine("a\x9b"
                    "2Jb"),
            "a\uFFFD2Jb");
  EXPECT_EQ(OneLine("\xc2"), "\uFFFD");
  EXPECT_EQ(OneLine("\xc2"
                    "A\xe8\xaf"),
            "\uFFFDA\uFFFD\uFFFD");
  EXPECT_EQ(OneLine("\u00a0é😀"), "\u00a0é😀");
}

TEST(OneLine, PassesOnNoCharacterInTooManyBytes) {
  EXPECT_EQ(OneLine("\xe0\x80\x9b[2J"), "\uFFFD\uFFFD\uFFFD[2J");
  EXPECT_EQ(OneLine("\xed\xa0\x80"), "\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(OneLine("\xf4\x90\x80\x80"), "\uFFFD\uFFFD\uFFFD\uFFFD");
}

TEST(OneLine, TurnsNoTextAround) { EXPECT_EQ(OneLine("a\u202Eb\u2066c"), "a\uFFFDb\uFFFDc"); }

TEST(CsvField, QuotesWhatHoldsSeparators) {
  EXPECT_EQ(CsvField("plain text"), "plain text");
  EXPECT_EQ(CsvField("a,b"), "\"a,b\"");
  EXPECT_EQ(CsvField("say \"a\""), "\"say \"\"a\"\"\"");
  EXPECT_EQ(CsvField("a\r\nb"), "\"a\r\nb\"");
}

TEST(CsvField, IsNoFormula) {
  EXPECT_EQ(CsvField("=1+1"), "'=1+1");
  EXPECT_EQ(CsvField("@SUM(A1,A2)"), "\"'@SUM(A1,A2)\"");
  EXPECT_EQ(CsvField("-x"), "'-x");
  EXPECT_EQ(CsvField("\t=1"), "'\t=1");
}

TEST(CsvField, LeavesNumbersAlone) {
  EXPECT_EQ(CsvField("-1.5"), "-1.5");
  EXPECT_EQ(CsvField("-1e-07"), "-1e-07");
}

TEST(CsvField, IsSafeForTerminals) { EXPECT_EQ(CsvField("\x1b[2J\u009b\xff"), "␛[2J\uFFFD\uFFFD"); }

TEST(MarkdownCell, KeepsIdsAndShapesReadable) {
  EXPECT_EQ(MarkdownCell("rms_norm_grad/A=4x8"), "rms_norm_grad/A=4x8");
  EXPECT_EQ(MarkdownCell("A=[4, 512], R=[4096]"), "A=[4, 512], R=[4096]");
}

TEST(MarkdownCell, CannotEndTheCell) {
  EXPECT_EQ(MarkdownCell("a|b"), "a\\|b");
  EXPECT_EQ(MarkdownCell("a\\|b"), "a\\\\\\|b");
  EXPECT_EQ(MarkdownCell("a\nb\r\nc\rd"), "a<br>b<br>c<br>d");
}

TEST(MarkdownCell, CannotBecomeMarkup) {
  EXPECT_EQ(MarkdownCell("<script>&"), "&lt;script&gt;&amp;");
  EXPECT_EQ(MarkdownCell("`x` *y* ~z~ _w_"), "\\`x\\` \\*y\\* \\~z\\~ \\_w\\_");
  EXPECT_EQ(MarkdownCell("[text](link)"), "[text]\\(link)");
  EXPECT_EQ(MarkdownCell("$x$"), "\\$x\\$");
  EXPECT_EQ(MarkdownCell("\x1b\u009b\xff"), "␛\uFFFD\uFFFD");
}

TEST(MarkdownCell, HoldsNoAddressThatBecomesALink) {
  EXPECT_EQ(MarkdownCell("https://a.b"), "https&#58;//a.b");
  EXPECT_EQ(MarkdownCell("www.a.b"), "www&#46;a.b");
  EXPECT_EQ(MarkdownCell("a@b.c"), "a&#64;b.c");
  EXPECT_EQ(MarkdownCell("cases/rms.yaml:12:5"), "cases/rms.yaml:12:5");
}

TEST(MarkdownFence, HoldsTextAsItIs) {
  EXPECT_EQ(MarkdownFence("sh", "run --case 'a|b'\n"), "```sh\nrun --case 'a|b'\n```\n");
  EXPECT_EQ(MarkdownFence("", "no line end"), "```\nno line end\n```\n");
}

TEST(MarkdownFence, IsLongerThanTheBackticksInside) {
  EXPECT_EQ(MarkdownFence("", "```\n````\n"), "`````\n```\n````\n`````\n");
}

}  // namespace
}  // namespace normgrad
