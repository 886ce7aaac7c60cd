#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the tool for arm64 with Debian's cross compiler, and runs the smoke suite on its NEON
# kernels, emulated: some minutes. Libraries for arm64 are unpacked in build/arm64-root, not installed.
#
#   scripts/arm64.sh [option of `normgrad-bench run`] ...
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/quietly.sh

for tool in aarch64-linux-gnu-g++ qemu-aarch64; do
  command -v $tool >/dev/null && continue
  echo "scripts/arm64.sh: no $tool here; as root, run:" >&2
  echo "  apt-get install --no-install-recommends g++-aarch64-linux-gnu qemu-user" >&2
  exit 2
done

root=$PWD/build/arm64-root
packages=(
  libbenchmark-dev libbenchmark1debian libcli11-dev libfccp-dev libfmt-dev libfmt9 libhwy-dev libhwy1
  libspdlog-dev libspdlog1.10 libyaml-cpp-dev libyaml-cpp0.7 nlohmann-json3-dev
)
unpack_libraries() {
  local apt=(
    apt-get -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State="$root/apt/state"
    -o Dir::State::status=/dev/null -o Dir::Cache="$root/apt/cache" -o APT::Sandbox::User=root
  )
  rm -rf "$root"
  mkdir -p "$root"/apt/{state/lists/partial,cache/archives/partial,packages}
  "${apt[@]}" update
  (cd "$root/apt/packages" && "${apt[@]}" download "${packages[@]}")
  for package in "$root"/apt/packages/*.deb; do dpkg --extract "$package" "$root"; done
  touch "$root/complete"
}
[[ -e $root/complete ]] || quietly unpack_libraries

quietly cmake -S . -B build/arm64 -G Ninja --toolchain cmake/arm64.cmake \
  -DCMAKE_BUILD_TYPE=Release -DNORMGRAD_ENABLE_TESTS=OFF
quietly cmake --build build/arm64
# Not isolated: the emulator is no executable that a worker process could be started from.
qemu-aarch64 -L /usr/aarch64-linux-gnu -E LD_LIBRARY_PATH="$root/usr/lib/aarch64-linux-gnu" \
  build/arm64/bin/normgrad-bench run cases/suites/smoke.yaml --isolate off "$@"
