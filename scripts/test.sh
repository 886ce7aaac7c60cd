#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what is missing, builds what is out of date and runs every test that needs no special
# hardware, with sanitizers and as released:
#
#   scripts/test.sh            both builds
#   scripts/test.sh release    one of them: dev, tsan or release
#
# Exits with 0 only if every build has tests and all of them pass.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/quietly.sh
scripts/setup.sh

(($#)) || set -- dev release
status=0
for preset in "$@"; do
  echo "== $preset"
  build "$preset" || { status=1; continue; }
  log=$(mktemp)
  if ctest --preset "$preset" --parallel "$(nproc)" </dev/null >"$log" 2>&1; then
    sed -n '/% tests passed/,$p' "$log"
  else
    grep -vE '^ *(Start +[0-9]+:|[0-9]+/[0-9]+ Test .* Passed )' "$log" || true
    status=1
  fi
  rm -f "$log"
done
exit "$status"
