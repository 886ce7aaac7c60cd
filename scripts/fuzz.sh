#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs every fuzz target of tests/fuzz under libFuzzer with sanitizers, one after the other.
#
#   scripts/fuzz.sh [SECONDS [TARGET...]]    seconds for each target; default: 60, all targets
#
# What is found stays in build/fuzz/findings/<target>, inputs that reach new code in
# build/fuzz/corpus/<target>. Exits with 1 if there is a finding.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/quietly.sh

seconds=${1-60}
shift || true
if [[ ! $seconds =~ ^[1-9][0-9]*$ ]]; then
  echo "scripts/fuzz.sh: '$seconds' is no number of seconds: expected a whole number from 1" >&2
  exit 2
fi
(($#)) || set -- $(cd tests/fuzz/seeds && echo *)
scripts/setup.sh --fuzz

status=0
for target in "$@"; do
  build fuzz "${target}_fuzz"
  corpus=build/fuzz/corpus/$target findings=build/fuzz/findings/$target
  mkdir -p "$corpus" "$findings"
  echo "== $target"
  # A second is long for an input of 16 KiB, but sanitizers are slow and machines busy.
  if ! build/fuzz/fuzz/"${target}_fuzz" "$corpus" "tests/fuzz/seeds/$target" \
      -dict="tests/fuzz/$target.dict" -artifact_prefix="$findings/" -max_total_time="$seconds" \
      -max_len=16384 -timeout=10 -rss_limit_mb=1024 -malloc_limit_mb=256 -close_fd_mask=1 \
      -verbosity=0 -print_final_stats=1 </dev/null 2>&1 | grep -vE '^(Dictionary|INFO):'; then
    status=1
  fi
done
exit "$status"
