#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Has every script below TOP checked: check_scripts.sh TOP
cd -- "$1" || exit 1
grep -rlIE '^#!/bin/(ba)?sh|^# shellcheck shell=bash' scripts test .ci manifests |
  sort | xargs shellcheck -x scripts/completion/peerfs.bash
