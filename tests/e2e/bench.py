# SPDX-License-Identifier: Apache-2.0
"""Runs normgrad-bench as a user would, in an empty folder, and reads what it leaves behind."""

import csv
import json
import os
import re
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BENCH = os.environ["NORMGRAD_BENCH"]
CPU = os.environ["NORMGRAD_CPU"]
DEVIATING = os.environ["NORMGRAD_DEVIATING"]
FAULTY = os.environ["NORMGRAD_FAULTY"]
ONE_PRODUCT = os.environ["NORMGRAD_ONE_PRODUCT"]
UNDISGUISED = os.environ["NORMGRAD_UNDISGUISED"]

# The smallest sweep that asks every untimed question, on shapes where every fault shows.
SWEEP = """\
operator: rms_norm_grad
products: [atlas-a2]
checks: [accuracy, memory, determinism]
sweep:
  - dims: {A: [65], R: [33]}
    rows: [float32-float32-float32-float32, bfloat16-float32-bfloat16-float32]
"""

# The same of the other operators, one text each.
SWEEPS = {
    "layer_norm_backward": """\
operator: layer_norm_backward
products: [atlas-a2]
checks: [accuracy, memory, determinism]
rows:
  - float32-float32-float32-float32-float32
  - bfloat16-float32-bfloat16-bfloat16-bfloat16
sweep:
  - dims: {A: [65], R: [33]}
""",
    "group_norm_backward": """\
operator: group_norm_backward
products: [atlas-a2]
checks: [accuracy, memory, determinism]
rows: [float32-float32-float32-float32, bfloat16-bfloat16-bfloat16-bfloat16]
sweep:
  - dims: {N: [3], C: [6], S: [[5, 7]], G: [2]}
""",
    "batch_norm_elemt_backward": """\
operator: batch_norm_elemt_backward
products: [atlas-a2]
checks: [accuracy, memory, determinism]
rows:
  - float32-float32-float32-float32-float32-float32-float32-int32-float32
  - bfloat16-bfloat16-float32-float32-bfloat16-float32-float32-float16-bfloat16
sweep:
  - dims: {N: [3], C: [6], S: [[5, 7]], K: [4]}
""",
}


class BenchTest(unittest.TestCase):
    """A test with an empty working folder; the tool's files go there and nowhere else."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="normgrad-e2e-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return name

    def start(self, *arguments, popen=None, **environment):
        """Starts the tool; `popen` overrides arguments of subprocess.Popen."""
        defaults = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE,
                    "stderr": subprocess.PIPE, "text": True}
        process = subprocess.Popen([BENCH, *map(str, arguments)], cwd=self.folder,
                                   env={**os.environ, **environment},
                                   **{**defaults, **(popen or {})})
        self.addCleanup(self.end, process)
        return process

    @staticmethod
    def end(process):
        """Nothing a failed test started stays behind."""
        if process.poll() is None:
            process.kill()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        process.wait()

    def run_bench(self, *arguments, popen=None, **environment):
        process = self.start(*arguments, popen=popen, **environment)
        process.stdout_text, process.stderr_text = process.communicate(timeout=300)
        return process

    def wait_until(self, happened, what):
        """Waits until `happened()` returns something true, and returns that."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if value := happened():
                return value
            time.sleep(0.02)
        self.fail(f"not in two minutes: {what}")

    def report(self, folder="out"):
        return json.loads((self.folder / folder / "report.json").read_text())

    def story(self, folder="out"):
        """What the reports of a run tell, but for times and where they lie."""
        report = self.report(folder)
        for result in report["results"]:
            for entry in [result, *result["checks"]]:
                entry["seconds"] = 0
        run = report["run"]
        run["started_utc"] = run["command_line"] = report["finished_utc"] = ""
        # How much memory is free is no one's doing.
        run["device_description"] = re.sub(r", [^,]* free of", "", run["device_description"])
        with open(self.folder / folder / "report.csv", newline="") as file:
            rows = [{**row, "seconds": ""} for row in csv.DictReader(file, strict=True)]
        markdown = (self.folder / folder / "report.md").read_text().splitlines()
        markdown = [re.sub(r" Finished .*Z\.$", "", line) for line in markdown
                    if not line.startswith(("| started |", "| command |", "| device |"))]
        return report, rows, markdown

    def files(self):
        return sorted(str(p.relative_to(self.folder)) for p in self.folder.rglob("*") if p.is_file())
