#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs a command with a Slurm of this machine alone, gone afterwards (Debian: slurm-wlm, munge; as
# root), to try scripts/shards_with_slurm.sh without a cluster:
#
#   scripts/one_node_slurm.sh scripts/shards_with_slurm.sh 4 out cases/suites/ci.yaml
set -euo pipefail
if (($# == 0)) || ((EUID != 0)); then
  echo "usage, as root: scripts/one_node_slurm.sh COMMAND..." >&2
  exit 2
fi
for program in munged slurmctld slurmd; do
  command -v "$program" >/dev/null ||
    { echo "$program is missing: apt-get install slurm-wlm munge" >&2; exit 2; }
done
state=$(mktemp -d)
pids=()
# shellcheck disable=SC2317  # a trap calls it
finish() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait || true
  rm -rf "$state"
}
trap finish EXIT

# Authentication among the daemons of this machine.
dd if=/dev/urandom of="$state/munge.key" bs=1024 count=1 status=none
chmod 700 "$state"
chmod 400 "$state/munge.key"
munged --foreground --force --key-file="$state/munge.key" --socket="$state/munge.socket" \
  --pid-file="$state/munged.pid" --seed-file="$state/munge.seed" >"$state/munged.log" 2>&1 &
pids+=($!)

host=$(hostname -s)
mkdir -p "$state/ctld" "$state/d"
cat >"$state/slurm.conf" <<CONF
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=17817
SlurmdPort=17818
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$state/munge.socket
CredType=cred/munge
StateSaveLocation=$state/ctld
SlurmdSpoolDir=$state/d
SlurmctldPidFile=$state/slurmctld.pid
SlurmdPidFile=$state/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
ReturnToService=2
MpiDefault=none
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
export SLURM_CONF=$state/slurm.conf
slurmctld -D >"$state/slurmctld.log" 2>&1 &
pids+=($!)
slurmd -D -N "$host" >"$state/slurmd.log" 2>&1 &
pids+=($!)
for ((i = 0; i < 100; ++i)); do
  [[ $(sinfo --noheader --format=%T 2>/dev/null) == idle ]] && break
  sleep 0.2
done
if [[ $(sinfo --noheader --format=%T 2>/dev/null) != idle ]]; then
  echo "Slurm does not start:" >&2
  tail -n 5 "$state"/*.log >&2
  exit 2
fi
status=0
"$@" || status=$?
exit "$status"
