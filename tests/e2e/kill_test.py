# SPDX-License-Identifier: Apache-2.0
"""A run that is killed again and again, and resumed, ends as if it never had been."""

import os
import random
import shutil
import signal
import time
import unittest
from pathlib import Path

from bench import BenchTest

# How many kills; the seed of all of them.
KILLS = int(os.environ.get("NORMGRAD_KILLS", "25"))
SEED = 20261120

# Calls that are judged, skipped and refused, for products that differ in all three.
KILLED = """\
operator: rms_norm_grad
products: [atlas-a2, atlas-inference]
sweep:
  - dims: {A: [[], [5], [64]], R: [1, 8, 100]}
    checks: [contract, accuracy, memory, determinism, batch, invariants]
  - dims: {A: [0], R: [8]}
    checks: [accuracy, batch]
  - dims: {A: [3], R: [32]}
    fills: [ties, exact]
    checks: [accuracy]
"""
REFUSED = """\
operator: rms_norm_grad
products: [atlas-a2, atlas-inference]
dims: {A: 4, R: 16}
reject:
  - because: a required pointer is null
    each: [dy, x, rstd, gamma, dxOut, dgammaOut, workspaceSize, executor]
    is: null
    expect: ACLNN_ERR_PARAM_NULLPTR
  - because: the dtype is not in the product's table
    each: [dy, x, rstd, gamma, dxOut, dgammaOut]
    is: {dtype: outside}
    expect: ACLNN_ERR_PARAM_INVALID
"""


def workers_of(pid):
    """The processes below `pid` that answer cases for it."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(child) for child in task.read_text().split()]
        except OSError:
            continue
        for child in children:
            try:
                words = Path(f"/proc/{child}/cmdline").read_text().split("\0")
            except OSError:
                continue
            found += ([child] if "worker" in words else []) + workers_of(child)
    return found


class KillTest(BenchTest):
    def test_kills_lose_nothing(self):
        self.write("sweep.yaml", KILLED)
        self.write("reject.yaml", REFUSED)
        command = ["run", "sweep.yaml", "reject.yaml", "--threads", "1"]
        started = time.monotonic()
        whole = self.run_bench(*command, "--report", "whole")
        seconds = time.monotonic() - started
        expected = self.story("whole")
        self.assertGreater(len(expected[0]["results"]), 300)
        chance = random.Random(SEED)
        kills, workers, episodes, resumed = 0, 0, 0, 0
        while kills < KILLS:
            episodes += 1
            shutil.rmtree(self.folder / "out", ignore_errors=True)
            process = None
            while process is None or process.returncode == -signal.SIGKILL:
                # Killed before its journal was there, it is simply started again.
                again = (self.folder / "out" / "journal.jsonl").exists()
                resumed += again
                process = self.start(*(["run", "--resume", "out"] if again else
                                       [*command, "--report", "out"]))
                delay = chance.uniform(0, seconds / 2)
                if kills < KILLS:
                    time.sleep(delay)
                    if process.poll() is None:
                        victim = chance.choice([process.pid, *workers_of(process.pid)])
                        kills += 1
                        workers += victim != process.pid
                        try:
                            os.kill(victim, signal.SIGKILL)
                        except ProcessLookupError:
                            pass  # a worker that was gone by itself
                stdout, stderr = process.communicate(timeout=300)
                if process.returncode == -signal.SIGKILL and chance.random() < 0.1 and again:
                    # What there is can be reported at any time, and the journal stays as it is.
                    journal = (self.folder / "out" / "journal.jsonl").read_bytes()
                    self.assertIn(self.run_bench("report", "out", "--report", "look").returncode,
                                  (whole.returncode, 5))
                    self.assertEqual((self.folder / "out" / "journal.jsonl").read_bytes(), journal)
            self.assertEqual(process.returncode, whole.returncode, stderr)
            self.assertEqual(self.story("out"), expected)
            self.run_bench("report", "out", "--report", "rebuilt")
            for name in ("report.json", "report.csv", "report.md"):
                self.assertEqual((self.folder / "rebuilt" / name).read_bytes(),
                                 (self.folder / "out" / name).read_bytes())
        self.assertGreater(resumed, 0, "nothing was resumed")
        self.assertGreater(workers, 0, "no worker was killed")
        print(f"\n{kills} kills, {workers} of them of workers, in {episodes} runs of "
              f"{len(expected[0]['results'])} cases, {resumed} resumptions, seed {SEED}: "
              "every story the same")


if __name__ == "__main__":
    unittest.main()
