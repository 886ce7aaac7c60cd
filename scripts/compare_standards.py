#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What published standards of accuracy make of a device that is wrong in one way.

  scripts/compare_standards.py BENCH FAULTY [FAULT ...]

BENCH: the executable; FAULTY: libnormgrad_faulty.so; FAULT: names of its faults, default: some that
RmsNormGrad may have. Prints a Markdown table: per rule the dtypes in which it
fails the device, of f(loat32), h(alf, float16) and b(float16). The first row is a device without a
fault, where every letter is a false alarm.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

FAULTS = ["", "wrong-element", "one-ulp", "nan", "projection-forgotten", "divisor-less-one",
          "last-element-dropped", "last-row-dropped", "lane-lost", "race-on-a-column",
          "terms-in-16-bits", "xhat-in-16-bits", "rstd-off-by-2^-11", "rstd-off-by-2^-16",
          "dx-truncated", "ties-away"]
SWEEP = """\
operator: rms_norm_grad
products: [atlas-a2]
checks: [accuracy]
sweep:
  - dims: {A: [257], R: [513]}
    rows:
      - float32-float32-float32-float32
      - float16-float32-float16-float32
      - bfloat16-float32-bfloat16-float32
"""
LETTERS = {"float32": "f", "float16": "h", "bfloat16": "b"}


def verdicts(bench, faulty, fault):
    """The letters of the dtypes in which each rule fails the device, by rule."""
    with tempfile.TemporaryDirectory(prefix="normgrad-standards-") as folder:
        Path(folder, "sweep.yaml").write_text(SWEEP)
        process = subprocess.run(
            [bench, "run", "sweep.yaml", "--device", faulty, "--report", "out", "-q"],
            cwd=folder, env={**os.environ, "NORMGRAD_FAULT": fault}, capture_output=True, text=True)
        if process.returncode not in (0, 1):
            sys.exit(f"{fault}: {process.stderr or process.stdout}")
        results = json.loads(Path(folder, "out", "report.json").read_text())["results"]
    failing = {}
    for result in results:
        letter = LETTERS[result["dtypes"].split("-")[0]]
        failed = {"derived": any(output["violations"] for output in result["outputs"])}
        for output in result["outputs"]:
            for standard in output["standards"]:
                name = standard["name"]
                failed[name] = failed.get(name, False) or not standard["passed"]
        for name, fails in failed.items():
            failing[name] = failing.get(name, "") + (letter if fails else "")
    return failing


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    bench, faulty = (str(Path(path).resolve()) for path in sys.argv[1:3])
    rows = [(fault, verdicts(bench, faulty, fault)) for fault in sys.argv[3:] or FAULTS]
    names = list(rows[0][1])
    print("| fault | " + " | ".join(names) + " |")
    print("| --- |" + " --- |" * len(names))
    for fault, failing in rows:
        print(f"| {fault or 'none'} | " + " | ".join(failing[name] for name in names) + " |")


if __name__ == "__main__":
    main()
