# SPDX-License-Identifier: Apache-2.0
"""The tool proves its own power: what it plants, it finds, and each check is needed for something."""

import unittest

from bench import CPU, FAULTY, BenchTest

# Enough to show every fault below, and no more: each is tried in every case of the self-test's.
FEW = ["--case", "rms_norm_grad/*/float32-float32-float32-float32*",
       "--case", "rms_norm_grad/*/A=3x5,R=2x16/*",
       "--case", "batch_norm_elemt_backward/*/C=8,*/float32-float32-float32-float32-float32*"]

# A check and a fault that it alone sees on some operator and dtype.
OWNERS = {
    "contract": "takes-any-shape",
    "accuracy": "one-counter",
    "memory": "gap-read",
    "determinism": "follows-threads",
    "batch": "order-by-place",
    "invariants": "tile-repeated",
    "throughput": "tires",
}

# Two tensors of 10^6 elements whose 16-bit dx is one unit in the last place off in one place.
MILLION = """\
operator: {operator}
products: [atlas-a2]
checks: [accuracy]
sweep:
  - dims: {{A: [1000], R: [1000]}}
    rows: [{rows}]
    seeds: [1, 2]
"""


class SelftestTest(BenchTest):
    def selftest(self, *arguments):
        return self.run_bench("selftest", *arguments)

    def test_every_check_alone_sees_a_fault_and_without_it_that_fault_is_missed(self):
        for check, fault in OWNERS.items():
            with self.subTest(check=check, fault=fault):
                process = self.selftest("--fault", fault, *FEW)
                self.assertEqual(process.returncode, 0, process.stdout_text)
                self.assertRegex(process.stdout_text, rf"(?m)^{check} alone sees 1: {fault}$")
                process = self.selftest("--fault", fault, "--without", check, "--quick",
                                        *FEW)
                self.assertEqual(process.returncode, 1, process.stdout_text)
                self.assertRegex(process.stdout_text, rf"(?m)^{fault} +\S+ +MISSED on ")

    def test_right_ways_are_accepted(self):
        for way in ["cpu", "expanded", "arrival", "flushing"]:
            with self.subTest(way=way):
                process = self.selftest("--fault", way, *FEW)
                self.assertEqual(process.returncode, 0, process.stdout_text)
                self.assertRegex(process.stdout_text, rf"(?m)^{way} +healthy +accepted$")

    def test_a_users_sweep_is_told_what_it_would_miss(self):
        self.write("sweep.yaml", "operator: rms_norm_grad\nproducts: [atlas-a2]\n"
                                 "checks: [accuracy]\nsweep:\n  - dims: {A: [1], R: [64]}\n"
                                 "    rows: [float32-float32-float32-float32]\n")
        process = self.selftest("--with-cases", "sweep.yaml", "--fault", "next-statistics")
        self.assertEqual(process.returncode, 1)
        self.assertIn("MISSED on rms_norm_grad f", process.stdout_text)
        process = self.selftest("--with-cases", "sweep.yaml", "--fault", "scale-forgotten")
        self.assertEqual(process.returncode, 0, process.stdout_text)

    def test_a_record_names_the_build_and_the_score(self):
        process = self.selftest("--fault", "tires", "--quick", *FEW,
                                "--record", "score.txt")
        self.assertEqual(process.returncode, 0, process.stdout_text)
        build, score = (self.folder / "score.txt").read_text().splitlines()
        self.assertRegex(build, r"^[0-9a-f]{8,}$")
        self.assertTrue(process.stdout_text.endswith(f": {score}\n"))

    def test_mistakes_are_explained(self):
        for arguments, message in [
                (["--fault", "tired"], "unknown fault 'tired'"),
                (["--device", CPU], "the self-test needs the faulty device"),
                (["--fault", "tires", *FEW, "--record", "no/such/folder"], "cannot be written")]:
            with self.subTest(arguments=arguments):
                process = self.selftest(*arguments)
                self.assertEqual(process.returncode, 2)
                self.assertIn(message, process.stderr_text)

    def test_the_list_names_faults_and_healthy_variants(self):
        lines = self.selftest("--list").stdout_text.splitlines()
        kinds = [line.split()[1] for line in lines]
        self.assertGreaterEqual(len(kinds) - kinds.count("healthy"), 130)
        self.assertGreaterEqual(kinds.count("healthy"), 12)


class OneUlpTest(BenchTest):
    def test_one_unit_in_the_last_place_of_one_element_in_a_million_is_always_caught(self):
        for operator, rows in [
                ("rms_norm_grad",
                 "bfloat16-float32-bfloat16-float32, float16-float32-float16-float32"),
                ("layer_norm_backward",
                 "bfloat16-float32-bfloat16-bfloat16-bfloat16, "
                 "float16-float32-float16-float16-float16")]:
            self.write("sweep.yaml", MILLION.format(operator=operator, rows=rows))
            for fault in ["one-ulp", "lowest-bit-flipped"]:
                with self.subTest(operator=operator, fault=fault):
                    self.run_bench("run", "sweep.yaml", "--device", FAULTY, "--report", "out",
                                   NORMGRAD_FAULT=fault)
                    results = self.report()["results"]
                    self.assertEqual(len(results), 4)
                    for result in results:
                        self.assertEqual(result["outcome"], "failed", result["case_id"])
                        violations = [output["violations"] for output in result["outputs"]]
                        self.assertEqual(sum(violations), 1, result["case_id"])


if __name__ == "__main__":
    unittest.main()
