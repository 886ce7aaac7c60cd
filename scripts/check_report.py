#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fails unless a folder holds the whole report of a run: every format, every case, every answer, and
something that passed.

  scripts/check_report.py FOLDER    FOLDER: what `normgrad-bench run --report` was given
"""

import csv
import json
import sys
from pathlib import Path


def complaints_about(folder: Path) -> list[str]:
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    with (folder / "report.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    markdown = (folder / "report.md").read_text(encoding="utf-8")

    results, totals = report["results"], report["totals"]
    checks = [check for result in results for check in result["checks"]]
    complaints = []
    if not results or not checks:
        complaints.append("no case was answered")
    if totals["planned_cases"] != len(results) or len(rows) != len(results):
        complaints.append(f"{totals['planned_cases']} cases planned, {len(results)} in report.json, "
                          f"{len(rows)} in report.csv")
    if totals["planned_checks"] != len(checks):
        complaints.append(f"{totals['planned_checks']} checks planned, {len(checks)} in report.json")
    if checks and not any(check["outcome"] == "passed" for check in checks):
        complaints.append("no check passed")
    unanswered = [entry for entry in [*results, *checks] if entry["outcome"] == "not-run"]
    if unanswered:
        complaints.append(f"{len(unanswered)} cases and checks were not run")
    if not report["finished"]:
        complaints.append("the run was not finished")
    differing = [row["case"] for row, result in zip(rows, results)
                 if (row["case"], row["outcome"]) != (result["case_id"], result["outcome"])]
    if differing:
        complaints.append(f"report.csv and report.json differ in {len(differing)} cases, "
                          f"first {differing[0]}")
    if not markdown.startswith("#"):
        complaints.append("report.md does not start with a heading")
    return complaints


def main(folder: Path) -> int:
    try:
        complaints = complaints_about(folder)
    except (OSError, ValueError, KeyError, csv.Error) as error:
        complaints = [f"cannot be read: {type(error).__name__}: {error}"]
    for complaint in complaints:
        print(f"{folder}: {complaint}")
    return 1 if complaints else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1])))
