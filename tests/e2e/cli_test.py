# SPDX-License-Identifier: Apache-2.0
"""The commands a newcomer tries, and that results depend on the case only."""

import csv
import os
import re
import unittest

from bench import BENCH, ROOT, SWEEP, BenchTest

SMOKE = ROOT / "cases" / "suites" / "smoke.yaml"


class CommandTest(BenchTest):
    def test_the_smoke_suite_passes_and_reports(self):
        process = self.run_bench("run", SMOKE, "--report", "out")
        self.assertEqual(process.returncode, 0, process.stdout_text + process.stderr_text)
        self.assertEqual(process.stderr_text, "", "progress belongs on a terminal only")
        report = self.report()
        totals = report["totals"]
        self.assertEqual(totals["answered_cases"], totals["planned_cases"])
        self.assertEqual(totals["answered_checks"], totals["planned_checks"])
        with open(self.folder / "out" / "report.csv", newline="") as file:
            ids = [row["case"] for row in csv.DictReader(file)]
        self.assertEqual(ids, [result["case_id"] for result in report["results"]])
        self.assertEqual(len(set(ids)), len(ids))
        markdown = (self.folder / "out" / "report.md").read_text()
        self.assertTrue(all(case in markdown for case in ids))

    def test_plan_counts_what_run_runs(self):
        self.write("sweep.yaml", SWEEP)
        process = self.run_bench("plan", "sweep.yaml")
        self.assertEqual(process.returncode, 0)
        case = "rms_norm_grad/atlas-a2/A=65,R=33/"
        checks = "accuracy,memory,determinism"
        self.assertRegex(process.stdout_text, rf"""^{case}float32-float32-float32-float32  {checks}  25.6 KiB  [0-9.]+ ms
{case}bfloat16-float32-bfloat16-float32  {checks}  13 KiB  [0-9.]+ ms

plan 0x[0-9a-f]{{16}}: 2 cases with 6 checks, about [0-9.]+ ms; at most 25.6 KiB on the [^\n]*
          2  accuracy
          2  memory
          2  determinism
2 combinations: 0 dropped
$""")
        dry = self.run_bench("run", "sweep.yaml", "--dry-run")
        self.assertEqual((dry.returncode, dry.stdout_text), (0, process.stdout_text))
        self.assertEqual(self.files(), ["sweep.yaml"])
        self.run_bench("run", "sweep.yaml", "--report", "out")
        self.assertIn(f"\nplan {self.report()['run']['plan_hash']}: ", process.stdout_text)

    def test_the_plan_hash_is_of_the_questions(self):
        def hash_of(text, *arguments):
            self.write("sweep.yaml", text)
            output = self.run_bench("plan", "sweep.yaml", "-q", *arguments).stdout_text
            return output.split(":")[0]

        asked = hash_of(SWEEP)
        self.assertEqual(hash_of("# a comment\n" + SWEEP), asked)
        self.assertEqual(hash_of(SWEEP, "--shard", "1/2"), asked)
        self.assertNotEqual(hash_of(SWEEP, "--check", "accuracy"), asked)
        self.assertNotEqual(hash_of(SWEEP, "--seed", "2"), asked)
        reject = ("operator: rms_norm_grad\nproducts: [atlas-a2]\ndims: {A: [4], R: [8]}\n"
                  "reject:\n  - because: x is null\n    with: {x: null}\n    expect: %s\n")
        self.assertNotEqual(hash_of(reject % "ACLNN_ERR_PARAM_NULLPTR"),
                            hash_of(reject % "ACLNN_ERR_PARAM_INVALID"))

    def test_plan_says_why_combinations_were_dropped(self):
        self.write("sweep.yaml", "operator: rms_norm_grad\nproducts: [atlas-inference]\n"
                                 "sweep:\n  - dims: {A: [4], R: [7, 8]}\n")
        process = self.run_bench("plan", "sweep.yaml", "-q")
        self.assertIn("on atlas-inference the last axis of x, dy and gamma is at least 32 bytes",
                      process.stdout_text)
        self.assertIn("4 combinations: 3 dropped\n", process.stdout_text)

    def test_plan_counts_no_drops_of_what_the_selection_leaves_out(self):
        self.write("sweep.yaml", "operator: rms_norm_grad\nproducts: [atlas-inference]\n"
                                 "sweep:\n  - dims: {A: [4], R: [7, 8]}\n")
        process = self.run_bench("plan", "sweep.yaml", "-q", "--case", "R=8")
        self.assertIn(": 1 case with 4 checks, ", process.stdout_text.splitlines()[0])
        self.assertIn("2 combinations: 1 dropped\n", process.stdout_text)
        self.assertNotIn("R=7", process.stdout_text)

    def test_the_report_says_how_it_was_made(self):
        self.write("sweep.yaml", SWEEP + "    eps: [1e-5]\n")
        self.run_bench("run", "sweep.yaml", "--report", "out", "--check", "determinism",
                       "--repeats", "3", "--threads", "1", "--timeout", "7.5",
                       "--profile", "centred")
        report = self.report()
        run = report["run"]
        self.assertEqual((run["profile"], run["repeats"], run["threads"], run["timeout_seconds"]),
                         ("centred", 3, 1, 7.5))
        self.assertTrue(run["command_line"].startswith(BENCH + " run sweep.yaml"))
        self.assertRegex(report["finished_utc"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertGreaterEqual(report["finished_utc"], run["started_utc"])
        for result in report["results"]:
            self.assertEqual(result["eps"], 1e-5)
            self.assertRegex(result["case_hash"], "^0x[0-9a-f]{16}$")

    def test_threads_left_open_are_reported_as_the_number_used(self):
        self.write("sweep.yaml", SWEEP)
        self.run_bench("run", "sweep.yaml", "--report", "out", "--check", "determinism")
        self.assertGreater(self.report()["run"]["threads"], 0)

    def test_runs_in_the_same_second_have_folders_of_their_own(self):
        self.write("sweep.yaml", SWEEP)
        processes = [self.start("run", "sweep.yaml", "--check", "determinism") for _ in range(4)]
        for process in processes:
            process.communicate(timeout=300)
            self.assertEqual(process.returncode, 0)
        self.assertEqual(len(list((self.folder / "reports").iterdir())), 4)
        self.assertEqual(len(self.files()), 1 + 4 * 4)

    def test_a_run_without_any_verdict_is_no_pass(self):
        self.write("sweep.yaml", SWEEP.replace("A: [65], R: [33]", "A: [0], R: [0]"))
        process = self.run_bench("run", "sweep.yaml", "--report", "out", "--check", "throughput")
        self.assertEqual(process.returncode, 2)
        self.assertIn("          2  skipped      throughput: no elements to time\n",
                      process.stdout_text)
        self.assertTrue(process.stdout_text.endswith(
            "\nnothing was judged: 2 cases without a verdict\n"), process.stdout_text)

    def test_a_device_that_is_another_product_is_no_pass(self):
        self.write("sweep.yaml", SWEEP.replace("atlas-a2", "atlas-a3"))
        process = self.run_bench("run", "sweep.yaml", "--report", "out", "--device",
                                 os.environ["NORMGRAD_ONE_PRODUCT"])
        self.assertEqual(process.returncode, 2)
        self.assertEqual({r["outcome"] for r in self.report()["results"]}, {"unsupported"})
        self.assertIn("accuracy, memory, determinism: the device is a Ascend910B1, not atlas-a3",
                      process.stdout_text)
        self.write("sweep.yaml", SWEEP)
        process = self.run_bench("run", "sweep.yaml", "--report", "out", "--device",
                                 os.environ["NORMGRAD_ONE_PRODUCT"])
        self.assertEqual(process.returncode, 0)

    def test_results_depend_on_the_case_only(self):
        self.write("sweep.yaml", SWEEP)
        for out, arguments in {"one": ["--threads", "1"], "two": ["--threads", "2"],
                               "again": []}.items():
            self.run_bench("run", "sweep.yaml", "--report", out, *arguments)
        judged = [[r["outputs"] for r in self.report(out)["results"]]
                  for out in ("one", "two", "again")]
        self.assertEqual(judged[0], judged[1])
        self.assertEqual(judged[0], judged[2])

    def test_another_seed_gives_other_numbers(self):
        self.write("sweep.yaml", SWEEP)
        self.run_bench("run", "sweep.yaml", "--report", "one")
        self.run_bench("run", "sweep.yaml", "--report", "two", "--seed", "2")
        first, second = self.report("one")["results"], self.report("two")["results"]
        self.assertNotEqual(first[0]["outputs"], second[0]["outputs"])
        self.assertTrue(second[0]["case_id"].endswith("/seed=2"))

    def test_checks_and_products_can_be_chosen(self):
        self.write("sweep.yaml", SWEEP.replace("[atlas-a2]", "[atlas-a2, ascend-950]"))
        self.run_bench("run", "sweep.yaml", "--report", "out", "--check", "memory",
                       "--product", "ascend-950")
        results = self.report()["results"]
        self.assertEqual({r["product"] for r in results}, {"ascend-950"})
        self.assertEqual({c["check"] for r in results for c in r["checks"]}, {"memory"})

    def test_throughput_is_measured_cold_and_hot_against_a_copy(self):
        self.write("sweep.yaml", SWEEP)
        self.run_bench("run", "sweep.yaml", "--report", "out", "--check", "throughput",
                       "--case", "float32-float32-float32-float32")
        throughput = self.report()["results"][0]["throughput"]
        self.assertEqual([t["mode"] for t in throughput["timings"]], ["cold", "hot"])
        self.assertEqual(throughput["compulsory_bytes"], 4 * (3 * 65 * 33 + 65 + 2 * 33))
        for timing in throughput["timings"]:
            self.assertGreater(timing["median_seconds"], 0)
            self.assertLessEqual(timing["q1_seconds"], timing["median_seconds"])
            self.assertLessEqual(timing["median_seconds"], timing["q3_seconds"])
            self.assertGreaterEqual(timing["samples"], 9)
            self.assertGreater(timing["copy_fraction"], 0)
        self.assertGreater(throughput["phase_one_seconds"], 0)

    def test_describe_prints_the_contract(self):
        process = self.run_bench("describe", "rms_norm_grad")
        self.assertEqual(process.returncode, 0)
        expected = (ROOT / "tests" / "expected" / "describe_rms_norm_grad.txt").read_text()
        self.assertEqual(process.stdout_text, expected)

    def test_describe_knows_no_other_operator(self):
        process = self.run_bench("describe", "rms_norm_gard")
        self.assertEqual(process.returncode, 2)
        self.assertEqual(process.stderr_text, "normgrad-bench: unknown operator 'rms_norm_gard': "
                                              "did you mean 'rms_norm_grad'?\n")

    def test_kernels_pass_with_every_instruction_set(self):
        self.write("sweep.yaml", SWEEP)
        refusal = self.run_bench("devices", "--instruction-set", "none")
        self.assertEqual(refusal.returncode, 2)
        named = re.search("no instruction set 'none' here: expected one of (.+)$",
                          refusal.stderr_text.strip())
        names = named.group(1).split(", ")
        for name in names:
            with self.subTest(name=name):
                process = self.run_bench("run", "sweep.yaml", "--instruction-set", name,
                                         "--report", name)
                self.assertEqual(process.returncode, 0, process.stdout_text + process.stderr_text)
                run = self.report(name)["run"]
                self.assertTrue(run["device_description"].endswith(f", {name} instructions"), run)

    def test_more_threads_than_cores_end_as_they_should(self):
        # Every thread keeps memory for elements that must be collected.
        self.write("sweep.yaml", """\
operator: rms_norm_grad
products: [atlas-a2]
checks: [memory]
rows: [float32-float32-float32-float32]
sweep:
  - dims: {A: [1024], R: [1500]}
    layouts: [strided]
""")
        for isolate in ("on", "off"):
            process = self.run_bench("run", "sweep.yaml", "--threads", "8", "--isolate", isolate)
            self.assertEqual(process.returncode, 0, process.stderr_text)

    def test_devices_shows_the_cpu_device(self):
        process = self.run_bench("devices")
        self.assertEqual(process.returncode, 0)
        self.assertIn("libnormgrad_cpu.so", process.stdout_text)
        self.assertIn("operator  aclnnRmsNormGrad: offered", process.stdout_text)

    def test_help_names_every_command(self):
        process = self.run_bench("--help")
        self.assertEqual(process.returncode, 0)
        for command in ("run", "plan", "report", "merge", "describe", "devices"):
            self.assertRegex(process.stdout_text, rf"(?m)^  {command} +\w")
        for command in ("run", "plan", "report", "merge", "describe", "devices"):
            self.assertEqual(self.run_bench(command, "--help").returncode, 0)
        self.assertIn("5 the device failed or answers are missing", process.stdout_text)

    def test_help_says_what_formats_are_for(self):
        process = self.run_bench("run", "--help")
        self.assertRegex(process.stdout_text, r"(?m)^  csv +one row per case, for spreadsheets$")


if __name__ == "__main__":
    unittest.main()
