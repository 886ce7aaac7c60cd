#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the tables of docs/selftest.md from a self-test of this machine.

  scripts/selftest_page.py BENCH [--check]

BENCH: the executable. Runs the self-test with every published standard, then once more without each
check, and fails unless every fault is caught, every healthy variant accepted, and leaving out a check
loses exactly the faults that the first run says it alone sees. --check: leaves the page alone.
"""

import argparse
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs" / "selftest.md"
MARK = "<!-- The rest of this page is written by scripts/selftest_page.py. -->\n"


def selftest(bench, *arguments):
    """Exit code and output of one self-test."""
    process = subprocess.run([bench, "selftest", *arguments], capture_output=True, text=True,
                             check=False)
    if process.returncode not in (0, 1):
        sys.exit(f"selftest {' '.join(arguments)}: {process.stderr}")
    return process.returncode, process.stdout


def trials(report):
    """Every trial of a fault: (fault, operator, dtype), and the checks that caught it."""
    for way in report["ways"]:
        if way["kind"] == "healthy":
            continue
        for trial in way["trials"]:
            yield (way["name"], trial["operator"], trial["dtype"]), trial


def missed(report):
    """The faults that on some operator and dtype nothing caught though there was something to see."""
    return {key[0]: key for key, trial in trials(report)
            if not trial["catches"] and trial["differs"]}


def owned(report, check):
    """The faults that on some operator and dtype `check` alone caught."""
    return {key[0]: key for key, trial in trials(report)
            if [found["check"] for found in trial["catches"]] == [check]}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    bench = str(Path(arguments.bench).resolve())
    code, text = selftest(bench, "--format", "json")
    report = json.loads(text)
    with ThreadPoolExecutor(max_workers=2) as pool:
        without = dict(zip(report["checks"], pool.map(
            lambda check: json.loads(selftest(bench, "--quick", "--format", "json", "--without",
                                              check)[1]), report["checks"])))
    complaints = [f"missed: {' '.join(key)}" for key in missed(report).values()]
    complaints += ["the self-test itself fails"] if code != 0 else []
    for check in report["checks"]:
        lost, alone = missed(without[check]), owned(report, check)
        if not alone:
            complaints.append(f"{check} alone sees nothing: it is not needed")
        complaints += [f"without {check}, {' '.join(lost[fault])} is missed, though others saw it"
                       for fault in sorted(lost.keys() - alone.keys())]
        complaints += [f"without {check}, {' '.join(alone[fault])} is seen, though no other saw it"
                       for fault in sorted(alone.keys() - lost.keys())]
        print(f"{check} alone sees {len(alone)} faults; without it {len(lost)} are lost")
    for way in report["ways"]:
        if way["kind"] == "healthy" and any(trial["catches"] for trial in way["trials"]):
            complaints.append(f"false alarm: {way['name']}")
    for complaint in complaints:
        print(f"scripts/selftest_page.py: {complaint}", file=sys.stderr)
    if complaints or arguments.check:
        return 1 if complaints else 0
    _, tables = selftest(bench, "--standards", "--format", "md")
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(page[:page.index(MARK)] + MARK + "\n" + tables, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
