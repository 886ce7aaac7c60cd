# SPDX-License-Identifier: Apache-2.0
"""A device that is wrong in one way is caught, by the check that owns that way, and by name."""

import shlex
import shutil
import unittest

from bench import BENCH, FAULTY, SWEEP, SWEEPS, BenchTest

SIXTEEN_BIT = "bfloat16-float32-bfloat16-float32"

# Operator, the gradient of its data, its last output.
OUTPUTS = [
    ("layer_norm_backward", "gradInputOut", "gradBiasOut"),
    ("group_norm_backward", "gradInput", "gradBetaOut"),
    ("batch_norm_elemt_backward", "gradInput", "gradInput"),
]

# Fault, the check that catches it, what it says; in which of the two dtype rows, if not in both.
CAUGHT = [
    ("wrong-element", "accuracy", r"^{dx}: 1 of \d+ elements outside the bound, first at ", None),
    ("one-ulp", "accuracy", r"^{dx}: 1 of \d+ elements outside the bound, first at ", "bfloat16"),
    ("nan", "accuracy", r"^{last}: 1 of \d+ elements outside the bound, .*: nan, golden ", None),
    ("out-of-bounds", "memory",
     r"^{last}: written out of bounds: byte 0 behind its end is 0x00", None),
    ("out-of-bounds-by-default", "memory",
     r"^{last}: written out of bounds: byte 0 behind its end is 0x00", None),
    ("input-changed", "memory", r"^input: the input was changed: byte 0 of its storage", None),
    ("nondeterministic-bits", "determinism",
     r"^\d+ of \d+ runs differ from the first with the option on: {last}\[0[0, ]*\]: ", "float32"),
]


class FaultTest(BenchTest):
    def outcomes(self, fault, *arguments, sweep=SWEEP):
        """Outcome and reason of every check of every case, by (dtypes, check)."""
        self.write("sweep.yaml", sweep)
        # A run that was not finished is not replaced.
        shutil.rmtree(self.folder / "out", ignore_errors=True)
        self.process = self.run_bench("run", "sweep.yaml", "--device", FAULTY, "--report", "out",
                                      *arguments, NORMGRAD_FAULT=fault)
        report = self.report()
        answers = sum(len(result["checks"]) for result in report["results"])
        self.assertEqual(answers, report["totals"]["planned_checks"])
        return {(result["dtypes"], check["check"]): (check["outcome"], check["reason"])
                for result in report["results"] for check in result["checks"]}

    def caught(self, fault, check, outcome, reason, *arguments, exit_code=1, only=None,
               sweep=SWEEP):
        """`check`, and no other, answers `outcome` with a reason that matches, in every case."""
        for (dtypes, name), (was, why) in self.outcomes(fault, *arguments, sweep=sweep).items():
            if name == check and dtypes.startswith(only or ""):
                self.assertEqual(was, outcome, (fault, dtypes, why))
                self.assertRegex(why, reason)
            else:
                self.assertEqual(was, "passed", (fault, dtypes, name, why))
        self.assertEqual(self.process.returncode, exit_code)

    def test_the_same_library_without_a_fault_passes(self):
        self.assertEqual({outcome for outcome, _ in self.outcomes("").values()}, {"passed"})
        self.assertEqual(self.process.returncode, 0)

    def test_faults_of_every_operator(self):
        for operator, dx, last in OUTPUTS:
            for fault, check, reason, only in CAUGHT:
                with self.subTest(operator=operator, fault=fault):
                    self.caught(fault, check, "failed",
                                reason.replace("{dx}", dx).replace("{last}", last), only=only,
                                sweep=SWEEPS[operator])

    def test_operators_that_promise_equal_bits_always_owe_them_by_default(self):
        for operator, promised in (("layer_norm_backward", "always"),
                                   ("group_norm_backward", "on request"),
                                   ("batch_norm_elemt_backward", "always")):
            with self.subTest(operator):
                outcomes = self.outcomes("nondeterministic-bits-by-default", "--check",
                                         "determinism", sweep=SWEEPS[operator])
                (outcome, reason), in_16_bits = outcomes.values()
                self.assertEqual(in_16_bits, ("passed", ""))
                self.assertRegex(reason, r"^\d+ of \d+ runs differ from the first with the option off: ")
                self.assertEqual(outcome, "failed" if promised == "always" else "passed")
                self.assertEqual(reason.endswith("; the document promises no more"),
                                 promised == "on request")

    def test_gaps_between_strided_elements_of_every_operator(self):
        for operator, dx, _ in OUTPUTS:
            with self.subTest(operator):
                self.caught("gap-written", "memory", "failed",
                            rf"^{dx}: a gap between its elements was changed: byte \d+ ",
                            sweep=SWEEPS[operator] + f"    layouts: [{{{dx}: strided}}]\n")

    def test_unwritten_elements_of_every_operator(self):
        for operator, dx, _ in OUTPUTS:
            with self.subTest(operator):
                for (_, check), (outcome, reason) in self.outcomes(
                        "unwritten-tail", sweep=SWEEPS[operator]).items():
                    # What was there before is the same in every run.
                    self.assertEqual(outcome, "passed" if check == "determinism" else "failed")
                    if check == "memory":
                        self.assertRegex(reason, rf"^{dx}: 1 of \d+ elements not written, first at ")

    def test_sums_onto_what_memory_held_of_every_operator(self):
        for operator, _, last in OUTPUTS:
            with self.subTest(operator):
                for (_, check), (outcome, reason) in self.outcomes(
                        "stale-accumulation", sweep=SWEEPS[operator]).items():
                    self.assertEqual(outcome, "passed" if check == "determinism" else "failed")
                    if check == "memory":
                        self.assertRegex(
                            reason, rf"^results depend on what memory held before: {last}\[")

    def test_one_wrong_element(self):
        self.caught("wrong-element", "accuracy", "failed",
                    r"^dxOut: 1 of 2145 elements outside the bound, first at \[32, 16\]")

    def test_one_unit_in_the_last_place_of_a_16_bit_element(self):
        self.caught("one-ulp", "accuracy", "failed",
                    r"^dxOut: 1 of 2145 elements outside the bound, first at \[32, 16\]",
                    only=SIXTEEN_BIT)

    def test_a_nan(self):
        self.caught("nan", "accuracy", "failed",
                    r"^dgammaOut: 1 of 33 elements outside the bound, first at \[32\].*nan")

    def test_an_unwritten_tail(self):
        outcomes = self.outcomes("unwritten-tail")
        for dtypes in {dtypes for dtypes, _ in outcomes}:
            outcome, reason = outcomes[dtypes, "memory"]
            self.assertEqual(outcome, "failed")
            self.assertEqual(reason,
                             "dxOut: 1 of 2145 elements not written, first at [64, 32]")
            # What was there before is no result either.
            self.assertEqual(outcomes[dtypes, "accuracy"][0], "failed")

    def test_a_byte_out_of_bounds(self):
        self.caught("out-of-bounds", "memory", "failed",
                    r"^dgammaOut: written out of bounds: byte 0 behind its end is 0x00, "
                    r"behind element \[\d+\]$")

    def test_a_byte_out_of_bounds_in_one_mode_only(self):
        self.caught("out-of-bounds-by-default", "memory", "failed",
                    r"^dgammaOut: written out of bounds: byte 0 behind its end is 0x00, "
                    r"behind element \[\d+\]$")

    def test_a_gap_between_strided_elements(self):
        self.caught("gap-written", "memory", "failed", r"^dxOut: a gap between its elements was ",
                    sweep=SWEEP + "    layouts: [{dxOut: strided}]\n")

    def test_a_changed_input(self):
        self.caught("input-changed", "memory", "failed", r"^x: the input was changed: byte \d+ ")

    def test_a_nondeterministic_sum(self):
        self.caught("nondeterministic-sum", "determinism", "failed",
                    r"^\d+ of \d+ runs differ from the first with the option on: dgammaOut\[\d+\]: "
                    r"run 2 has 0x[0-9a-f]{8}, run 1 has 0x[0-9a-f]{8}, \d+ ULP apart$")

    def test_a_sum_that_may_differ_by_default_is_no_fault(self):
        # The option is read in phase 1: with it on, the launches of phase 2 agree.
        for (_, check), (outcome, reason) in self.outcomes("nondeterministic-by-default").items():
            self.assertEqual(outcome, "passed", reason)
            if check == "determinism":
                self.assertRegex(reason, r"differ from the first with the option off: .*; "
                                         r"the document promises no more$")
        self.assertEqual(self.process.returncode, 0)

    def test_a_sum_onto_what_memory_held(self):
        outcomes = self.outcomes("stale-accumulation")
        self.assertEqual({o for (_, check), (o, _) in outcomes.items() if check == "accuracy"},
                         {"failed"})
        for (_, check), (outcome, reason) in outcomes.items():
            if check == "memory":
                self.assertEqual(outcome, "failed")
                self.assertIn("results depend on what memory held before: dgammaOut[", reason)

    def test_a_byte_behind_the_workspace(self):
        self.caught("workspace-overrun", "memory", "failed",
                    r"^workspace of \d+ bytes: written out of bounds: byte 0 behind its end")

    def test_a_kernel_that_fails_on_the_device(self):
        for outcome, reason in self.outcomes("throws").values():
            self.assertEqual(outcome, "error")
            self.assertRegex(reason, r"returned \d+ \(ACL_ERROR_\w+\): .*\(planted\)")
        self.assertEqual(self.process.returncode, 5)

    def test_a_launch_that_takes_too_long(self):
        for outcome, reason in self.outcomes("slow", "--timeout", "0.2", "--check",
                                             "memory").values():
            self.assertEqual(outcome, "timed-out")
            self.assertIn("ACL_ERROR_RT_STREAM_SYNC_TIMEOUT", reason)
        self.assertEqual(self.process.returncode, 5)

    def test_a_launch_that_never_ends(self):
        # Three checks in each of two cases; in a process of its own the second has a device, too.
        for isolate, timed_out in (("off", [0]), ("on", [0, 3])):
            outcomes = self.outcomes("hang", "--timeout", "0.1", "--isolate", isolate).values()
            for place, (outcome, reason) in enumerate(outcomes):
                with self.subTest(isolate=isolate, place=place):
                    if place in timed_out:
                        self.assertEqual(outcome, "timed-out", reason)
                    else:
                        self.assertEqual((outcome, reason), (
                            "not-run", "device lost: an earlier launch never ended"))
            self.assertEqual(self.process.returncode, 5)

    def test_the_summary_ends_with_failures_that_can_be_rerun(self):
        self.outcomes("wrong-element")
        *_, last = self.process.stdout_text.rstrip().splitlines()
        rerun, *command = shlex.split(last)
        self.assertEqual([rerun, *command[:2]], ["rerun:", BENCH, "run"])
        again = self.run_bench(*command[1:], "--report", "again", NORMGRAD_FAULT="wrong-element")
        self.assertEqual(again.returncode, 1)
        results = self.report("again")["results"]
        self.assertEqual([r["case_id"] for r in results], [self.report()["results"][-1]["case_id"]])
        self.assertEqual(results[0]["outputs"], self.report()["results"][-1]["outputs"])


if __name__ == "__main__":
    unittest.main()
