#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fails when a program of this project may hand text to a shell, or looks a program up by name.

  scripts/check_shells.py [TOP]    TOP: the project's top folder

What users and devices write would become commands there. ctest runs this as `shells`.
"""

import re
import sys
from pathlib import Path

CPP = r"\b(system|popen|wordexp|execl|execlp|execvp|execvpe|posix_spawnp)\s*\(|/bin/(ba)?sh\b"
# What each kind of file must not hold; whole lines of comments do not count.
RULES = [
    (("src", "golden", "kernels"), {".h", ".cc", ".in"}, re.compile(CPP), "//"),
    (("scripts", "tests"), {".py"},
     re.compile(r"\bshell\s*=\s*True|\bos\.(system|popen)\s*\(|\bgetoutput\s*\("), "#"),
    (("scripts", ".ci"), {".sh", ""}, re.compile(r"(^|[;&|]\s*|\s)eval\s|\b(ba)?sh\s+-c\b"), "#"),
]


def main(top: Path) -> int:
    complaints, seen = [], 0
    for folders, suffixes, forbidden, comment in RULES:
        files = [file for folder in folders for file in sorted((top / folder).rglob("*"))
                 if file.is_file() and file.suffix in suffixes]
        seen += len(files)
        for file in files:
            for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
                found = forbidden.search(line)
                if found and not line.lstrip().startswith(comment):
                    complaints.append(f"{file.relative_to(top)}:{number}: {found.group().strip()}: "
                                      "text must never reach a shell")
    if not seen:
        complaints.append(f"{top}: no files to look at: is this the project's top folder?")
    for line in complaints:
        print(line)
    return 1 if complaints else 0


if __name__ == "__main__":
    default = Path(__file__).parent.parent
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else default).resolve()))
