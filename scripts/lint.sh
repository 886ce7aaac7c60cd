#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Checks format and runs clang-tidy over everything that is compiled; only what changed since the
# last time is looked at again.
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
build tidy
