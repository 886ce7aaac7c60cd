# SPDX-License-Identifier: Apache-2.0
"""Published standards of accuracy: reported beside the derived bound, or deciding in its place."""

import shlex
import unittest

from bench import BENCH, FAULTY, SWEEP, BenchTest

ACCURACY = SWEEP.replace("[accuracy, memory, determinism]", "[accuracy]")


class StandardsTest(BenchTest):
    def run_with(self, *arguments, fault="wrong-element", folder="out"):
        self.write("sweep.yaml", ACCURACY)
        return self.run_bench("run", "sweep.yaml", "--device", FAULTY, "--report", folder,
                              *arguments, NORMGRAD_FAULT=fault)

    def standards(self, folder="out"):
        """The names of those that pass, per case and output."""
        return [[{s["name"] for s in output["standards"] if s["passed"]}
                 for output in result["outputs"]]
                for result in self.report(folder)["results"]]

    def test_the_derived_bound_decides_by_default(self):
        self.assertEqual(self.run_with().returncode, 1)
        report = self.report()
        self.assertEqual(report["run"]["standard"], "derived")
        for result in report["results"]:
            self.assertEqual(result["outcome"], "failed")
            self.assertEqual(result["outputs"][0]["violations"], 1)

    def test_a_standard_decides_where_it_is_asked_to(self):
        process = self.run_with("--standard", "cosine")
        self.assertEqual(process.returncode, 0, process.stdout_text)
        report = self.report()
        self.assertEqual(report["run"]["standard"], "cosine")
        for result in report["results"]:
            self.assertEqual(result["outcome"], "passed")
            # What the bound says is still there.
            self.assertEqual(result["outputs"][0]["violations"], 1)
            self.assertGreater(result["outputs"][0]["margin"], 1)
            self.assertRegex(result["reason"], r"^accuracy: by standard cosine, not by the derived "
                                               r"bound: dxOut: 1 of 2145 elements outside")

    def test_a_standard_that_fails_says_by_which_number(self):
        self.assertEqual(self.run_with("--standard", "binary").returncode, 1)
        for result in self.report()["results"]:
            self.assertRegex(result["reason"],
                             r"^accuracy: dxOut: standard binary: different elements is \d+, "
                             r"limit 0$")

    def test_every_standard_is_reported_whatever_decides(self):
        self.run_with()
        self.run_with("--standard", "cosine", folder="cosine")
        self.assertEqual(self.standards(), self.standards("cosine"))
        for outputs in self.standards():
            # One element in two thousand: norms and directions do not see it.
            self.assertLessEqual({"cosine", "mlu-diff1", "mlu-diff2"}, outputs[0])
            self.assertFalse({"torch", "mlu-diff3"} & outputs[0])

    def test_the_reports_count_where_a_standard_and_the_bound_disagree(self):
        process = self.run_with()
        tallies = {tally["standard"]: tally for tally in self.report()["standards"]}
        self.assertEqual(tallies["cosine"], {"standard": "cosine", "both_pass": 0, "both_fail": 0,
                                             "only_standard_fails": 0, "only_bound_fails": 2})
        self.assertEqual(tallies["torch"]["both_fail"], 2)
        self.assertIn("  cosine         fails 0 cases and passes 2 against the bound\n",
                      process.stdout_text)
        self.assertIn("| cosine | 0 | 0 | 0 | 2 |\n",
                      (self.folder / "out" / "report.md").read_text())
        self.assertIn(" cosine=pass ", (self.folder / "out" / "report.csv").read_text())

    def test_a_healthy_device_passes_the_standards_it_should(self):
        self.assertEqual(self.run_with(fault="").returncode, 0)
        for outputs in self.standards():
            for passing in outputs:
                self.assertLessEqual({"cann-mixed", "cann-mixed-v2", "cosine", "benchdnn",
                                      "mlu-diff1", "mlu-diff2"}, passing)

    def test_numbers_do_not_depend_on_threads(self):
        self.run_with("--threads", "1", folder="one")
        self.run_with("--threads", "3", folder="three")
        outputs = [[result["outputs"] for result in self.report(folder)["results"]]
                   for folder in ("one", "three")]
        self.assertEqual(outputs[0], outputs[1])

    def test_the_rerun_command_keeps_the_standard(self):
        self.run_with("--standard", "torch")
        rerun = self.report()["results"][0]["rerun"]
        self.assertIn(" --standard torch", rerun)
        command = shlex.split(rerun)
        self.assertEqual(command[0], BENCH)
        again = self.run_bench(*command[1:], "--report", "again", NORMGRAD_FAULT="wrong-element")
        self.assertEqual(again.returncode, 1)
        self.assertEqual(self.report("again")["results"][0]["reason"],
                         self.report()["results"][0]["reason"])

    def test_an_unknown_standard_is_refused_with_a_suggestion(self):
        process = self.run_with("--standard", "cosin")
        self.assertEqual(process.returncode, 2)
        self.assertIn("unknown standard 'cosin': did you mean 'cosine'?", process.stderr_text)
        self.assertEqual(self.files(), ["sweep.yaml"])

    def test_the_standards_are_described_with_thresholds_and_sources(self):
        process = self.run_bench("describe", "--standards")
        self.assertEqual(process.returncode, 0)
        for text in ("\ncann-mixed\n", "rtol 2^-10, atol 2^-10", "\nbenchdnn\n",
                     "mixed_tolerance_standard.md at 233ee24c"):
            self.assertIn(text, process.stdout_text)


if __name__ == "__main__":
    unittest.main()
