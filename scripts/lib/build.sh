# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Builds, each in build/<preset>.

# build_preset PRESET [--target TARGET] [CMAKE_OPTION...]: configures and builds one of CMakePresets.json.
build_preset ()
{
  local preset=$1 target=all PEERFS_ERROR_LINES=20
  shift
  [ "${1:-}" != --target ] || { target=$2; shift 2; }
  say "building ($preset)"
  quietly "cmake" cmake -S "$peerfs_top" --preset "$preset" "$@" || exit 1
  quietly "build" cmake --build "$peerfs_top/build/$preset" --target "$target" || exit 1
}

# build_static [ARCH] [COMMAND]: the static binary, build/static/src/peerfs, or build/static-ARCH/src/peerfs for another
# architecture than this machine's; then runs COMMAND at the top of the tree. It is made from Debian 13's packages; on
# another release, or for another architecture, in a Debian 13 root.
build_static ()
{
  local arch=${1:-} after=${2:-true} preset
  preset=static${arch:+-$arch}
  if [ -z "$arch" ] && [ "$(root_host_suite)" = trixie ]; then
    apt_need "${apt_build_packages[@]}"
    build_preset static
    (cd -- "$peerfs_top" && quietly "$after" sh -e -c "$after") || exit 1
    return
  fi
  apt_need mmdebstrap debian-archive-keyring util-linux
  root_trixie "$arch"
  say "building ($preset, in $root_trixie_dir)"
  PEERFS_ERROR_LINES=20 quietly "static build" \
    build_in_root "cmake --preset $preset && cmake --build build/$preset && $after" || exit 1
}

# build_in_root COMMAND: in $root_trixie_dir, with this tree mounted at /mnt in a mount namespace of its own.
build_in_root ()
{
  mkdir -p "$peerfs_top/build"
  # shellcheck disable=SC2016
  unshare --mount --propagation private sh -c '
    set -e
    # Its root is to be a mount.
    mount --bind "$2" "$2"
    mount --bind "$1" "$2/mnt"
    mount -t proc proc "$2/proc"
    mount --rbind /sys "$2/sys"
    mount --rbind /dev "$2/dev"
    # That root has no ccache.
    unset CMAKE_C_COMPILER_LAUNCHER
    cd "$2"
    pivot_root . .
    umount -l .
    exec sh -e -c "cd /mnt && $3"' build "$peerfs_top" "$root_trixie_dir" "$1"
}

# Unit tests that qemu-user fails: docs/testing.md, "Another architecture", says why.
build_not_by_qemu='^unit\.(parse\.test_stat|pod\.test_(live|records|sockets|watch)|tree\.test_(gate|maps|sockets)|root\.test_rootfs_mount|fuse\.test_sandbox)$'

# build_unit_tests ARCH [CTEST_OPTION...]: runs another architecture's unit tests, by qemu.
build_unit_tests ()
{
  local preset=static-$1-tests PEERFS_ERROR_LINES=20 status
  apt_need mmdebstrap debian-archive-keyring util-linux
  root_binfmt "$1"
  root_trixie "$1"
  shift
  say "building ($preset, in $root_trixie_dir)"
  quietly "build" build_in_root "cmake --preset $preset && cmake --build build/$preset --target peerfs unit_tests" ||
    exit 1
  say "testing"
  build_in_root \
    "ctest --test-dir build/$preset --output-on-failure --no-tests=error -R '^unit\.[^d]' -E '$build_not_by_qemu' $(
      printf '%q ' "$@")"
  status=$?
  root_binfmt_end
  return "$status"
}
