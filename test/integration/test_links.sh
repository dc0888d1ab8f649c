#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# --links: the tree as plain links. LINKS_STARTS (60): how many containers start and end beside readers.
. "$(dirname -- "$0")/lib.sh"
isolate "$@"

links=$work/links

links_start ()
{
  (
    export $(san_options "$work")
    exec "$PEERFS" --links "$links" "$@"
  ) >>"$work/peerfs.log" 2>&1 </dev/null &
  peerfs_pid=$!
}

# link NAME: where it leads.
link ()
{
  readlink "$links/$1" || echo "no link $1"
}

named ()
{
  mkdir -p "$work/c/$1/upper"
  echo "$1" >"$work/c/$1/upper/me"
  imitate "$1" -- sleep infinity
}

named web
web=$imitated_pid
links_start
check "a container is there" pod_until 30 test -e "$links/web/id"
check_equal "the containers" web "$(ls "$links")"
check_equal "what a container has" "id pid pids proc root sockets" "$(ls "$links/web" | xargs)"
check_equal "id" "$imitated_id" "$(cat "$links/web/id")"
check_equal "pid" "$web" "$(cat "$links/web/pid")"
check_equal "root" "/proc/$web/root" "$(link web/root)"
check_equal "proc" "/proc/$web" "$(link web/proc)"
check_equal "pids" "$web -> /proc/$web" "$(cd "$links/web/pids" && for p in *; do echo "$p -> $(readlink "$p")"; done)"
check_output "a file" web cat "$links/web/root/me"

# Another one keeps these.
check_equal "a second peerfs is refused" "peerfs: cannot keep links in $links: another peerfs does so" \
  "$("$PEERFS" --links "$links" 2>&1)"
mkdir -m 777 "$work/open"
check_equal "a folder that others may write to is refused" \
  "peerfs: cannot keep links in $work/open: others may write to it; give a folder in it, which peerfs makes" \
  "$("$PEERFS" --links "$work/open" 2>&1)"
check_equal "a folder of somebody else is left alone" "" "$(ls -A "$work/open")"
# A peer that may write in the volume would choose where the sidecar makes folders.
mkdir "$work/target" && ln -s "$work/target" "$work/open/link"
why='a link is on the way, which others may have made; give the path without (realpath)'
check_equal "a link on the way is not followed" "peerfs: cannot keep links in $work/open/link/sub: $why" \
  "$(timeout 5 "$PEERFS" --links "$work/open/link/sub" 2>&1)"
check_equal "nor one at its end" "peerfs: cannot keep links in $work/open/link/: Not a directory" \
  "$(timeout 5 "$PEERFS" --links "$work/open/link/" 2>&1)"
check_equal "and nothing is made behind it" "" "$(ls -A "$work/target")"

# The end of a container, and a restart under its name.
kill -KILL "$web"
check "one that ended is gone" pod_until 30 test ! -e "$links/web"
check_equal "and nothing of it is left" ".peerfs" "$(ls -A "$links")"
named web
check "its next instance is there" pod_until 30 test -e "$links/web/root/me"
check_equal "with its own pid" "$imitated_pid" "$(cat "$links/web/pid")"

# Killed and started again, beside things that are not its own.
mkdir "$links/mine" && echo keep >"$links/mine/file"
kill -KILL "$peerfs_pid"
wait "$peerfs_pid" 2>/dev/null
kill -KILL "$imitated_pid"
named other
mkdir "$links/other" && echo keep >"$links/other/file"
links_start
check "after a kill the old links go" pod_until 30 test ! -e "$links/web"
pod_until 30 grep -q 'cannot make other' "$work/peerfs.log"
check_equal "a name that somebody else has is told once" \
  "peerfs: warning: cannot make other: File exists; remove what is there" "$(sort -u "$work/peerfs.log")"
check_equal "what is not its own stays" "keep keep" "$(cat "$links/mine/file" "$links/other/file" | xargs)"
rm -r "$links/other"
check "the name is taken once it is free" pod_until 30 test -e "$links/other/root/me"
peerfs_stop
check_equal "exit status" 0 "$peerfs_status"
check_equal "SIGTERM clears it" mine "$(ls -A "$links")"

# Any name may be a container's: those of its own folders too.
pids=()
for name in first gone ours; do
  named "$name"
  pids+=("$imitated_pid")
done
links_start
for name in first gone ours; do
  check "a container called $name" pod_until 30 test -e "$links/$name/root/me"
done
kill -KILL "${pids[0]}"
check "one of them that ended is gone" pod_until 30 test ! -e "$links/first"
check_equal "and the others stay" "gone ours" "$(cat "$links/gone/root/me" "$links/ours/root/me" | xargs)"
kill -KILL "${pids[@]}" 2>/dev/null
peerfs_stop

# A socket whose holder ends while others of its container live: its link goes at once, not with the next look at
# sockets.
links_start
mkdir -p "$work/c/holders/upper/run"
cp "$PEERFS_HELPERS/helper_hostile" "$work/c/holders/upper/hostile"
imitate holders -- sh -c 'cd /run; while :; do /hostile sockets 1 >/dev/null; rm -f s0; done'
fastest=10000
for _ in 1 2 3 4; do
  check "a socket is there" pod_until 50 test -L "$links/holders/sockets/run/s0"
  holder=$(link holders/sockets/run/s0 | cut -d / -f 3)
  before=$(milliseconds)
  kill -KILL "$holder"
  until [ "$(link holders/sockets/run/s0 | cut -d / -f 3)" != "$holder" ]; do sleep 0.01; done
  took=$(($(milliseconds) - before))
  [ "$took" -ge "$fastest" ] || fastest=$took
done
check_less "milliseconds that a link through an ended process stays, at best" 600 "$fastest"
kill -KILL "$imitated_pid"
peerfs_stop

# Readers beside starts and ends: a name never leads to another container's file.
links_start
cat >"$work/reader" <<'END'
cd "$1" || exit 1
seen=0
while [ ! -e "$2" ]; do
  for name in *; do
    read -r me 2>/dev/null <"$name/root/me" || continue
    seen=$((seen + 1))
    [ "$me" = "$name" ] || echo "wrong: $name leads to $me"
  done
done
echo "$seen" >"$3"
END
for i in 1 2; do
  bash "$work/reader" "$links" "$work/stop" "$work/seen.$i" >>"$work/wrong" 2>/dev/null &
done
rm -r "$links/mine"
starts=${LINKS_STARTS:-60}
started=0
while [ "$started" -lt "$starts" ]; do
  pids=()
  for i in 1 2 3 4 5; do
    named "w$i"
    pids+=("$imitated_pid")
  done
  started=$((started + 5))
  pod_until 20 test -e "$links/w5/root/me"
  kill -KILL "${pids[@]}"
  wait "${pids[@]}" 2>/dev/null
done
touch "$work/stop"
check "the readers end" pod_until 100 test -s "$work/seen.1" -a -s "$work/seen.2"
check_equal "$started starts, $(cat "$work"/seen.* | xargs) reads: no wrong file" "" "$(cat "$work/wrong")"
check "all of them are gone" pod_until 30 sh -c "[ -z \"\$(ls '$links' | grep '^w')\" ]"
peerfs_stop
finish
