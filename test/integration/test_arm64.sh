#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The static binary for arm64, by qemu: it starts, and finds in a saved /proc what this machine's own finds.
# scripts/test --arch arm64 has the unit tests.
. "$(dirname -- "$0")/lib.sh"
isolate "$@"

top=$test_dir/../..
arch=arm64
[ "$(dpkg --print-architecture)" != arm64 ] || arch=amd64
foreign=$top/build/static-$arch/peerfs
check "scripts/build-static --arch $arch" "$top/scripts/build-static" --arch "$arch"
root_binfmt "$arch"
check_equal "--version" "$("$PEERFS" --version | head -n 1)" "$("$foreign" --version | head -n 1)"
check "it has passthrough" sh -c '"$1" --version | grep -q "passthrough built in"' sh "$foreign"

imitate web -- sleep infinity
imitate idle -- sleep infinity
for pid in $(cd /proc && echo [0-9]*); do
  mkdir -p "$work/saved/$pid"
  for file in cgroup mountinfo stat cmdline; do
    cat "/proc/$pid/$file" >"$work/saved/$pid/$file"
  done
done 2>/dev/null
native=$("$PEERFS" --list --proc "$work/saved")
check_equal "a saved /proc has its containers" "idle web" "$(awk 'NR > 1 { print $1 }' <<<"$native" | xargs)"
check_output "--list --proc" "$native" "$foreign" --list --proc "$work/saved"
check_output "--list --json --proc" "$("$PEERFS" --list --json --proc "$work/saved")" \
  "$foreign" --list --json --proc "$work/saved"
root_binfmt_end
check "nothing stays registered with the kernel" sh -c '! ls /proc/sys/fs/binfmt_misc | grep ^peerfs-'
finish
