#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages the project builds with; silent when all of them are there.
#
#   scripts/setup.sh           what building, testing and running need
#   scripts/setup.sh --lint    clang-format and clang-tidy as well
#   scripts/setup.sh --fuzz    clang and libFuzzer as well
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/quietly.sh

packages=(
  g++ cmake ninja-build python3
  libbenchmark-dev libcli11-dev libfccp-dev libfmt-dev libgmock-dev libgtest-dev libhwy-dev
  libspdlog-dev libyaml-cpp-dev nlohmann-json3-dev
)
case "${1-}" in
  "") ;;
  --lint) packages+=(clang-format clang-tidy) ;;
  --fuzz) packages+=(clang libclang-rt-14-dev) ;;
  *) echo "scripts/setup.sh: unknown option '$1': expected --lint, --fuzz or nothing" >&2; exit 2 ;;
esac

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  cat >&2 <<MESSAGE
scripts/setup.sh: this is not a Debian-like system: no dpkg-query and apt-get here.
Install a C++20 compiler, CMake 3.25, Ninja and Python 3 yourself, then build by hand; libraries
that are missing are downloaded by CMake:
  cmake --workflow --preset release
MESSAGE
  exit 2
fi

missing=()
for package in "${packages[@]}"; do
  state=$(dpkg-query --show --showformat='${db:Status-Status}\n' "$package" 2>/dev/null || true)
  [[ $state == *installed* && $state != *not-installed* ]] || missing+=("$package")
done
((${#missing[@]})) || exit 0

as_root=()
if ((EUID != 0)); then
  if ! command -v sudo >/dev/null; then
    echo "scripts/setup.sh: needs root or sudo to install packages; as root, run:" >&2
    echo "  apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 2
  fi
  as_root=(sudo)
  sudo --validate  # asks for the password here, where the question can be seen
fi

install_missing() {
  # A stale mirror in the list must not stop us: apt-get install says whether a package is there.
  "${as_root[@]}" apt-get update || true
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --yes \
    --no-install-recommends -o DPkg::Lock::Timeout=300 "${missing[@]}"
}
echo "installing ${missing[*]}" >&2
quietly install_missing
