// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <type_traits>

#include "report/format.h"
#include "report/json.h"

namespace normgrad {

/// What is written of each struct, and read back: Fields(r, field) calls field(name, value) for
/// every field of r, in order.

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

}  // namespace normgrad
