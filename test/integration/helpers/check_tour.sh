#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The commands of README's tour are in scripts/demo, in that order: check_tour.sh TOP
cd -- "$1" || exit 1
! diff <(sed -n '/^## A tour/,/^## Try it/s/^\$ //p' README.md) \
  <(sed -n '/^tour "/,/^$/p' scripts/demo | grep -o "'[^']*'" | tr -d "'") | grep '^<'
