# SPDX-License-Identifier: Apache-2.0
"""A run that is interrupted leaves valid reports that account for every planned case."""

import csv
import json
import signal
import time
import unittest

from bench import BenchTest

LONG = """\
operator: rms_norm_grad
products: [atlas-a2]
seeds: [{seeds}]
sweep:
  - dims: {{A: [512], R: [2048]}}
""".format(seeds=", ".join(str(seed) for seed in range(1, 2001)))


class InterruptionTest(BenchTest):
    def started_run(self):
        """A run of 10,000 cases that has answered a few."""
        self.write("long.yaml", LONG)
        process = self.start("run", "long.yaml", "--report", "out")
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            path = self.folder / "out" / "report.csv"
            if path.exists() and path.read_text().count("\n") > 5:
                return process
            time.sleep(0.02)
        self.fail("no case was answered in two minutes")

    def assert_valid(self):
        report = self.report()
        with open(self.folder / "out" / "report.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        self.assertGreater(len(rows), 0)
        self.assertLessEqual(abs(len(rows) - len(report["results"])), 1)
        self.assertTrue((self.folder / "out" / "report.md").read_text().startswith("# "))
        return report

    def test_an_interrupt_accounts_for_every_case(self):
        process = self.started_run()
        process.send_signal(signal.SIGINT)
        stdout, _ = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 5)
        report = self.assert_valid()
        outcomes = [result["outcome"] for result in report["results"]]
        self.assertEqual(len(outcomes), 10000)
        self.assertIn("passed", outcomes)
        self.assertIn("not-run", outcomes)
        self.assertIn("not-run", stdout)

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
