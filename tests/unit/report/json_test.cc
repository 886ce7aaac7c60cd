// SPDX-License-Identifier: Apache-2.0
#include "report/json.h"

#include <limits>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/random.h"
#include "report/format.h"
#include "tests/unit/report/expected_text.h"
#include "tests/unit/report/sample_run.h"

namespace normgrad {
namespace {

/// Draws values of every type from one stream; every field must come from a draw of its own.
class Draw {
 public:
  explicit Draw(std::uint64_t seed) : stream_(seed) {}

  /// Of any magnitude.
  std::uint64_t Integer() {
    const std::uint64_t shift = stream_.Bits(next_++) % 64;
    return stream_.Bits(next_++) >> shift;
  }

  bool Coin() { return Integer() % 2 == 0; }
  Outcome AnyOutcome() { return Outcomes()[Integer() % Outcomes().size()]; }

  /// Any finite double or infinity: NaN does not equal itself.
  double Number() {
    const auto value = std::bit_cast<double>(stream_.Bits(next_++));
    return std::isnan(value) ? std::numeric_limits<double>::infinity() : value;
  }

  std::string Text() {
    static constexpr std::string_view kPieces[] = {
        "a", "\"", "\\",       "\n", "\r", "\t",         "\x1b", "|",
        "`", ",",  "<script>", "µ",  "误", "\U0001f600", "/",
    };
    std::string text;
    while (Integer() % 8 != 0) text += kPieces[Integer() % std::size(kPieces)];
    return text;
  }

  template <typename T>
  std::vector<T> List(T (Draw::*element)()) {
    std::vector<T> list;
    while (Integer() % 3 != 0) list.push_back((this->*element)());
    return list;
  }

  CheckResult Check() { return {Text(), AnyOutcome(), Text(), SkipReason::kFill, Number()}; }
  StandardResult Standard() { return {Text(), Coin(), Text(), Number(), Number()}; }
  OutputResult Output() {
    return {Text(),   Text(),   Integer(), Integer(), Number(),  Text(),   Number(),
            Number(), Number(), Text(),    Number(),  Integer(), Number(), List(&Draw::Standard)};
  }
  PerturbationResult Perturbation() { return {Text(), Integer(), Integer(), Text(), Text()}; }
  PropertyResult Property() { return {Text(), Text(), Integer(), Integer(), Text(), Text()}; }
  DeterminismResult Determinism() {
    return {Coin(), Coin(), Integer(), Integer(), Text(), Number(), List(&Draw::Perturbation)};
  }
  TimingResult Timing() {
    return {Text(),    Number(),  Number(),  Number(), Number(),
            Integer(), Integer(), Integer(), Number(), Number()};
  }
  ThroughputResult Throughput() {
    return {Integer(), Number(), Number(), Number(), List(&Draw::Timing)};
  }
  DeviationResult Deviation() { return {Text(), Text(), Coin()}; }
  Result AnyResult() {
    return {Text(),
            Text(),
            Text(),
            Text(),
            Text(),
            Text(),
            Text(),
            Text(),
            Text(),
            Integer(),
            Number(),
            Text(),
            Text(),
            AnyOutcome(),
            Text(),
            List(&Draw::Check),
            List(&Draw::Output),
            List(&Draw::Determinism),
            List(&Draw::Property),
            Coin() ? std::optional(Throughput()) : std::nullopt,
            List(&Draw::Deviation),
            Integer(),
            Integer(),
            Number(),
            Text()};
  }

 private:
  RandomStream stream_;
  std::uint64_t next_ = 0;
};

void ExpectRefused(std::string_view json, std::string_view message) {
  try {
    ResultFromJson(json);
    FAIL() << "accepted " << json;
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr(message));
  }
}

TEST(ResultFromJson, ReadsBackWhatToJsonWrote) {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    const Result result = Draw(seed).AnyResult();
    ASSERT_EQ(ResultFromJson(ToJson(result)), result) << "seed " << seed << ": " << ToJson(result);
  }
}

TEST(ResultFromJson, ReadsEveryKindOfNumberBackBitByBit) {
  using Limits = std::numeric_limits<double>;
  for (const double number :
       {0.0, -0.0, 1.0, -8.0, 100.0, 1e15, 123456789012345678.0, 1e22, 1e-4, 0.1, 1.0 / 3,
        Limits::denorm_min(), Limits::min(), Limits::max(), Limits::lowest(), Limits::epsilon()}) {
    const Result read = ResultFromJson(ToJson({.seconds = number}));
    EXPECT_EQ(std::bit_cast<std::uint64_t>(read.seconds), std::bit_cast<std::uint64_t>(number))
        << ToJson({.seconds = number});
  }
}

TEST(AsWritten, IsWhatIsReadBack) {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    Result result = Draw(seed).AnyResult();
    for (std::string* text : {&result.reason, &result.rerun}) {
      text->insert(text->size() / 2, seed % 2 == 0 ? "\xff" : "\xe8\xaf");
    }
    if (!result.checks.empty()) result.checks.back().reason += "\xc3";
    ASSERT_EQ(AsWritten(result), ResultFromJson(ToJson(result))) << ToJson(result);
  }
  // A sign of it would show in a table.
  const Result result{.seconds = -std::numeric_limits<double>::quiet_NaN()};
  EXPECT_TRUE(std::isnan(AsWritten(result).seconds));
  EXPECT_FALSE(std::signbit(AsWritten(result).seconds));
  EXPECT_FALSE(std::signbit(ResultFromJson(ToJson(result)).seconds));
}

TEST(ResultFromJson, ReadsNotANumberAsSuch) {
  Result result;
  result.seconds = std::numeric_limits<double>::quiet_NaN();
  EXPECT_TRUE(std::isnan(ResultFromJson(ToJson(result)).seconds));
}

TEST(ToJson, IsOneLine) {
  EXPECT_EQ(ToJson({.reason = "two\nlines"}).find('\n'), std::string::npos);
}

TEST(ToJson, WritesWhatJsonLacksAsText) {
  EXPECT_THAT(ToJson({.seconds = std::numeric_limits<double>::quiet_NaN()}),
              testing::EndsWith(R"("seconds":"nan"})"));
  EXPECT_THAT(ToJson({.seconds = -std::numeric_limits<double>::infinity()}),
              testing::EndsWith(R"("seconds":"-inf"})"));
}

TEST(ToJson, ReplacesBytesThatAreNotUtf8) {
  EXPECT_EQ(ResultFromJson(ToJson({.reason = "a\xff"
                                             "b"}))
                .reason,
            "a\uFFFDb");
}

TEST(ResultFromJson, IgnoresFieldsItDoesNotKnow) {
  std::string json = ToJson(SampleResults()[0]);
  json.replace(0, 1, R"({"added_later":[1],)");
  EXPECT_EQ(ResultFromJson(json), SampleResults()[0]);
}

TEST(ResultFromJson, SaysWhatIsWrong) {
  ExpectRefused("{", "not JSON");
  ExpectRefused("[]", "result is a list: expected an object");
  ExpectRefused("{}", "result has no 'case_id'");
  const auto with = [](const char* field, const nlohmann::json& value) {
    auto json = nlohmann::json::parse(ToJson({}));
    json[field] = value;
    return json.dump();
  };
  ExpectRefused(with("case_id", 1), "case_id is 1: expected a string");
  ExpectRefused(with("seed", -1), "seed is -1: expected an integer that is not negative");
  ExpectRefused(with("seed", 1.5), "seed is 1.5");
  ExpectRefused(with("seconds", "fast"), "seconds is \"fast\": expected a number");
  ExpectRefused(with("outcome", "Passed"),
                "outcome is \"Passed\": expected the name of an outcome");
  ExpectRefused(with("checks", {{{"check", "memory"},
                                 {"outcome", "skipped"},
                                 {"reason", ""},
                                 {"skip", "weather"},
                                 {"seconds", 0}}}),
                "skip is \"weather\": expected a reason for skipping");
  ExpectRefused(with("checks", {{"a", 1}}), "checks is an object: expected a list");
}

TEST(JsonReport, DefinesEveryFieldInTheReadme) {
  std::string page = JsonHead(SampleInfo());
  for (const Result& result : SampleResults()) page += JsonRow(result, page.ends_with('['));
  page += JsonTail(SampleOverview());
  std::set<std::string> fields;
  const auto collect = [&](int, nlohmann::json::parse_event_t event, nlohmann::json& parsed) {
    if (event == nlohmann::json::parse_event_t::key) fields.insert(parsed.get<std::string>());
    return true;
  };
  ASSERT_FALSE(nlohmann::json::parse(page, collect).is_null());
  EXPECT_GT(fields.size(), 60U);
  const std::string readme = ReadFile("reports/README.md");
  for (const std::string& field : fields) {
    EXPECT_THAT(readme, testing::HasSubstr("`" + field + "`"));
  }
}

TEST(ResultFromJson, RefusesNestingInWords) {
  const std::string deep = std::string(400'000, '[') + std::string(400'000, ']');
  try {
    ResultFromJson(deep);
    FAIL() << "a list is no result";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "result is a list: expected an object");
  }
}

TEST(ResultFromJson, ReadsNoMoreThanAResultMayBe) {
  EXPECT_THROW(ResultFromJson(std::string(kMaxResultBytes + 1, ' ')), Error);
}

}  // namespace
}  // namespace normgrad
