# SPDX-License-Identifier: Apache-2.0
"""The commands a newcomer tries, and that results depend on the case only."""

import csv
import unittest

from bench import ROOT, SWEEP, BenchTest

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

    def test_list_counts_what_run_runs(self):
        self.write("sweep.yaml", SWEEP)
        process = self.run_bench("list", "sweep.yaml")
        self.assertEqual(process.returncode, 0)
        self.assertEqual(process.stdout_text, """\
rms_norm_grad/atlas-a2/A=65,R=33/float32-float32-float32-float32  accuracy,memory,determinism
rms_norm_grad/atlas-a2/A=65,R=33/bfloat16-float32-bfloat16-float32  accuracy,memory,determinism

2 combinations: 2 cases with 6 checks, 0 dropped
""")

    def test_list_says_why_combinations_were_dropped(self):
        self.write("sweep.yaml", "operator: rms_norm_grad\nproducts: [atlas-inference]\n"
                                 "sweep:\n  - dims: {A: [4], R: [7, 8]}\n")
        process = self.run_bench("list", "sweep.yaml", "-q")
        self.assertIn("on atlas-inference the last axis of x, dy and gamma is at least 32 bytes",
                      process.stdout_text)
        self.assertIn("4 combinations: 1 cases with 3 checks, 3 dropped", process.stdout_text)

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

    def test_devices_shows_the_cpu_device(self):
        process = self.run_bench("devices")
        self.assertEqual(process.returncode, 0)
        self.assertIn("libnormgrad_cpu.so", process.stdout_text)
        self.assertIn("operator  aclnnRmsNormGrad: offered", process.stdout_text)

    def test_help_names_every_command(self):
        process = self.run_bench("--help")
        self.assertEqual(process.returncode, 0)
        for command in ("run", "list", "describe", "devices"):
            self.assertRegex(process.stdout_text, rf"(?m)^  {command} +\w")
        for command in ("run", "list", "describe", "devices"):
            self.assertEqual(self.run_bench(command, "--help").returncode, 0)


if __name__ == "__main__":
    unittest.main()
