# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by the scripts beside it.

# quietly <command>...: runs it without a word; when it fails, prints what it said and passes its
# exit status on.
quietly() {
  local log status=0
  log=$(mktemp)
  "$@" </dev/null >"$log" 2>&1 || status=$?
  if ((status != 0)); then
    cat "$log" >&2
    echo "failed with status $status: $*" >&2
  fi
  rm -f "$log"
  return "$status"
}

# build <preset> [<target>...]: configures once, then builds what is out of date.
build() {
  local preset=$1
  shift
  if [[ ! -e build/$preset/build.ninja ]]; then
    echo "$preset: first build, a few minutes" >&2
    quietly cmake --preset "$preset" || return
  fi
  quietly cmake --build --preset "$preset" ${1:+--target "$@"}
}
