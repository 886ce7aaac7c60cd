# SPDX-License-Identifier: Apache-2.0
"""A device whose phases answer otherwise than documented is caught by the check `contract`."""

import unittest

from bench import FAULTY, SWEEP, SWEEPS, BenchTest

ALL_SWEEPS = [SWEEP, *SWEEPS.values()]

CALLS = """\
operator: batch_norm_elemt_backward
products: [atlas-a2]
dims: {N: 3, C: 6, S: 5, K: 4}
reject:
  - because: a required pointer is null
    with: {input: null}
    expect: ACLNN_ERR_PARAM_NULLPTR
  - because: private formats are refused
    with: {gradOut: {format: NC1HWC0}}
    expect: ACLNN_ERR_PARAM_INVALID
  - because: the product does not offer the operator
    products: [atlas-inference]
    expect: refused
  - because: counter may have any shape
    with: {counter: {shape: [2, 2]}}
    expect: ACLNN_SUCCESS
"""


class ContractTest(BenchTest):
    def answers(self, fault, sweep):
        """Outcome and reason of every case of a run that asks for the check alone."""
        self.write("sweep.yaml", sweep)
        self.process = self.run_bench("run", "sweep.yaml", "--device", FAULTY, "--report", "out",
                                      "--check", "contract", NORMGRAD_FAULT=fault)
        self.assertEqual(self.process.stderr_text, "")
        self.results = self.report()["results"]
        return [(result["outcome"], result["reason"]) for result in self.results]

    def failed(self, fault, sweep, *reasons):
        """Every case fails with the reason of its place; None is a pass."""
        answers = self.answers(fault, sweep)
        self.assertEqual(len(answers), len(reasons))
        for (outcome, why), reason in zip(answers, reasons):
            self.assertEqual(outcome, "failed" if reason else "passed", why)
            self.assertRegex(why, reason or "^$")
        self.assertEqual(self.process.returncode, 1)

    def test_right_and_wrong_calls_of_a_correct_device_pass(self):
        for sweep in [*ALL_SWEEPS, CALLS]:
            outcomes = self.answers("", sweep)
            self.assertEqual(set(outcomes), {("passed", "")})
            self.assertEqual(self.process.returncode, 0)

    def test_a_private_format_that_is_taken(self):
        self.failed("ignores-formats", CALLS, None,
                    r"^contract: phase 1 returned 0 \(ACL_SUCCESS\), expected 161002 "
                    r"\(ACLNN_ERR_PARAM_INVALID\): private formats are refused$", None, None)

    def test_refusals_with_another_status(self):
        self.failed("wrong-status", CALLS,
                    r"^contract: phase 1 returned 561103 \(ACLNN_ERR_INNER_NULLPTR\), expected "
                    r"161001 \(ACLNN_ERR_PARAM_NULLPTR\): a required pointer is null \(the device "
                    r"says: .*input: is null.*\)$",
                    r"^contract: phase 1 returned 561103 .*, expected 161002 ", None, None)

    def test_a_documented_dtype_that_is_refused(self):
        for sweep in ALL_SWEEPS:
            with self.subTest(sweep.splitlines()[0]):
                half = sweep.replace("bfloat16", "float16")
                self.failed("refuses-float16", half, None,
                            r"^contract: phase 1 returned 161002 \(ACLNN_ERR_PARAM_INVALID\) to a "
                            r"documented call: .*float16 is for others")

    def test_a_workspace_that_grows(self):
        for sweep in ALL_SWEEPS:
            with self.subTest(sweep.splitlines()[0]):
                grown = r"^contract: phase 1 asked for a workspace of \d+ bytes, then for \d+$"
                self.failed("growing-workspace", sweep, grown, grown)

    def test_a_workspace_that_another_process_needs_not(self):
        for sweep in ALL_SWEEPS:
            with self.subTest(sweep.splitlines()[0]):
                other = (r"^contract: phase 1 asks for a workspace of (\d+) bytes, in another "
                         r"process (?!\1$)\d+$")
                self.failed("workspace-of-the-process", sweep, other, other)

    def test_a_workspace_that_is_not_enough(self):
        short = (r"^contract: a workspace of exactly \d+ bytes is not enough: byte 0 behind its "
                 r"end is 0x00")
        self.failed("workspace-overrun", SWEEP, short, short)

    def test_a_legal_call_that_goes_wrong_anyway_is_no_refusals_fault(self):
        self.assertEqual(self.answers("wrong-element", CALLS)[0],
                         ("passed", "contract: a legal call was not asked for afterwards: it fails on "
                                    "its own, too"))

    def test_an_unusual_legal_call_that_writes_out_of_bounds(self):
        outcome, reason = self.answers("out-of-bounds", CALLS)[-1]
        self.assertEqual(outcome, "failed")
        self.assertRegex(reason, "^contract: gradInput: written out of bounds: byte 0 behind its end "
                                 "is 0x00")

    def test_the_rule_that_a_call_breaks_is_reported(self):
        self.answers("", CALLS)
        self.assertEqual([result["rule"] for result in self.results],
                         ["input is not null", "gradOut has no private format",
                          "the product supports the operator", ""])


if __name__ == "__main__":
    unittest.main()
