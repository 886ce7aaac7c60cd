#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fails when a source, script or build file does not start with the project's licence line.

  scripts/check_licenses.py [TOP]    TOP: the project's top folder
"""

import sys
from pathlib import Path

LINE = "SPDX-License-Identifier: Apache-2.0"
FOLDERS = ("src", "golden", "kernels", "tests", "scripts", "cmake", "cases", ".ci")
COMMENT = {".h": "//", ".cc": "//", ".cu": "//", ".cuh": "//", ".in": "//",
           ".py": "#", ".sh": "#", ".cmake": "#", "CMakeLists.txt": "#", "run": "#",
           ".map": "#", ".yaml": "#", ".csv": "#"}
GENERATED = ("tests", "expected")  # letter by letter what the tool writes


def main(top: Path) -> int:
    bare, seen = [], 0
    files = [top / "CMakeLists.txt", *(f for folder in FOLDERS for f in (top / folder).rglob("*"))]
    for file in sorted(files):
        comment = COMMENT.get(file.suffix or file.name) or COMMENT.get(file.name)
        is_generated = file.relative_to(top).parts[:2] == GENERATED
        if comment is None or is_generated or not file.is_file():
            continue
        seen += 1
        lines = file.read_text(encoding="utf-8").splitlines()
        first = lines[1:] if lines and lines[0].startswith("#!") else lines
        if not first or first[0] != f"{comment} {LINE}":
            bare.append(file.relative_to(top))
    for name in bare:
        print(f"{name}: does not start with '{LINE}'")
    if not seen:
        print(f"{top}: no files to look at: is this the project's top folder?")
    return 1 if bare or not seen else 0


if __name__ == "__main__":
    default = Path(__file__).parent.parent
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else default).resolve()))
