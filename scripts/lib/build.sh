# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Builds, each in build/<preset>.

# build_preset PRESET [CMAKE_OPTION...]: configures and builds one of CMakePresets.json.
build_preset ()
{
  local preset=$1 PEERFS_ERROR_LINES=20
  shift
  say "building ($preset)"
  quietly "cmake" cmake -S "$peerfs_top" --preset "$preset" "$@" || exit 1
  quietly "build" cmake --build "$peerfs_top/build/$preset" || exit 1
}
