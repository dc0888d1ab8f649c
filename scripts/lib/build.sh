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
# architecture than this machine's; then runs COMMAND at the top of the tree. It is made from Debian 13's packages; on another
# release, or for another architecture, in a Debian 13 root, with this tree mounted at /mnt in a mount namespace of its own.
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
  local PEERFS_ERROR_LINES=20
  apt_need mmdebstrap debian-archive-keyring util-linux
  root_trixie "$arch"
  say "building ($preset, in $root_trixie_dir)"
  mkdir -p "$peerfs_top/build"
  # shellcheck disable=SC2016
  quietly "static build" unshare --mount --propagation private sh -c '
    set -e
    mount --bind "$1" "$2/mnt"
    mount -t proc proc "$2/proc"
    # That root has no ccache.
    unset CMAKE_C_COMPILER_LAUNCHER
    exec chroot "$2" sh -e -c "cd /mnt && cmake --preset $3 && cmake --build build/$3 && $4"' \
    build "$peerfs_top" "$root_trixie_dir" "$preset" "$after" || exit 1
}
