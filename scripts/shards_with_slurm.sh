#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs sweeps in shards as a Slurm job array, and merges them:
#
#   scripts/shards_with_slurm.sh 4 /shared/folder/out cases/suites/ci.yaml --check accuracy
#
# Shards lie in out/shard-<i>, the whole run in out/merged; the folder, the sweeps and the program
# must be seen by every node. Submitted again, it goes on with shards that were stopped. Exits with
# the code of the merged run. NORMGRAD_BENCH names the program, NORMGRAD_SBATCH further options of
# sbatch, e.g. "--partition=npu --gres=npu:1".
set -uo pipefail
if (($# < 3)); then
  echo "usage: scripts/shards_with_slurm.sh SHARDS FOLDER <arguments of normgrad-bench run>" >&2
  exit 2
fi
shards=$1 out=$(realpath -m "$2")
shift 2
bench=${NORMGRAD_BENCH:-$(cd "$(dirname "$0")/.." && pwd)/build/release/bin/normgrad-bench}
command -v sbatch >/dev/null || { echo "sbatch is missing: apt-get install slurm-wlm" >&2; exit 2; }

mkdir -p "$out"
cat >"$out/job.sh" <<JOB
#!/usr/bin/env bash
folder=$(printf %q "$out")/shard-\$SLURM_ARRAY_TASK_ID
if [[ -e \$folder/journal.jsonl ]]; then
  exec $(printf %q "$bench") run --quiet --resume "\$folder"
fi
exec $(printf %q "$bench") run --quiet --shard env --report "\$folder" $(printf '%q ' "$@")
JOB
# A task whose verdict failed fails, which is for the merged run to tell.
read -ra options <<<"${NORMGRAD_SBATCH-}"
sbatch --wait --requeue --array="1-$shards" --output="$out/shard-%a.txt" "${options[@]}" "$out/job.sh" || true
exec "$bench" merge "$out"/shard-*/ --report "$out/merged"
