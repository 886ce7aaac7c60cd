#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fails when a file includes a header from above its floor, or a library that another folder owns.

  scripts/check_floors.py [TOP]    TOP: the project's top folder

The two tables below are the architecture; CONTRIBUTING.md draws them. ctest runs this as `floors`.
"""

import re
import sys
from pathlib import Path

# Folder -> what it may include besides itself. The longest folder that contains a file is the
# file's; `src` itself holds main and its options, and no further folders.
ABI_HEADERS = "kernels/include"
FLOORS = {
    "src/base": [],
    "src/abi": ["src/base", ABI_HEADERS],
    "src/ops": ["src/abi", "src/base"],
    "golden": ["src/ops", "src/base"],
    "src/sweep": ["src/abi", "src/ops", "src/base"],
    "src/device": ["src/abi", "src/ops", "src/base", ABI_HEADERS],
    "src/accuracy": ["golden", "src/ops", "src/base"],
    "src/report": ["src/ops", "src/base"],
    "src/checks": ["src/device", "src/sweep", "src/accuracy", "src/report", "src/abi", "golden",
                   "src/ops", "src/base"],
    "src/run": ["src/checks", "src/device", "src/sweep", "src/accuracy", "src/report", "src/abi",
                "golden", "src/ops", "src/base"],
    "src": ["src/run", "src/checks", "src/device", "src/sweep", "src/accuracy", "src/report",
            "src/abi", "golden", "src/ops", "src/base"],
    "kernels": ["src/abi", "src/ops", "src/base", ABI_HEADERS],
    ABI_HEADERS: [],
}

# Third-party header -> the only folder that may know it; None: tests only.
OWNERS = {
    "yaml-cpp/": "src/sweep",
    "csv.h": "src/sweep",
    "nlohmann/": "src/report",
    "dlfcn.h": "src/device",
    "benchmark/": "src/run",
    "hwy/": "kernels",
    "CLI/": "src",
    "spdlog/": "src",
    "gtest/": None,
    "gmock/": None,
}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+(["<])([^">]+)[">]', re.MULTILINE)
SOURCES = {".h", ".cc", ".cu", ".cuh"}


def floor_of(path: str) -> str:
    """The folder of FLOORS that `path`, relative to the top, belongs to; "" if there is none."""
    floor = max((floor for floor in FLOORS if path.startswith(floor + "/")), key=len, default="")
    return "" if floor == "src" and path.count("/") > 1 else floor


def generated(file: Path, header: str) -> bool:
    """Whether `header` is written at configure time: an embedded table, or from a template."""
    return header.endswith(".inc") or (file.parent / f"{header}.in").is_file()


def resolve(top: Path, file: Path, header: str) -> str | None:
    """The file of this project that `header` names, relative to the top; None if it is not ours."""
    for folder in (top / "src", top, top / ABI_HEADERS, file.parent):
        found = (folder / header).resolve()
        if found.is_file() and found.is_relative_to(top):
            return str(found.relative_to(top))
    return None


def complaints_about(top: Path, file: Path) -> list[str]:
    name = str(file.relative_to(top))
    floor = floor_of(name)
    if not floor:
        return [f"{name}: its folder has no floor: add one to {Path(__file__).name}"]
    complaints = []
    for quote, header in INCLUDE.findall(file.read_text(encoding="utf-8")):
        owned = [owner for prefix, owner in OWNERS.items() if header.startswith(prefix)]
        if owned:
            if owned[0] is None:
                complaints.append(f"{name}: <{header}> belongs to the tests")
            elif owned[0] != floor:
                complaints.append(f"{name}: <{header}> belongs to {owned[0]}")
            continue
        target = resolve(top, file, header)
        if target is None:
            if quote == '"' and not generated(file, header):
                complaints.append(f'{name}: "{header}" is no file of this project')
        elif floor_of(target) not in [floor, *FLOORS[floor]]:
            complaints.append(f"{name}: includes {target}: {floor} may only include "
                              f"{', '.join([floor, *FLOORS[floor]])}")
    return complaints


def main(top: Path) -> int:
    files = sorted(path for folder in ("src", "golden", "kernels")
                   for path in (top / folder).rglob("*") if path.suffix in SOURCES)
    complaints = [line for file in files for line in complaints_about(top, file)]
    if not files:
        complaints.append(f"{top}: no source files: is this the project's top folder?")
    for line in complaints:
        print(line)
    return 1 if complaints else 0


if __name__ == "__main__":
    default = Path(__file__).parent.parent
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else default).resolve()))
