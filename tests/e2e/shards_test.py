# SPDX-License-Identifier: Apache-2.0
"""A run in shards, merged, is the run in one piece."""

import os
import re
import shutil
import subprocess
import unittest

from bench import ROOT, BenchTest

SUITE = ROOT / "cases" / "suites" / "smoke.yaml"
# Throughput is nothing but times; one product has calls of every kind.
ASKED = ["--check", "contract,accuracy,memory,determinism", "--product", "atlas-a2"]

# Enough for shards that are not alike.
FEW = """\
operator: rms_norm_grad
products: [atlas-a2, atlas-inference]
checks: [contract, accuracy]
sweep:
  - dims: {A: [[], [5], [64]], R: [1, 8, 100]}
"""


class ShardsTest(BenchTest):
    def setUp(self):
        super().setUp()
        self.write("few.yaml", FEW)

    def run_shards(self, count, *command):
        processes = [self.start("run", *command, "--shard", f"{i}/{count}", "--report",
                                f"shard-{i}") for i in range(1, count + 1)]
        for process in processes:
            process.communicate(timeout=300)
            self.assertIn(process.returncode, (0, 1))  # some calls prove nothing
        return [f"shard-{i}" for i in range(1, count + 1)]

    def merge(self, *folders, returncode=0):
        process = self.run_bench("merge", *folders, "--report", "merged")
        self.assertEqual(process.returncode, returncode, process.stderr_text)
        return process

    def test_merged_shards_are_the_whole_run(self):
        whole = self.run_bench("run", SUITE, *ASKED, "--report", "whole")
        self.assertEqual(whole.returncode, 1, "some calls prove nothing")
        folders = self.run_shards(3, SUITE, *ASKED)
        parts = [self.report(folder)["results"] for folder in folders]
        self.assertTrue(all(parts), "a shard is empty")
        self.assertEqual(sum(map(len, parts)), len(self.report("whole")["results"]))
        merged = self.merge(*folders, returncode=1)
        self.assertEqual(self.story("merged"), self.story("whole"))
        summary = [process.stdout_text.split("\nReports\n")[0].split("\n", 2)[2]
                   for process in (merged, whole)]
        self.assertEqual(*summary)
        run = self.report("shard-2")["run"]
        self.assertEqual((run["shard"], run["shards"]), (2, 3))
        # The order in which they are named does not matter.
        self.merge(*reversed(folders), returncode=1)
        self.assertEqual(self.story("merged"), self.story("whole"))
        # The merged journal is one like any other.
        self.run_bench("report", "merged", "--report", "rebuilt")
        self.assertEqual(self.story("rebuilt"), self.story("whole"))

    def test_merged_shards_of_several_products_are_the_whole_run(self):
        self.run_bench("run", "few.yaml", "--report", "whole")
        self.merge(*self.run_shards(3, "few.yaml"))
        self.assertEqual(self.story("merged"), self.story("whole"))

    def test_missing_and_doubled_cases_are_named(self):
        folders = self.run_shards(3, "few.yaml")
        ids = [[r["case_id"] for r in self.report(folder)["results"]] for folder in folders]
        process = self.merge(folders[0], folders[2], returncode=2)
        self.assertEqual(re.findall(r"(?m)^missing  (\S+)  of shard 2 of 3$", process.stdout_text),
                         ids[1])
        self.assertRegex(process.stderr_text,
                         rf"^normgrad-bench: {len(ids[1])} cases of the plan's \d+ missing and 0 "
                         "answered twice, as listed: expected every shard of 1 to 3 once")
        # In a log of both streams the list stands before what is said of it.
        log = self.run_bench("merge", folders[0], folders[2], "--report", "merged",
                             popen={"stderr": subprocess.STDOUT})
        self.assertEqual(log.stdout_text, process.stdout_text + process.stderr_text)
        shutil.copytree(self.folder / folders[0], self.folder / "copy")
        process = self.merge(*folders, "copy", returncode=2)
        self.assertEqual(re.findall(r"(?m)^doubled  (\S+)  in shard-1 and copy$",
                                    process.stdout_text), ids[0])
        self.assertFalse((self.folder / "merged").exists())

    def test_a_shard_that_is_not_complete_can_be_resumed(self):
        folders = self.run_shards(2, "few.yaml")
        journal = self.folder / "shard-2" / "journal.jsonl"
        lines = journal.read_text().splitlines(keepends=True)
        answers = [i for i, line in enumerate(lines) if line.startswith('{"result"')]
        journal.write_text("".join(lines[:answers[3]]))
        process = self.merge(*folders, returncode=2)
        self.assertEqual(process.stdout_text.count("missing  "), len(answers) - 3)
        self.assertIn(self.run_bench("run", "--resume", "shard-2").returncode, (0, 1))
        self.merge(*folders)

    def test_shards_of_different_runs_are_refused(self):
        self.run_shards(2, "few.yaml")
        for other, message in (
                (["--shard", "2/3"], "a shard of 3, was of 2"),
                (["--shard", "2/2", "--repeats", "3"], "command .* --repeats 3, was "),
                (["--shard", "2/2", "--seed", "7"], "plan 0x.*, was 0x")):
            shutil.rmtree(self.folder / "other", ignore_errors=True)
            self.run_bench("run", "few.yaml", *other, "--report", "other")
            process = self.merge("shard-1", "other", returncode=2)
            self.assertRegex(process.stderr_text,
                             f"^normgrad-bench: other: no shard of the run in shard-1: .*{message}")

    def test_the_environment_names_the_shard_only_when_asked(self):
        def cases(*arguments, **environment):
            process = self.run_bench("plan", SUITE, *arguments, **environment)
            self.assertEqual(process.returncode, 0, process.stderr_text)
            return [line for line in process.stdout_text.splitlines() if "/atlas" in line]

        gtest = {"GTEST_SHARD_INDEX": "1", "GTEST_TOTAL_SHARDS": "3"}
        slurm = {"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_MIN": "5",
                 "SLURM_ARRAY_TASK_MAX": "9", "SLURM_ARRAY_TASK_STEP": "2",
                 "SLURM_ARRAY_TASK_COUNT": "3"}
        second = cases("--shard", "2/3")
        self.assertEqual(cases(**gtest), cases())
        self.assertLess(len(second), len(cases()))
        self.assertEqual(cases("--shard", "env", **gtest), second)
        self.assertEqual(cases("--shard", "env", **slurm), second)
        self.assertEqual(cases("--shard", "env/3", PARALLEL_SEQ="2"), second)

    def test_bazel_is_told(self):
        status = self.folder / "status"
        environment = {"TEST_SHARD_INDEX": "0", "TEST_TOTAL_SHARDS": "2",
                       "TEST_SHARD_STATUS_FILE": str(status)}
        self.run_bench("run", SUITE, "--check", "contract", "--report", "all", **environment)
        self.assertFalse(status.exists())
        self.run_bench("run", SUITE, "--check", "contract", "--report", "out", "--shard", "env",
                       **environment)
        self.assertTrue(status.exists())
        self.assertEqual(self.report()["run"]["shards"], 2)

    def test_more_shards_than_cases(self):
        process = self.run_bench("plan", SUITE, "--shard", "1/90000")
        self.assertEqual(process.returncode, 2)
        self.assertRegex(process.stderr_text, r"^normgrad-bench: --shard: 90000 shards of \d+ cases: "
                                              "expected no more shards than cases\n$")


if __name__ == "__main__":
    unittest.main()
