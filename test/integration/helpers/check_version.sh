#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The version stands in CMakeLists.txt alone: CHANGELOG.md begins with it, and no file has another: check_version.sh TOP
cd -- "$1" || exit 1
. scripts/lib/common.sh
version=$(peerfs_version)
status=0
wrong ()
{
  echo "$*"
  status=1
}

[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || wrong "CMakeLists.txt: no version but '$version'"
first=$(sed -n 's/^## //p' CHANGELOG.md | head -n 1)
[[ $first =~ ^${version//./\\.}( |$) ]] || wrong "CHANGELOG.md begins with '$first', not with $version"
grep -q '^\.TH PEERFS 1 .*"peerfs @PROJECT_VERSION@"' docs/peerfs.1 || wrong "docs/peerfs.1: the version is written out"
found=$(grep -rnE "(peerfs|PEERFS_VERSION|org.opencontainers.image.version|VERSION)[^0-9]{0,4}${version//./\\.}" \
  src include scripts manifests docs/peerfs.1 .github) && wrong "the version is written out: $found"
exit "$status"
