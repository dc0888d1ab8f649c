#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Containers end while large files of theirs are read through the daemon: what is read is right, and ends with the file
# or with an error that says what happened. An end that came early would be taken for the file's.
. "$(dirname -- "$0")/lib.sh"
isolate "$@"
use_seed

head -c 24M /dev/urandom >"$work/large"
peerfs_start -o passthrough=off
python3 "$test_dir/helpers/readers.py" "$mnt" "$work/large" "$work/enough" 8 >"$work/read" 2>&1 &
readers=$!
for round in $(seq "${ROUNDS:-8}"); do
  mkdir -p "$work/c/cut-$round/upper"
  ln "$work/large" "$work/c/cut-$round/upper/large"
  imitate "cut-$round" -- sleep infinity
  # The first one lives until it was read once, however slow that is.
  [ "$round" != 1 ] || pod_until 300 test -e "$work/enough.first"
  sleep "0.$((RANDOM % 3 + 1))$((RANDOM % 10))"
  kill -KILL "$imitated_pid"
  wait "$imitated_pid" 2>/dev/null
done
: >"$work/enough"
wait "$readers"
awk '{ n = $1; $1 = ""; count[$0] += n } END { for (what in count) print count[what] what }' "$work/read" >"$work/sum"
sed 's/^/  reads: /' "$work/sum"
check "reads were whole" grep -q ' whole$' "$work/sum"
check "reads failed" grep -q ' failed$' "$work/sum"
check_equal "no other way" "" "$(grep -v -e ' whole$' -e ' failed$' -e ' absent$' "$work/sum")"
finish
