#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How often the derived bound rejects a correct kernel, over more than 10^9 elements.

  scripts/false_alarms.py BENCH FAULTY [--quick]

BENCH: the executable; FAULTY: libnormgrad_faulty.so, whose healthy variants compute in other legal
ways. Judges cases/suites/campaign.yaml on the built-in CPU device and campaign_variants.yaml on every
healthy variant, prints a Markdown page for reports/published/, and exits with 1 if one correct
element was rejected or a case had no answer. --quick: campaign_variants.yaml alone, on the CPU
device and one variant, to see that everything works.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SUITES = ROOT / "cases" / "suites"
HARMLESS = ("passed", "skipped", "mistrusted")


class Tally:
    """What was judged of one device."""

    def __init__(self, name):
        self.name = name
        self.cases = self.unjudged = self.elements = self.rejected = 0
        self.wrong = []     # cases that failed, or had no answer
        self.worst = {}     # (operator, output, dtype): (margin, case)
        self.oracle = 0.0   # largest error of the oracle over the allowance
        self.run = {}

    def add(self, result):
        self.cases += 1
        if result["outcome"] not in HARMLESS:
            self.wrong.append((result["case_id"], result["reason"]))
        if not result["outputs"]:
            self.unjudged += 1
        for output in result["outputs"]:
            self.elements += output["elements"]
            self.rejected += output["violations"]
            self.oracle = max(self.oracle, output["oracle_error"])
            key = (result["op"], output["name"], output["dtype"])
            margin = float(output["margin"])
            if margin >= self.worst.get(key, (-1.0, ""))[0]:
                self.worst[key] = (margin, result["case_id"])


def judge(bench, suite, name, extra=(), environment=()):
    """Runs one suite on one device."""
    tally = Tally(name)
    with tempfile.TemporaryDirectory(prefix="normgrad-campaign-") as folder:
        process = subprocess.run(
            [bench, "run", str(SUITES / suite), "--report", folder, "--format", "json", "-q", *extra],
            env={**os.environ, **dict(environment)}, capture_output=True, text=True, check=False)
        path = Path(folder, "report.json")
        if process.returncode not in (0, 1, 5) or not path.exists():
            sys.exit(f"{name}: exit code {process.returncode}: {process.stderr}{process.stdout}")
        report = json.loads(path.read_text(encoding="utf-8"))
    tally.run = report["run"]
    for result in report["results"]:
        tally.add(result)
    return tally


def healthy_variants(bench):
    """Names of the catalogue's healthy variants that are not the CPU device itself."""
    text = subprocess.run([bench, "selftest", "--list"], capture_output=True, text=True,
                          check=True).stdout
    rows = (line.split() for line in text.splitlines())
    return [row[0] for row in rows if row[1] == "healthy" and row[0] != "cpu"]


def page(tallies):
    """The report, as Markdown."""
    run = tallies[0].run
    lines = [
        "# False alarms", "",
        "Correct kernels judged by the derived bound, by `scripts/false_alarms.py`: the built-in CPU",
        "device, and float32 models that add, arrange and flush in other legal ways. Margin is error",
        "over allowance: 1 would be a false alarm, and far below 1 the bound is loose.", "",
        f"normgrad-bench {run['tool_version']} on {run['host']}, {run['started_utc'][:10]}.", "",
        "| kernel | cases | judged elements | rejected | largest oracle error / allowance |",
        "| --- | ---: | ---: | ---: | ---: |"]
    for tally in tallies:
        lines.append(f"| {tally.name} | {tally.cases - tally.unjudged:,} | {tally.elements:,} | "
                     f"{tally.rejected:,} | {tally.oracle:.2g} |")
    total = sum(tally.elements for tally in tallies)
    lines += [f"| **all** | {sum(t.cases - t.unjudged for t in tallies):,} | {total:,} | "
              f"{sum(t.rejected for t in tallies):,} | {max(t.oracle for t in tallies):.2g} |", "",
              f"No element of {total:,} was rejected wrongly: with 95 % confidence fewer than "
              f"{3 / total:.1g} are.", "",
              "## Worst margins", "",
              "| operator | output | dtype | CPU device | variants | of | in |",
              "| --- | --- | --- | ---: | ---: | --- | --- |"]
    keys = sorted({key for tally in tallies for key in tally.worst})
    for key in keys:
        mine = tallies[0].worst.get(key, (0.0, ""))
        others = [(t.worst[key][0], t.name, t.worst[key][1]) for t in tallies[1:] if key in t.worst]
        other = max(others, default=(0.0, "", ""))
        lines.append(f"| {key[0]} | {key[1]} | {key[2]} | {mine[0]:.3f} | {other[0]:.3f} | "
                     f"{other[1]} | {other[2]} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench")
    parser.add_argument("faulty")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    bench, faulty = (str(Path(path).resolve()) for path in (arguments.bench, arguments.faulty))
    variants = healthy_variants(bench)
    if arguments.quick:
        variants = variants[:1]
    small = "campaign_variants.yaml"
    tallies = [judge(bench, small if arguments.quick else "campaign.yaml", "CPU device")]
    for variant in variants:
        print(variant, file=sys.stderr)
        tallies.append(judge(bench, small, variant, ["--device", faulty],
                             [("NORMGRAD_FAULT", variant)]))
    for tally in tallies:
        for case, reason in tally.wrong:
            print(f"{tally.name}: {case}: {reason}", file=sys.stderr)
    if any(tally.wrong or tally.rejected for tally in tallies):
        return 1
    print(page(tallies), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
