# SPDX-License-Identifier: Apache-2.0
"""A run that is interrupted leaves valid reports that account for every planned case."""

import csv
import json
import shutil
import signal
import unittest

from bench import FAULTY, SWEEP, BenchTest

STOPPING = "\nnormgrad-bench: stopping after this case; interrupt again to stop at once\n"

CASES = 2000  # five dtype rows with every seed
LONG = """\
operator: rms_norm_grad
products: [atlas-a2]
seeds: [{seeds}]
sweep:
  - dims: {{A: [512], R: [2048]}}
""".format(seeds=", ".join(str(seed) for seed in range(1, CASES // 5 + 1)))


class InterruptionTest(BenchTest):
    def started_run(self):
        """A run of CASES that has answered a few."""
        self.write("long.yaml", LONG)
        process = self.start("run", "long.yaml", "--report", "out")
        path = self.folder / "out" / "report.csv"
        self.wait_until(lambda: path.exists() and path.read_text().count("\n") > 5, "five answers")
        return process

    def assert_valid(self):
        report = self.report()
        with open(self.folder / "out" / "report.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        self.assertGreater(len(rows), 0)
        self.assertLessEqual(abs(len(rows) - len(report["results"])), 1)
        self.assertTrue((self.folder / "out" / "report.md").read_text().startswith("# "))
        return report

    def test_a_signal_accounts_for_every_case(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number):
                process = self.started_run()
                process.send_signal(number)
                stdout, stderr = process.communicate(timeout=120)
                self.assertEqual(process.returncode, 5)
                self.assertEqual(stderr, STOPPING)
                report = self.assert_valid()
                outcomes = [result["outcome"] for result in report["results"]]
                self.assertEqual(len(outcomes), CASES)
                not_run = outcomes.count("not-run")
                self.assertEqual(outcomes.count("passed"), CASES - not_run)
                self.assertGreater(not_run, 0)
                self.assertTrue(stdout.endswith(
                    f"\nno case failed, {not_run} of {CASES} cases not run\n"), stdout[-500:])
                self.assertIn(f"  {not_run:>9}  not-run      the run was interrupted before it\n",
                              stdout)
                shutil.rmtree(self.folder / "out")

    def test_a_second_signal_ends_the_run_at_once(self):
        for first, second in ((signal.SIGINT, signal.SIGINT), (signal.SIGINT, signal.SIGTERM)):
            with self.subTest((first, second)):
                self.write("sweep.yaml", SWEEP)
                process = self.start("run", "sweep.yaml", "--report", "out", "--device", FAULTY,
                                     NORMGRAD_FAULT="hang")
                path = self.folder / "out" / "report.json"
                self.wait_until(path.exists, "the reports are open")
                process.send_signal(first)
                self.assertEqual(process.stderr.readline() + process.stderr.readline(), STOPPING)
                process.send_signal(second)
                process.communicate(timeout=30)
                self.assertEqual(process.returncode, -second)
                self.assertEqual(self.report()["finished"], False)
                shutil.rmtree(self.folder / "out")

    def test_a_kill_leaves_what_was_answered(self):
        process = self.started_run()
        process.kill()
        process.communicate(timeout=60)
        report = self.assert_valid()
        self.assertEqual({result["outcome"] for result in report["results"]}, {"passed"})
        self.assertLess(report["totals"]["answered_cases"], report["totals"]["planned_cases"])
        json.dumps(report, allow_nan=False)


if __name__ == "__main__":
    unittest.main()
