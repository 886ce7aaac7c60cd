#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints how many lines each operator costs, and how many are shared by all of them.

  scripts/count_lines.py

Lines of tracked C++ files that hold code: neither empty nor only a comment. Tests are left out.
"""

import subprocess
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
OPERATORS = ["rms_norm_grad", "layer_norm_backward", "group_norm_backward",
             "batch_norm_elemt_backward"]
PARTS = {"contract": "src/ops/", "oracle": "golden/", "CPU kernel": "kernels/cpu/"}
SHARED = {
    "tool": ["src/"],
    "oracle, shared": ["golden/"],
    "CPU passes and runtime": ["kernels/cpu/"],
    "device C ABI": ["kernels/api/"],
}


def code_lines(path: Path) -> int:
    lines = (line.strip() for line in path.read_text().splitlines())
    return sum(1 for line in lines if line and not line.startswith("//"))


def main() -> None:
    tracked = subprocess.run(["git", "ls-files", "*.cc", "*.h"], cwd=TOP, check=True, text=True,
                             capture_output=True).stdout.split()
    count = {name: code_lines(TOP / name) for name in tracked if not name.startswith("tests/")}

    print(f"{'operator':<28}" + "".join(f"{part:>12}" for part in PARTS) + f"{'entry points':>14}"
          f"{'total':>8}")
    entry_points = (TOP / "kernels/api/entry_points.cc").read_text()
    for operator in OPERATORS:
        own = [sum(lines for name, lines in count.items()
                   if name.startswith(folder) and Path(name).name.startswith(operator))
               for folder in PARTS.values()]
        api = "".join(word.capitalize() for word in operator.split("_"))
        start = entry_points.index(f"aclnnStatus aclnn{api}GetWorkspaceSize")
        end = entry_points.find("\n\n", start)
        own.append(len(entry_points[start:end].splitlines()) + 1)  # and its row in src/device
        print(f"{operator:<28}" + "".join(f"{lines:>12}" for lines in own[:3]) + f"{own[3]:>14}"
              f"{sum(own):>8}")

    print()
    for what, folders in SHARED.items():
        lines = sum(lines for name, lines in count.items()
                    if any(name.startswith(folder) for folder in folders)
                    and not Path(name).name.startswith(tuple(OPERATORS)))
        print(f"{what:<28}{lines:>8}")


if __name__ == "__main__":
    main()
