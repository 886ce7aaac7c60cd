// SPDX-License-Identifier: Apache-2.0
// A file of run information, one line per result, totals. Every struct lists its fields once, in
// Fields(), which writes them and reads them.
#include "report/json.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <concepts>
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
#include "report/format.h"

namespace normgrad {
namespace {

using Json = nlohmann::ordered_json;  // keeps the order of fields, and searches them one by one
using ParsedJson = nlohmann::json;    // for text that may have any number of them

template <typename T, typename U>
concept Is = std::same_as<std::remove_const_t<T>, U>;

template <Is<CheckResult> T>
void Fields(T& r, auto&& field) {
  field("check", r.check);
  field("outcome", r.outcome);
  field("reason", r.reason);
  field("skip", r.skip);
  field("seconds", r.seconds);
}

template <Is<StandardResult> T>
void Fields(T& r, auto&& field) {
  field("name", r.name);
  field("passed", r.passed);
  field("statistic", r.statistic);
  field("value", r.value);
  field("limit", r.limit);
}

template <Is<OutputResult> T>
void Fields(T& r, auto&& field) {
  field("name", r.name);
  field("dtype", r.dtype);
  field("elements", r.elements);
  field("violations", r.violations);
  field("margin", r.margin);
  field("worst_index", r.worst_index);
  field("worst_actual", r.worst_actual);
  field("worst_golden", r.worst_golden);
  field("worst_allowance", r.worst_allowance);
  field("dominant", r.dominant);
  field("max_abs_error", r.max_abs_error);
  field("oracle_samples", r.oracle_samples);
  field("oracle_error", r.oracle_error);
  field("standards", r.standards);
}

template <Is<PerturbationResult> T>
void Fields(T& r, auto&& field) {
  field("name", r.name);
  field("runs", r.runs);
  field("differing", r.differing);
  field("first_difference", r.first_difference);
  field("note", r.note);
}

template <Is<PropertyResult> T>
void Fields(T& r, auto&& field) {
  field("name", r.name);
  field("label", r.label);
  field("compared", r.compared);
  field("violations", r.violations);
  field("first", r.first);
  field("note", r.note);
}

template <Is<DeterminismResult> T>
void Fields(T& r, auto&& field) {
  field("option", r.option);
  field("promised", r.promised);
  field("runs", r.runs);
  field("differing", r.differing);
  field("first_difference", r.first_difference);
  field("divergence_bound", r.divergence_bound);
  field("perturbations", r.perturbations);
}

template <Is<TimingResult> T>
void Fields(T& r, auto&& field) {
  field("mode", r.mode);
  field("median_seconds", r.median_seconds);
  field("q1_seconds", r.q1_seconds);
  field("q3_seconds", r.q3_seconds);
  field("spread", r.spread);
  field("samples", r.samples);
  field("launches", r.launches);
  field("rotated_bytes", r.rotated_bytes);
  field("gb_per_s", r.gb_per_s);
  field("copy_fraction", r.copy_fraction);
}

template <Is<ThroughputResult> T>
void Fields(T& r, auto&& field) {
  field("compulsory_bytes", r.compulsory_bytes);
  field("copy_gb_per_s", r.copy_gb_per_s);
  field("roofline_gb_per_s", r.roofline_gb_per_s);
  field("phase_one_seconds", r.phase_one_seconds);
  field("timings", r.timings);
}

template <Is<DeviationResult> T>
void Fields(T& r, auto&& field) {
  field("number", r.number);
  field("text", r.text);
  field("seen", r.seen);
}

template <Is<Result> T>
void Fields(T& r, auto&& field) {
  field("case_id", r.case_id);
  field("case_hash", r.case_hash);
  field("op", r.op);
  field("product", r.product);
  field("shape", r.shape);
  field("dtypes", r.dtypes);
  field("variant", r.variant);
  field("rule", r.rule);
  field("layout", r.layout);
  field("fill", r.fill);
  field("seed", r.seed);
  field("eps", r.eps);
  field("source", r.source);
  field("rerun", r.rerun);
  field("outcome", r.outcome);
  field("reason", r.reason);
  field("predecessor", r.predecessor);
  field("checks", r.checks);
  field("outputs", r.outputs);
  field("determinism", r.determinism);
  field("properties", r.properties);
  field("throughput", r.throughput);
  field("deviations", r.deviations);
  field("workspace_bytes", r.workspace_bytes);
  field("tensor_bytes", r.tensor_bytes);
  field("seconds", r.seconds);
}

template <Is<RunInfo> T>
void Fields(T& r, auto&& field) {
  field("tool_version", r.tool_version);
  field("started_utc", r.started_utc);
  field("command_line", r.command_line);
  field("sweeps", r.sweeps);
  field("device_library", r.device_library);
  field("device_description", r.device_description);
  field("host", r.host);
  field("profile", r.profile);
  field("standard", r.standard);
  field("arithmetic", r.arithmetic);
  field("selftest", r.selftest);
  field("roofline", r.roofline);
  field("roofline_gb_per_s", r.roofline_gb_per_s);
  field("oracle_gradient_error", r.oracle_gradient_error);
  field("repeats", r.repeats);
  field("threads", r.threads);
  field("timeout_seconds", r.timeout_seconds);
  field("plan_hash", r.plan_hash);
  field("shard", r.shard);
  field("shards", r.shards);
  field("tool_build", r.tool_build);
  field("device_build", r.device_build);
  field("mixed", r.mixed);
  field("planned_cases", r.planned_cases);
  field("planned_checks", r.planned_checks);
  field("dropped_combinations", r.dropped_combinations);
}

template <Is<RooflineEntry> T>
void Fields(T& r, auto&& field) {
  field("threads", r.threads);
  field("place", r.place);
  field("bytes_per_thread", r.bytes_per_thread);
  field("motion", r.motion);
  field("median_gb_per_s", r.median_gb_per_s);
  field("q1_gb_per_s", r.q1_gb_per_s);
  field("q3_gb_per_s", r.q3_gb_per_s);
  field("copy_fraction", r.copy_fraction);
}

template <Is<Roofline> T>
void Fields(T& r, auto&& field) {
  field("identity", r.identity);
  field("measured_utc", r.measured_utc);
  field("rounds", r.rounds);
  field("quick", r.quick);
  field("copy_only", r.copy_only);
  field("entries", r.entries);
}

template <Is<SelftestCatch> T>
void Fields(T& r, auto&& field) {
  field("check", r.check);
  field("case_id", r.case_id);
  field("reason", r.reason);
}

template <Is<SelftestTrial> T>
void Fields(T& r, auto&& field) {
  field("operator", r.op);
  field("dtype", r.dtype);
  field("cases", r.cases);
  field("differs", r.differs);
  field("catches", r.catches);
  field("standards", r.standards);
}

template <Is<SelftestWay> T>
void Fields(T& r, auto&& field) {
  field("name", r.name);
  field("kind", r.kind);
  field("museum", r.museum);
  field("shows", r.shows);
  field("twin", r.twin);
  field("what", r.what);
  field("trials", r.trials);
}

template <Is<SelftestReport> T>
void Fields(T& r, auto&& field) {
  field("build", r.build);
  field("cases", r.cases);
  field("checks", r.checks);
  field("standards", r.standards);
  field("ways", r.ways);
}

template <Is<JournalHeader> T>
void Fields(T& r, auto&& field) {
  field("version", r.version);
  field("run", r.run);
  field("args", r.args);
  field("formats", r.formats);
}

template <Is<PlannedCase> T>
void Fields(T& r, auto&& field) {
  field("case_id", r.case_id);
  field("question", r.question);
  field("checks", r.checks);
  field("shard", r.shard);
}

template <Is<CaseStarted> T>
void Fields(T& r, auto&& field) {
  field("case_id", r.case_id);
}

template <Is<RunIncident> T>
void Fields(T& r, auto&& field) {
  field("what", r.what);
}

template <Is<RunResumed> T>
void Fields(T& r, auto&& field) {
  field("resumed_utc", r.resumed_utc);
  field("mixed", r.mixed);
}

template <Is<RunFinished> T>
void Fields(T& r, auto&& field) {
  field("finished_utc", r.finished_utc);
}

// The end of a report, which nobody reads back.

void Fields(const OutcomeCounts& r, auto&& field) {
  for (const Outcome outcome : Outcomes()) field(Name(outcome), r.Of(outcome));
}

void Fields(const CheckTotals& r, auto&& field) {
  field("check", r.check);
  field("answered", r.outcomes.Answered());
  field("outcomes", r.outcomes);
}

void Fields(const Totals& r, auto&& field) {
  field("planned_cases", r.planned_cases);
  field("answered_cases", r.cases.Answered());
  field("planned_checks", r.planned_checks);
  field("answered_checks", r.AnsweredChecks());
  field("outcomes", r.cases);
  field("checks", r.checks);
  field("exit_code", ExitCode(r));
}

void Fields(const StandardTally& r, auto&& field) {
  field("standard", r.name);
  field("both_pass", r.both_pass);
  field("both_fail", r.both_fail);
  field("only_standard_fails", r.standard_fails);
  field("only_bound_fails", r.bound_fails);
}

void Fields(const Share& r, auto&& field) {
  field("shown", r.shown);
  field("all", r.all);
}

void Fields(const OperatorCoverage& r, auto&& field) {
  field("operator", r.op);
  field("products", r.products);
  field("dtype_rows", r.dtype_rows);
  field("rules", r.rules);
  field("missing", r.missing);
}

void Fields(const DeviationTally& r, auto&& field) {
  field("number", r.number);
  field("text", r.text);
  field("cases", r.cases);
  field("seen", r.seen);
}

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
