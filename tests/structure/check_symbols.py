#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fails when a binary has symbols it must not have.

  check_symbols.py executable FILE    no acl* symbol, defined or wanted, and no kernels
  check_symbols.py device FILE        exports the C ABI of a device library and nothing else

An executable that exports acl* would have a vendor library, loaded later, resolve its own calls to
ours; one that links kernels could not be judged by them.
"""

import re
import subprocess
import sys

ABI = re.compile(r"^(acl|Acl)")
# Data that the compiler shares between libraries on purpose, and what a version script adds.
DEVICE_EXPORT = re.compile(r"^(acl|Acl|normgrad)")
KERNELS = re.compile(r"normgrad::(Kernels\(\)|.*\bKernelTensor\b)|\bhwy::")


def symbols(file: str, *options: str) -> list[str]:
    """Names as `nm` prints them, demangled; without addresses and letters."""
    output = subprocess.run(["nm", "--demangle", *options, file], check=True, text=True,
                            capture_output=True).stdout
    names = [re.sub(r"^[0-9a-f ]{16} \S ", "", line) for line in output.splitlines()]
    if not names:
        sys.exit(f"{file}: nm prints no symbols")
    return names


def main(kind: str, file: str) -> int:
    if kind == "executable":
        exported = [n for n in symbols(file, "--dynamic") if ABI.match(n)]
        complaints = [f"has the C ABI's {name} in its dynamic symbols" for name in exported]
        linked = [n for n in symbols(file) if KERNELS.search(n)]
        complaints += [f"links kernels: {name}" for name in linked]
    else:
        exported = symbols(file, "--dynamic", "--defined-only")
        complaints = [f"exports {name}" for name in exported if not DEVICE_EXPORT.match(name)]
        if not any(name.startswith("aclnn") for name in exported):
            complaints.append("exports no aclnn function")
    for complaint in complaints:
        print(f"{file}: {complaint}")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
