#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what is missing, builds what is out of date, then runs sweeps with the built-in CPU
# device:
#
#   scripts/run.sh cases/suites/smoke.yaml --report out
#
# Takes the arguments of `normgrad-bench run`, passes its exit code on, and says nothing of its own
# when there is nothing to install or build. Paths are relative to the caller's folder.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
(
  cd "$top" && source scripts/quietly.sh && scripts/setup.sh && build release programs
) || exit 2
exec "$top/build/release/bin/normgrad-bench" run "$@"
