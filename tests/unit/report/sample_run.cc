// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/report/sample_run.h"

#include <limits>

namespace normgrad {
namespace {

StandardResult Standard(std::string name, bool passed, double value) {
  return {.name = std::move(name),
          .passed = passed,
          .statistic = "error",
          .value = value,
          .limit = 0.0625};
}

}  // namespace

RunInfo SampleInfo() {
  return {
      .tool_version = "0.1.0",
      .started_utc = "2026-11-20T16:19:00Z",
      .command_line = "normgrad-bench run 'cases/a|b.yaml'",
      .sweeps = {"cases/rms.yaml", "cases/a|b.yaml"},
      .device_library = "lib/libnormgrad_cpu.so",
      .device_description = "cpu, 2 threads",
      .host = "Example CPU, 2 cores, 8 GiB, Linux 6.1",
      .profile = "expanded",
      .arithmetic = "ftz allow, rounding rne",
      .roofline = "copy 59.1 GB/s, read 48.9, triad 58.7 with 2 threads, measured 2026-11-28",
      .roofline_gb_per_s = 58.7,
      .oracle_gradient_error = 3e-9,
      .repeats = 5,
      .threads = 2,
      .timeout_seconds = 60,
      .plan_hash = "0x00000000deadbeef",
      .shard = 2,
      .shards = 3,
      .tool_build = "0x0000000000000001",
      .device_build = "0x0000000000000002",
      .mixed = {"host Other CPU, 4 cores"},
      .planned_cases = 4,
      .planned_checks = 9,
      .dropped_combinations = 3,
  };
}

std::vector<Result> SampleResults() {
  const Result good = {
      .case_id = "rms_norm_grad/atlas-a2/A=4x512,R=4096/float16-float32-float16-float32",
      .case_hash = "0x0123456789012345",
      .op = "rms_norm_grad",
      .product = "atlas-a2",
      .shape = "A=[4, 512], R=[4096]",
      .dtypes = "float16-float32-float16-float32",
      .layout = "contiguous",
      .fill = "normal",
      .seed = 18446744073709551615U,
      .eps = 1e-6,
      .source = "cases/rms.yaml:12:5",
      .rerun =
          "normgrad-bench run cases/rms.yaml --case "
          "rms_norm_grad/atlas-a2/A=4x512,R=4096/float16-float32-float16-float32",
      .outcome = Outcome::kPassed,
      .reason = "throughput: noisy: *very*",
      .checks = {{.check = "accuracy", .outcome = Outcome::kPassed, .seconds = 0.5},
                 {.check = "memory", .outcome = Outcome::kPassed, .seconds = 0.25},
                 {.check = "determinism", .outcome = Outcome::kPassed, .seconds = 1},
                 {.check = "throughput",
                  .outcome = Outcome::kPassed,
                  .reason = "noisy: *very*",
                  .seconds = 2}},
      .outputs = {{.name = "dxOut",
                   .dtype = "float16",
                   .elements = 8388608,
                   .margin = 0.3125,
                   .worst_index = "[2, 17, 4095]",
                   .worst_actual = 0.123456789,
                   .worst_golden = 0.123456,
                   .worst_allowance = 6.1e-5,
                   .dominant = "sum",
                   .max_abs_error = 1e-3,
                   .standards = {Standard("cann-mixed", true, 0), Standard("mere-mare", true, 1e-4),
                                 Standard("cosine", true, 1e-9)}},
                  {.name = "dgammaOut",
                   .dtype = "float32",
                   .elements = 4096,
                   .margin = 0.75,
                   .worst_index = "[9]",
                   .worst_actual = -1.5,
                   .worst_golden = -1.25,
                   .worst_allowance = 0.5,
                   .dominant = "local",
                   .max_abs_error = 0.25,
                   .standards = {Standard("cann-mixed", true, 0.005),
                                 Standard("mere-mare", false, 0.125),
                                 Standard("cosine", true, 1e-9)}}},
      .determinism = {{.option = false, .promised = false, .runs = 50, .divergence_bound = 0.0612},
                      {.option = true, .promised = true, .runs = 51, .divergence_bound = 0.06}},
      .throughput = ThroughputResult{.compulsory_bytes = 50000000,
                                     .copy_gb_per_s = 12.5,
                                     .roofline_gb_per_s = 58.7,
                                     .phase_one_seconds = 20e-6,
                                     .timings = {{.mode = "cold",
                                                  .median_seconds = 5e-3,
                                                  .q1_seconds = 4.9e-3,
                                                  .q3_seconds = 5.2e-3,
                                                  .spread = 0.06,
                                                  .samples = 30,
                                                  .launches = 300,
                                                  .rotated_bytes = 400000000,
                                                  .gb_per_s = 10,
                                                  .copy_fraction = 0.8},
                                                 {.mode = "hot",
                                                  .median_seconds = 4e-3,
                                                  .q1_seconds = 3.9e-3,
                                                  .q3_seconds = 4.1e-3,
                                                  .spread = 0.05,
                                                  .samples = 30,
                                                  .launches = 300,
                                                  .gb_per_s = 12.5}}},
      .workspace_bytes = 32768,
      .tensor_bytes = 50331648,
      .seconds = 3.75,
  };

  Result bad = good;
  bad.case_id = "rms_norm_grad/atlas-a2/A=,R=1/float32-float32-float32-float32";
  bad.rerun = "normgrad-bench run cases/rms.yaml --case '" + bad.case_id + "'";
  bad.outcome = Outcome::kFailed;
  bad.reason = "dx|Out[2, 17](x): \"nan\", `inf` & <script>\nsecond line\x1b[31m; 5 µs, \\ *_*";
  bad.checks = {{.check = "accuracy", .outcome = Outcome::kFailed, .reason = bad.reason},
                {.check = "memory", .outcome = Outcome::kPassed}};
  bad.outputs = {{.name = "dxOut",
                  .dtype = "float16",
                  .elements = 1,
                  .violations = 1,
                  .margin = std::numeric_limits<double>::infinity(),
                  .worst_index = "[0]",
                  .worst_actual = std::numeric_limits<double>::quiet_NaN(),
                  .worst_golden = 2,
                  .worst_allowance = 0.5,
                  .dominant = "flush",
                  .max_abs_error = -std::numeric_limits<double>::infinity(),
                  .standards = {Standard("cann-mixed", true, 0), Standard("mere-mare", false, 0.25),
                                Standard("cosine", true, 0)}}};
  bad.variant = "mask=11x";
  bad.deviations = {{.number = "D4", .text = "strides are ignored", .seen = false}};
  bad.determinism.clear();
  bad.throughput.reset();

  Result unsupported;
  unsupported.case_id = "rms_norm_grad/atlas-inference/A=2,R=8/bfloat16-float32-bfloat16-float32";
  unsupported.op = "rms_norm_grad";
  unsupported.outcome = Outcome::kUnsupported;
  unsupported.reason = "the product has no bfloat16";
  unsupported.checks = {{.check = "accuracy", .outcome = Outcome::kUnsupported}};

  Result crashed;
  crashed.case_id = "rms_norm_grad/atlas-a2/A=7,R=9/float32-float32-float32-float32";
  crashed.op = "rms_norm_grad";
  crashed.rerun = "normgrad-bench run cases/rms.yaml --case '" + crashed.case_id + "'";
  crashed.outcome = Outcome::kCrashed;
  crashed.variant = "with=x:null";
  crashed.rule = "x is not null";
  crashed.deviations = {{.number = "D4", .text = "strides are ignored", .seen = true}};
  crashed.reason = "signal 11 (SIGSEGV) in phase 2";
  crashed.checks = {{.check = "accuracy", .outcome = Outcome::kCrashed},
                    {.check = "memory", .outcome = Outcome::kNotRun}};

  return {good, bad, unsupported, crashed};
}

Overview SampleOverview() {
  Overview overview(SampleInfo());
  for (const Result& result : SampleResults()) overview.Add(result);
  overview.Finish("2026-11-20T16:20:00Z");
  return overview;
}

}  // namespace normgrad
