#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs sweeps in shards, one process each, through GNU parallel (Debian: parallel), and merges them:
#
#   scripts/shards_with_parallel.sh 4 out cases/suites/ci.yaml --check accuracy
#
# Shards lie in out/shard-<i>, the whole run in out/merged. Run again, it goes on with shards that
# were stopped. Exits with the code of the merged run. NORMGRAD_BENCH names the program.
set -uo pipefail
if (($# < 3)); then
  echo "usage: scripts/shards_with_parallel.sh SHARDS FOLDER <arguments of normgrad-bench run>" >&2
  exit 2
fi
shards=$1 out=$2
shift 2
bench=${NORMGRAD_BENCH:-$(cd "$(dirname "$0")/.." && pwd)/build/release/bin/normgrad-bench}
command -v parallel >/dev/null || { echo "GNU parallel is missing: apt-get install parallel" >&2; exit 2; }

shard() {
  local folder=$out/shard-$1
  shift
  if [[ -e $folder/journal.jsonl ]]; then
    "$bench" run --quiet --resume "$folder"
  else
    "$bench" run --quiet --shard "env/$shards" --report "$folder" "$@"
  fi >"$folder.txt"
}
export -f shard
export bench out shards
mkdir -p "$out"
# A verdict that failed is for the merged run to tell: go on with the other shards. parallel sets
# PARALLEL_SEQ, from which --shard env/<shards> knows which one this is.
seq "$shards" | parallel --will-cite --quote shard {} "$@"
exec "$bench" merge "$out"/shard-*/ --report "$out/merged"
