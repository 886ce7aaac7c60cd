// SPDX-License-Identifier: Apache-2.0
// What a user can get wrong in a sweep file, and what the tool says to each: literally.
#include <ostream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "sweep/sweep.h"
#include "tests/unit/sweep/temporary_folder.h"

namespace normgrad {
namespace {

struct Mistake {
  const char* name;
  std::string yaml;
  std::string message;
};

void PrintTo(const Mistake& mistake, std::ostream* out) { *out << mistake.name; }

class SweepErrorTest : public testing::TestWithParam<Mistake> {};

TEST_P(SweepErrorTest, SaysWhereAndWhatIsWrong) {
  const TemporaryFolder folder;
  folder.Write("ok.yaml", "operator: rms_norm_grad\nsweep: [{shapes: [{A: 4, R: 64}]}]\n");
  const std::string path = folder.Write("m.yaml", GetParam().yaml);
  EXPECT_EQ(folder.Relative(ErrorOf([&] { LoadSweeps({path}, {}); })), GetParam().message);
}

std::string NameOf(const testing::TestParamInfo<Mistake>& mistake) { return mistake.param.name; }

/// A file that is right but for what `line`, its second, says.
std::string Top(const std::string& line) {
  return "operator: rms_norm_grad\n" + line + "\nsweep:\n  - dims: {A: [4], R: [64]}\n";
}

/// A file whose third line is one entry.
std::string Entry(const std::string& entry) {
  return "operator: rms_norm_grad\nsweep:\n  - " + entry + "\n";
}

std::string Dims(const std::string& a, const std::string& r) {
  return Entry("dims: {A: " + a + ", R: " + r + "}");
}

std::string Repeat(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

std::string Numbers(int count) {
  std::string list = "[0";
  for (int i = 1; i < count; ++i) list += "," + std::to_string(i);
  return list + "]";
}

INSTANTIATE_TEST_SUITE_P(
    File, SweepErrorTest,
    testing::ValuesIn(std::vector<Mistake>{
        {"Empty", "", "m.yaml: the file is empty: expected the keys operator and sweep"},
        {"OnlyComments", "# nothing\n\n",
         "m.yaml: the file is empty: expected the keys operator and sweep"},
        {"Scalar", "hello\n", "m.yaml:1:1: the file is 'hello': expected a map of keys"},
        {"List", "- 1\n", "m.yaml:1:1: the file is a list: expected a map of keys"},
        {"Binary", std::string("\0\1\2", 3), "m.yaml:1:1: the file is '?': expected a map of keys"},
        {"TooLarge", "#" + Repeat("x", 1 << 20), "m.yaml: larger than 1 MiB: split it"},
        {"SecondDocument", Top("eps: 1") + "---\na: b\n",
         "m.yaml:5:1: a second document: expected one sweep per file"},
        {"OpenList", "operator: rms_norm_grad\nsweep: [\n",
         "m.yaml:3:1: not valid YAML: end of sequence flow not found"},
        {"Tab", "operator: rms_norm_grad\n\tsweep: 4\n",
         "m.yaml:2:1: not valid YAML: illegal tab when looking for indentation"},
        {"TwoColons", "a: b: c\n", "m.yaml:1:5: not valid YAML: illegal map value"},
        {"UnknownAnchor", Top("fills: *f"),
         "m.yaml:2:8: not valid YAML: the referenced anchor is not defined"},
        {"Alias", Entry("dims: &d {A: [4], R: [8]}") + "  - dims: *d\n",
         "m.yaml:4:11: an alias: write the value out, or put it into a file to include"},
        {"AliasOfItself", "&a [*a]\n",
         "m.yaml:1:5: an alias: write the value out, or put it into a file to include"},
        {"Tag", Top("eps: !!float 1"), "m.yaml:2:6: a tag: write the plain value"},
        {"ListAsKey", "[1, 2]: 3\n", "m.yaml:1:1: a key is a list: expected a word"},
        {"NoKey", "~: 3\n", "m.yaml:1:1: a key is nothing: expected a word"},
        {"DoubledKey", Top("fills: [normal]\nfills: [tiny]"),
         "m.yaml:3:1: key 'fills' is given twice: the first is in line 2"},
        {"DeepLists", "a: " + Repeat("[", 40) + Repeat("]", 40) + "\n",
         "m.yaml:1:19: more than 16 levels of nesting"},
        {"DeepBlocks", Repeat("- ", 100000), "m.yaml:1:33: more than 16 levels of nesting"},
        {"DeepKeys", Repeat("? ", 100000), "m.yaml:1:3: a key is a map: expected a word"},
    }),
    NameOf);

INSTANTIATE_TEST_SUITE_P(
    Keys, SweepErrorTest,
    testing::ValuesIn(std::vector<Mistake>{
        {"LikeAKnownOne", Top("fill: normal"),
         "m.yaml:2:1: unknown key 'fill': did you mean 'fills'?"},
        {"LikeNone", Top("frobnicate: 1"),
         "m.yaml:2:1: unknown key 'frobnicate': expected one of operator, products, dtypes, rows, "
         "checks, layouts, fills, seeds, eps, masks, reshape, include, sweep"},
        {"InAnEntry", Entry("dim: {A: [4], R: [8]}"),
         "m.yaml:3:5: unknown key 'dim': did you mean 'dims'?"},
        {"MergeKey", Top("<<: {fills: tiny}"),
         "m.yaml:2:1: unknown key '<<': expected one of operator, products, dtypes, rows, checks, "
         "layouts, fills, seeds, eps, masks, reshape, include, sweep"},
        {"NoSweep", "operator: rms_norm_grad\n",
         "m.yaml:1:1: sweep is missing: expected a list of shapes, or an include or reject"},
        {"SweepOfNothing", "operator: rms_norm_grad\nsweep:\n",
         "m.yaml:2:1: sweep is empty: expected at least one value"},
        {"EmptySweep", "operator: rms_norm_grad\nsweep: []\n",
         "m.yaml:2:8: sweep is empty: expected at least one value"},
        {"SweepIsAMap", "operator: rms_norm_grad\nsweep: {dims: 4}\n",
         "m.yaml:2:8: sweep is a map: expected a list of entries"},
        {"EntryIsAWord", Entry("hello"),
         "m.yaml:3:5: a sweep entry is 'hello': expected a map of keys"},
        {"NameIsAList", Entry("{name: [a], dims: {A: [4], R: [8]}}"),
         "m.yaml:3:12: name is a list: expected one word"},
        {"NoEffect", "include: [ok.yaml]\nfills: [tiny]\n",
         "m.yaml:2:1: fills has no effect: the file has no sweep, and included files have their "
         "own"},
        {"WrongWhereNoEntryInheritsIt",
         "operator: rms_norm_grad\nfills: nromal\nsweep: [{fills: tiny, shapes: [{A: 1, R: 1}]}]\n",
         "m.yaml:2:8: unknown fill 'nromal': did you mean 'normal'?"},
    }),
    NameOf);

INSTANTIATE_TEST_SUITE_P(
    Names, SweepErrorTest,
    testing::ValuesIn(std::vector<Mistake>{
        {"NoOperator", "sweep:\n  - dims: {A: [4], R: [8]}\n",
         "m.yaml:2:5: operator is missing: expected one of rms_norm_grad, layer_norm_backward, "
         "group_norm_backward, batch_norm_elemt_backward"},
        {"Operator", "operator: rms_norm\nsweep: []\n",
         "m.yaml:1:11: unknown operator 'rms_norm': expected one of rms_norm_grad, "
         "layer_norm_backward, group_norm_backward, batch_norm_elemt_backward"},
        {"OperatorOverTwoLines", "operator: \"a\\nb\"\nsweep: []\n",
         "m.yaml:1:11: unknown operator 'a?b': expected one of rms_norm_grad, layer_norm_backward, "
         "group_norm_backward, batch_norm_elemt_backward"},
        {"VeryLongOperator", "operator: " + Repeat("é", 99) + "\nsweep: []\n",
         "m.yaml:1:11: unknown operator '" + Repeat("é", 29) +
             "…': expected one of rms_norm_grad, layer_norm_backward, group_norm_backward, "
             "batch_norm_elemt_backward"},
        {"Operators", "operator: [rms_norm_grad]\nsweep: []\n",
         "m.yaml:1:11: operator is a list: expected one word"},
        {"Product", Top("products: [atlas-a4]"),
         "m.yaml:2:12: unknown product 'atlas-a4': did you mean 'atlas-a3'?"},
        {"NoProduct", Top("products: []"),
         "m.yaml:2:11: products is empty: expected at least one value"},
        {"ProductsOfNothing", Top("products:"),
         "m.yaml:2:1: products is empty: expected at least one value"},
        {"DoubledProduct", Top("products: [atlas-a2, atlas-a2]"),
         "m.yaml:2:22: product 'atlas-a2' is given twice"},
        {"ProductsAreAMap", Top("products: {a: b}"),
         "m.yaml:2:11: product is a map: expected one word"},
        {"Fill", Top("fills: [normal, nromal]"),
         "m.yaml:2:17: unknown fill 'nromal': did you mean 'normal'?"},
        {"Check", Top("checks: speed"),
         "m.yaml:2:9: unknown check 'speed': expected one of contract, accuracy, memory, "
         "determinism, batch, invariants, throughput"},
        {"Layout", Top("layouts: [transpose]"),
         "m.yaml:2:11: unknown layout 'transpose': did you mean 'transposed'?"},
        {"LayoutIsAList", Top("layouts: [[strided]]"),
         "m.yaml:2:11: layout is a list: expected one word"},
        {"LayoutOfNothing", Top("layouts: [{}]"),
         "m.yaml:2:11: the map of layouts is empty: expected {tensor: layout}"},
        {"LayoutOfATensor", Top("layouts: [{dy: diagonal}]"),
         "m.yaml:2:16: unknown layout 'diagonal': expected one of contiguous, transposed, "
         "strided, padded, offset"},
        {"LayoutsOfATensor", Top("layouts: [{dy: [padded, offset]}]"),
         "m.yaml:2:16: layout is a list: expected one word"},
        {"Tensor", Top("layouts: [{dz: padded}]"),
         "m.yaml:2:12: unknown tensor 'dz' of rms_norm_grad: did you mean 'dy'?"},
        {"Row", Top("rows: [fp16-float32-float16-float32]"),
         "m.yaml:2:8: row 'fp16-float32-float16-float32': unknown dtype 'fp16': expected float32, "
         "float16, bfloat16 or int32"},
        {"RowWithADashTooMany", Top("rows: [float16-float32-float16-float32-]"),
         "m.yaml:2:8: row 'float16-float32-float16-float32-': unknown dtype '': expected float32, "
         "float16, bfloat16 or int32"},
        {"LongRow", Top("rows: " + Repeat("x", 99999)),
         "m.yaml:2:7: row '" + Repeat("x", 59) + "…': unknown dtype '" + Repeat("x", 40) +
             "': expected float32, float16, bfloat16 or int32"},
        {"AllAmongProducts", Top("products: [all, atlas-a2]"),
         "m.yaml:2:12: unknown product 'all': expected one of ascend-950, atlas-a3, "
         "atlas-a2, atlas-200i-a2, atlas-inference, atlas-training, atlas-200-300-500"},
        {"ShortRow", Top("rows: float16-float32"),
         "m.yaml:2:7: row 'float16-float32' has 2 dtypes: expected 4 "
         "(data-statistic-scale-scale_grad)"},
    }),
    NameOf);

INSTANTIATE_TEST_SUITE_P(
    Shapes, SweepErrorTest,
    testing::ValuesIn(std::vector<Mistake>{
        {"None", Entry("name: tails"),
         "m.yaml:3:5: the entry has no shape: expected dims or shapes"},
        {"UnknownSymbol", Entry("dims: {A: [4], R: [8], C: [3]}"),
         "m.yaml:3:28: unknown symbol 'C': rms_norm_grad has A, R"},
        {"MissingSymbol", Entry("dims: {A: [4]}"),
         "m.yaml:3:11: symbol 'R' is missing: rms_norm_grad has A, R"},
        {"MissingSymbolOfAShape", Entry("shapes: [{R: 4}]"),
         "m.yaml:3:14: symbol 'A' is missing: rms_norm_grad has A, R"},
        {"DoubledSymbol", Entry("dims: {A: [4], A: [5], R: [8]}"),
         "m.yaml:3:20: key 'A' is given twice: the first is in line 3"},
        {"DimsAreAList", Entry("dims: [4]"),
         "m.yaml:3:11: dims is a list: expected a map from each of A, R"},
        {"ShapeIsAList", Entry("shapes: [[4, 8]]"),
         "m.yaml:3:14: a shape is a list: expected a map from each of A, R"},
        {"NoShapeInTheList", Entry("shapes: []"),
         "m.yaml:3:13: shapes is empty: expected at least one value"},
        {"NoAlternatives", Dims("4", "[8]"),
         "m.yaml:3:15: A is '4': expected a list of alternatives such as [[8], [4, 2]]"},
        {"EmptyAlternatives", Dims("[]", "[8]"),
         "m.yaml:3:15: A is empty: expected a list of alternatives such as [[8], [4, 2]]"},
        {"AlternativesOfNothing", Dims("", "[8]"),
         "m.yaml:3:12: A is nothing: expected a list of alternatives such as [[8], [4, 2]]"},
        {"Negative", Dims("[[4, -8]]", "[8]"), "m.yaml:3:20: extent -8 is negative"},
        {"VeryNegative", Dims("[-99999999999999999999]", "[8]"),
         "m.yaml:3:16: extent '-99999999999999999999' is out of range: expected 0 to 2147483647"},
        {"Fraction", Dims("[1.5]", "[8]"), "m.yaml:3:16: extent '1.5' is not a whole number"},
        {"Word", Dims("[many]", "[8]"), "m.yaml:3:16: extent 'many' is not a whole number"},
        {"TooDeep", Dims("[[[4]]]", "[8]"),
         "m.yaml:3:17: an extent is a list: expected a whole number"},
        {"AboveInt32", Dims("[2147483648]", "[8]"),
         "m.yaml:3:16: extent '2147483648' is out of range: expected 0 to 2147483647"},
        {"AboveInt64", Dims("[99999999999999999999]", "[8]"),
         "m.yaml:3:16: extent '99999999999999999999' is out of range: expected 0 to 2147483647"},
        {"TensorAbove2To40", Dims("[[1048576, 1048577]]", "[1]"),
         "m.yaml:3:5: dy has more than 2^40 elements with A=[1048576, 1048577], R=[1]: expected "
         "smaller extents"},
        {"ManyAxes", Dims("[[" + Repeat("1, ", 64) + "1]]", "[1]"),
         "m.yaml:3:16: 65 numbers: expected at most 64"},
        {"BillionsOfCombinations",
         Dims(Numbers(1000), Numbers(1000)) +
             "    products: atlas-inference\n    seeds: " + Numbers(750) + "\n",
         "m.yaml:3:5: 1,500,000,000 combinations up to here: a run may have at most 1,000,000: "
         "shorten a list, or choose a --product"},
        {"MoreCombinationsThanFitANumber",
         Dims(Numbers(9999), Numbers(9999)) + "    products: atlas-inference\n    seeds: " +
             Numbers(9999) + "\n    eps: " + Numbers(9999) + "\n    layouts: [" +
             Repeat("padded, ", 9999) + "offset]\n",
         "m.yaml:3:5: over 18,446,744,073,709,551,614 combinations up to here: a run may have at "
         "most 1,000,000: shorten a list, or choose a --product"},
        {"EmptyTensorWithHugeStrides", Dims("[[0, 2147483647, 2147483647, 2147483647]]", "[1]"),
         "m.yaml:3:5: dy has more than 2^40 elements with A=[0, 2147483647, 2147483647, "
         "2147483647], R=[1]: expected smaller extents"},
        {"ManyCombinations", Dims(Numbers(1000), Numbers(1000)) + "    products: atlas-inference\n",
         "m.yaml:3:5: 2,000,000 combinations up to here: a run may have at most 1,000,000: shorten "
         "a "
         "list, or choose a --product"},
        {"ManyCombinationsInAll",
         Dims("[4]", "[64]") + "  - {seeds: " + Numbers(60000 / 6) +
             ", dims: {A: [1, 2, 3, 4, 5, 6], R: [64]}}\n",
         "m.yaml:4:5: 1,020,017 combinations up to here: a run may have at most 1,000,000: shorten "
         "a "
         "list, or choose a --product"},
        {"AllDropped", Top("products: [atlas-training, atlas-200i-a2]"),
         "no case is left: each of 2 combinations is dropped, the first because atlas-training "
         "does not support aclnnRmsNormGrad"},
    }),
    NameOf);

INSTANTIATE_TEST_SUITE_P(
    Values, SweepErrorTest,
    testing::ValuesIn(std::vector<Mistake>{
        {"NegativeEps", Top("eps: -1"),
         "m.yaml:2:6: eps is '-1': expected a finite number that is not negative"},
        {"InfiniteEps", Top("eps: [1e-6, inf]"),
         "m.yaml:2:13: eps is 'inf': expected a finite number that is not negative"},
        {"EpsIsNaN", Top("eps: nan"),
         "m.yaml:2:6: eps is 'nan': expected a finite number that is not negative"},
        {"HugeEps", Top("eps: 1e999"),
         "m.yaml:2:6: eps '1e999' is too large or too small for a float64"},
        {"TinyEps", Top("eps: 1e-999"),
         "m.yaml:2:6: eps '1e-999' is too large or too small for a float64"},
        {"EpsWithTwoSigns", Top("eps: +-1"),
         "m.yaml:2:6: eps is '+-1': expected a finite number that is not negative"},
        {"EpsWithUnit", Top("eps: 1 ulp"),
         "m.yaml:2:6: eps is '1 ulp': expected a finite number that is not negative"},
        {"NegativeSeed", Top("seeds: [-1]"),
         "m.yaml:2:9: seed is '-1': expected a whole number from 0 to 18446744073709551615"},
        {"FractionalSeed", Top("seeds: 1.5"),
         "m.yaml:2:8: seed is '1.5': expected a whole number from 0 to 18446744073709551615"},
        {"SeedAbove2To64", Top("seeds: [18446744073709551616]"),
         "m.yaml:2:9: seed is '18446744073709551616': expected a whole number from 0 to "
         "18446744073709551615"},
    }),
    NameOf);

INSTANTIATE_TEST_SUITE_P(
    Paths, SweepErrorTest,
    testing::ValuesIn(std::vector<Mistake>{
        {"NoDTypeTable", Top("dtypes: no.csv"), "m.yaml:2:9: dtype table no.csv does not exist"},
        {"DTypeTableIsNoTable", Top("dtypes: ok.yaml"),
         "ok.yaml:1: unknown column 'operator: rms_norm_grad': expected one of product, data, "
         "statistic, scale, scale_grad"},
        {"DTypeTableIsADevice", Top("dtypes: /dev/zero"),
         "m.yaml:2:9: dtype table /dev/zero is no regular file: expected one"},
        {"IncludeOfADevice", "include: [/dev/zero]\n",
         "m.yaml:1:11: included file /dev/zero is no regular file: expected one"},
        {"NoInclude", "include: [no.yaml]\n", "m.yaml:1:11: included file no.yaml does not exist"},
        {"EmptyInclude", "include: []\n",
         "m.yaml:1:10: include is empty: expected at least one value"},
        {"IncludeOfItself", "include: [./m.yaml]\n",
         "m.yaml:1:11: the include closes a cycle: m.yaml -> m.yaml"},
    }),
    NameOf);

TEST(LoadSweepsError, ShowsTheCycleOfIncludes) {
  const TemporaryFolder folder;
  const std::string first = folder.Write("first.yaml", "include: [a.yaml]\n");
  folder.Write("a.yaml", "include: [b.yaml]\n");
  folder.Write("b.yaml", "include:\n  - a.yaml\n");
  EXPECT_EQ(folder.Relative(ErrorOf([&] { LoadSweeps({first}, {}); })),
            "b.yaml:2:5: the include closes a cycle: a.yaml -> b.yaml -> a.yaml");
}

TEST(LoadSweepsError, FollowsIncludesToALimit) {
  const TemporaryFolder folder;
  for (int i = 0; i <= 16; ++i) {
    folder.Write(std::to_string(i) + ".yaml", "include: [" + std::to_string(i + 1) + ".yaml]\n");
  }
  EXPECT_EQ(folder.Relative(ErrorOf([&] { LoadSweeps({folder.Path("0.yaml")}, {}); })),
            "15.yaml:1:11: more than 16 files include one another");
}

TEST(LoadSweepsError, ReadsADeviceThatTheUserNamesToALimit) {
  EXPECT_EQ(ErrorOf([] { LoadSweeps({"/dev/zero"}, {}); }),
            "/dev/zero: larger than 1 MiB: split it");
}

TEST(LoadSweepsError, SaysWhyAFileCannotBeRead) {
  const TemporaryFolder folder;
  folder.Write("folder/file", "");
  const auto message = [&](const std::string& path) {
    return folder.Relative(ErrorOf([&] { LoadSweeps({path}, {}); }));
  };
  EXPECT_EQ(message(folder.Path("no.yaml")), "no.yaml: cannot be read: No such file or directory");
  EXPECT_EQ(message(folder.Path("folder")), "folder: is a directory: expected a YAML file");
  const std::string long_name(300, 'x');
  EXPECT_EQ(message(long_name), long_name + ": cannot be read: File name too long");
  EXPECT_EQ(ErrorOf([] { LoadSweeps({}, {}); }), "no sweep file: expected at least one");
}

}  // namespace
}  // namespace normgrad
