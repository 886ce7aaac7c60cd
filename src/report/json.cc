// SPDX-License-Identifier: Apache-2.0
// A file of run information, one line per result, totals. What a struct has fields for stands in
// json_fields.h, which writing and reading go by.
#include "report/json.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <iterator>
#include <limits>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "report/json_fields.h"

namespace normgrad {
namespace {

using Json = nlohmann::ordered_json;  // keeps the order of fields, and searches them one by one
using ParsedJson = nlohmann::json;    // for text that may have any number of them

/// Of every kind of record, in the order of JournalRecord.
constexpr std::array<const char*, std::variant_size_v<JournalRecord>> kRecordKinds = {
    "header", "planned", "started", "result", "incident", "resumed", "finished",
};

template <typename T>
constexpr bool kIsVector = false;
template <typename T>
constexpr bool kIsVector<std::vector<T>> = true;

template <typename T>
constexpr bool kIsOptional = false;
template <typename T>
constexpr bool kIsOptional<std::optional<T>> = true;

/// Appends text as JSON; what is not UTF-8, as a device library may put into a message, becomes
/// U+FFFD.
void Append(std::string_view text, std::string* json) {
  const auto is_plain = [](char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; };
  if (std::ranges::all_of(text, is_plain)) {
    json->append("\"").append(text).append("\"");
  } else {
    *json += Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
  }
}

/// Appends `value` as JSON, on one line. As text at once: a tree of values in between takes most of
/// the time of a small case, and there are several such texts of each.
template <typename T>
void Append(const T& value, std::string* json) {
  if constexpr (std::same_as<T, double>) {
    if (std::isnan(value)) {
      *json += "\"nan\"";
    } else if (std::isinf(value)) {
      *json += value > 0 ? "\"inf\"" : "\"-inf\"";
    } else {
      // The shortest text that reads back the same: to a reader "8" is an integer, and "-0" is 0.
      std::array<char, 32> digits;  // NOLINT(cppcoreguidelines-pro-type-member-init)
      const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), value);
      const std::string_view number(digits.data(), end);
      json->append(number);
      if (number.find_first_of(".e") == std::string_view::npos) *json += ".0";
    }
  } else if constexpr (std::integral<T>) {
    fmt::format_to(std::back_inserter(*json), "{}", value);
  } else if constexpr (std::same_as<T, Outcome> || std::same_as<T, SkipReason>) {
    Append(Name(value), json);
  } else if constexpr (std::same_as<T, std::string>) {
    Append(std::string_view(value), json);
  } else if constexpr (kIsVector<T>) {
    *json += '[';
    for (const auto& element : value) {
      if (json->back() != '[') *json += ',';
      Append(element, json);
    }
    *json += ']';
  } else if constexpr (kIsOptional<T>) {
    if (value) {
      Append(*value, json);
    } else {
      *json += "null";
    }
  } else {
    char separator = '{';
    Fields(value, [&](std::string_view name, const auto& field) {
      *json += std::exchange(separator, ',');
      json->append("\"").append(name).append("\":");
      Append(field, json);
    });
    *json += '}';
  }
}

template <typename T>
std::string Line(const T& value) {
  std::string json;
  Append(value, &json);
  return json;
}

/// On several lines, deeper ones by `indent`.
template <typename T>
std::string Lines(const T& value, int indent) {
  return Json::parse(Line(value)).dump(indent);
}

/// Puts into `value` what Append() and Read() would leave there.
template <typename T>
void MakeAsWritten(T& value) {
  if constexpr (std::same_as<T, double>) {
    if (std::isnan(value)) value = std::numeric_limits<double>::quiet_NaN();
  } else if constexpr (std::same_as<T, std::string>) {
    const auto is_ascii = [](char c) { return static_cast<unsigned char>(c) < 0x80; };
    if (std::ranges::all_of(value, is_ascii)) return;
    value = ParsedJson::parse(Line(value)).template get<std::string>();
  } else if constexpr (kIsVector<T>) {
    for (auto& element : value) MakeAsWritten(element);
  } else if constexpr (kIsOptional<T>) {
    if (value) MakeAsWritten(*value);
  } else if constexpr (std::is_aggregate_v<T>) {
    Fields(value, [](const char*, auto& field) { MakeAsWritten(field); });
  }
}

/// `json` for messages: a list or an object may be long, and too deep to be written out.
std::string Shown(const ParsedJson& json) {
  if (json.is_array()) return "a list";
  if (json.is_object()) return "an object";
  constexpr std::size_t kLongest = 60;
  const std::string text = json.dump(-1, ' ', /*ensure_ascii=*/true);
  return text.size() <= kLongest ? text : text.substr(0, kLongest) + "…";
}

/// Reads `json` into `value`. `name` is for messages: the field that is being read.
template <typename T>
void Read(const ParsedJson& json, const char* name, T& value) {
  const auto require = [&](bool holds, const char* what) {
    if (!holds) throw Error("{} is {}: expected {}", name, Shown(json), what);
  };
  if constexpr (std::same_as<T, double>) {
    if (json == "nan") {
      value = std::numeric_limits<double>::quiet_NaN();
    } else if (json == "inf" || json == "-inf") {
      value = json == "inf" ? HUGE_VAL : -HUGE_VAL;
    } else {
      require(json.is_number(), R"(a number, "nan", "inf" or "-inf")");
      value = json.get<double>();
    }
  } else if constexpr (std::same_as<T, Outcome>) {
    const auto outcome =
        json.is_string() ? ParseOutcome(json.get_ref<const std::string&>()) : std::nullopt;
    require(outcome.has_value(), "the name of an outcome");
    value = *outcome;
  } else if constexpr (std::same_as<T, SkipReason>) {
    const auto reason =
        json.is_string() ? ParseSkipReason(json.get_ref<const std::string&>()) : std::nullopt;
    require(reason.has_value(), "a reason for skipping, or \"\"");
    value = *reason;
  } else if constexpr (std::same_as<T, std::string>) {
    require(json.is_string(), "a string");
    value = json.get<std::string>();
  } else if constexpr (std::same_as<T, bool>) {
    require(json.is_boolean(), "true or false");
    value = json.get<bool>();
  } else if constexpr (std::unsigned_integral<T>) {
    require(json.is_number_unsigned(), "an integer that is not negative");
    value = json.get<T>();
  } else if constexpr (kIsVector<T>) {
    require(json.is_array(), "a list");
    value.clear();
    for (const ParsedJson& element : json) Read(element, name, value.emplace_back());
  } else if constexpr (kIsOptional<T>) {
    value.reset();
    if (!json.is_null()) Read(json, name, value.emplace());
  } else {
    require(json.is_object(), "an object");
    Fields(value, [&](const char* key, auto& field) {
      const auto found = json.find(key);
      if (found == json.end()) throw Error("{} has no '{}'", name, key);
      Read(*found, key, field);
    });
  }
}

/// Reads an object of at most `most_bytes`, called `name` in messages.
template <typename T>
T FromJson(std::string_view json, const char* name, std::size_t most_bytes) {
  if (json.size() > most_bytes) {
    throw Error("{}: {} bytes: expected at most {}", name, json.size(), most_bytes);
  }
  const ParsedJson parsed = ParsedJson::parse(json, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded()) throw Error("{}: not JSON: expected one JSON object", name);
  T value;
  Read(parsed, name, value);
  return value;
}

/// A record of the kind of that index.
template <std::size_t kKind = 0>
JournalRecord EmptyRecord(std::size_t kind) {
  if constexpr (kKind < std::variant_size_v<JournalRecord>) {
    return kind == kKind ? JournalRecord(std::in_place_index<kKind>) : EmptyRecord<kKind + 1>(kind);
  } else {
    throw std::logic_error("no such kind of record");
  }
}

/// Empty while the run goes on: it is too long to be worked out after every case.
std::vector<OperatorCoverage> CoverageOf(const Overview& overview) {
  return overview.finished() ? overview.coverage().Operators() : std::vector<OperatorCoverage>();
}

}  // namespace

std::string ToJson(const Result& result) { return Line(result); }

std::string SelftestJson(const SelftestReport& report) { return Lines(report, 1) + '\n'; }

std::string RooflineToJson(const Roofline& roofline) { return Lines(roofline, 1) + '\n'; }

Roofline RooflineFromJson(std::string_view json) {
  return FromJson<Roofline>(json, "roofline", kMaxRooflineBytes);
}

Result ResultFromJson(std::string_view json) {
  return FromJson<Result>(json, "result", kMaxResultBytes);
}

Result AsWritten(Result result) {
  MakeAsWritten(result);
  return result;
}

std::string RecordToJson(const JournalRecord& record) {
  std::string json = fmt::format("{{\"{}\":", kRecordKinds.at(record.index()));
  std::visit([&](const auto& payload) { Append(payload, &json); }, record);
  return json + '}';
}

JournalRecord RecordFromJson(std::string_view json) {
  const ParsedJson parsed = ParsedJson::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object() || parsed.size() != 1) {
    throw Error("not a JSON object with one member: expected a record");
  }
  const std::string& kind = parsed.begin().key();
  const auto found = std::ranges::find(kRecordKinds, kind);
  if (found == kRecordKinds.end()) {
    throw Error("a record of kind '{}': expected one of {}", kind, fmt::join(kRecordKinds, ", "));
  }
  JournalRecord record = EmptyRecord(static_cast<std::size_t>(found - kRecordKinds.begin()));
  std::visit([&](auto& payload) { Read(*parsed.begin(), kind.c_str(), payload); }, record);
  return record;
}

std::string JsonHead(const RunInfo& info) {
  return fmt::format("{{\n\"schema_version\": {},\n\"run\": {},\n\"results\": [",
                     kJsonSchemaVersion, Lines(info, 2));
}

std::string JsonRow(const Result& result, bool first) {
  return (first ? "\n" : ",\n") + ToJson(result);
}

std::string JsonTail(const Overview& overview) {
  return fmt::format(
      "\n],\n\"totals\": {},\n\"standards\": {},\n\"coverage\": {},\n\"deviations\": {},\n"
      "\"incidents\": {},\n\"finished\": {},\n\"finished_utc\": {}\n}}\n",
      Line(overview.totals()), Line(overview.standards()), Line(CoverageOf(overview)),
      Line(overview.deviations()), Line(overview.incidents()), overview.finished(),
      Line(overview.finished_utc()));
}

}  // namespace normgrad
