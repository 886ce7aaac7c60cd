#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Checks format and runs clang-tidy over everything that is compiled, which takes up to half
# an hour; while you work, one file is enough: `run-clang-tidy -p build/tidy -quiet options.cc`.
#
#   scripts/lint.sh          complain
#   scripts/lint.sh --fix    format the files first
set -euo pipefail
cd "$(dirname "$0")/.."
if (($# > 1)) || [[ ${1---fix} != --fix ]]; then
  echo "scripts/lint.sh: unexpected '$*': expected --fix or nothing" >&2
  exit 2
fi
source scripts/quietly.sh
scripts/setup.sh --lint

mapfile -t files < <(find src golden kernels tests -name '*.h' -o -name '*.cc' | sort)
if (($#)); then
  clang-format -i "${files[@]}"
fi
clang-format --dry-run --Werror "${files[@]}"

quietly cmake --preset tidy
# Every source of ours, none that is written or fetched into the build folder. What each file is
# run with, and how many warnings are left out, is not shown.
run-clang-tidy -p build/tidy -quiet '^(?!.*/build/tidy/).*\.cc$' 2>&1 |
  sed -E '/^[^ ]*clang-tidy[^ ]* -|^[0-9]+ warnings? |^ *$/d'
