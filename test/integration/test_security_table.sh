#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Callers of all kinds at containers of all kinds: what /proc refuses, /peers refuses. The answers are the table of
# docs/security.md, which must be what it was; PEERFS_WRITE_DOCS=1 writes it anew.
. "$(dirname -- "$0")/lib.sh"
isolate "$@"

document=$peerfs_top/docs/security.md
helpers=${PEERFS_HELPERS:?the folder of the helper programs}

none="--inh-caps=-all --bounding-set=-all"
few="--inh-caps=-all,+chown,+kill,+net_bind_service --bounding-set=-all,+chown,+kill,+net_bind_service"
# What container runtimes give to root (podman's).
caps=+chown,+dac_override,+fowner,+fsetid,+kill,+net_bind_service,+setfcap,+setgid,+setpcap,+setuid,+sys_chroot
default="--inh-caps=-all,$caps --bounding-set=-all,$caps"
as_101="setpriv --reuid 101 --regid 101 --clear-groups"

# What a container's main process is.
targets=(root root-default root-gid-5 root-few-caps root-undumpable user-101 user-101-cap user-101-undumpable
  setuid-root user-namespace)
declare -A target_as=(
  [root]="/target"
  [root-default]="setpriv $default /target"
  [root-gid-5]="setpriv --regid 5 --clear-groups $default /target"
  [root-few-caps]="setpriv $few /target"
  [root-undumpable]="/target undumpable"
  [user-101]="$as_101 $none /target"
  [user-101-cap]="$as_101 --inh-caps=-all,+net_bind_service --ambient-caps=+net_bind_service /target"
  [user-101-undumpable]="$as_101 $none /target undumpable"
  [setuid-root]="$as_101 /target-setuid"
  [user-namespace]="$as_101 unshare --user --map-root-user /target"
)
callers=(root root-no-ptrace root-default root-gid-5 root-read-search root-few-caps root-no-caps root-in-namespace
  user-101 user-101-in-namespace user-101-ptrace gid-102 user-102 user-102-group-101)
declare -A caller_as=(
  [root]=""
  [root-no-ptrace]="setpriv --inh-caps=-sys_ptrace --bounding-set=-sys_ptrace"
  [root-default]="setpriv $default"
  [root-gid-5]="setpriv --regid 5 --clear-groups $default"
  [root-read-search]="setpriv --inh-caps=-all,+dac_read_search --bounding-set=-all,+dac_read_search"
  [root-few-caps]="setpriv $few"
  [root-no-caps]="setpriv $none"
  [user-101]="$as_101 $none"
  [root-in-namespace]="unshare --user --map-root-user"
  [user-101-in-namespace]="$as_101 $none unshare --user --map-root-user"
  [user-101-ptrace]="$as_101 --inh-caps=-all,+sys_ptrace --ambient-caps=-all,+sys_ptrace"
  [gid-102]="setpriv --reuid 101 --regid 102 --clear-groups $none"
  [user-102]="setpriv --reuid 102 --regid 102 --clear-groups $none"
  [user-102-group-101]="setpriv --reuid 102 --regid 102 --groups 101 $none"
)
objects=(root file env maps mapped socket pids proc sys)

declare -A pid
for target in "${targets[@]}"; do
  upper=$work/c/$target/upper
  mkdir -p "$upper/run/target"
  chmod 1777 "$upper/run/target"
  cp "$helpers/helper_target" "$upper/target"
  cp "$helpers/helper_target" "$upper/target-setuid"
  chmod 4755 "$upper/target-setuid"
  # shellcheck disable=SC2086
  imitate "$target" -- ${target_as[$target]}
  pid[$target]=$imitated_pid
  pod_until 50 test -S "/proc/$imitated_pid/root/run/target/sock" ||
    abandon "the target $target is there" "$(cat "$work/c/$target/log")"
  nsenter --target "$imitated_pid" --mount --root --wd mount -t sysfs sysfs /sys ||
    abandon "sysfs is mounted in $target"
done
chmod 755 "$work"
cp "$helpers/helper_caller" "$work/caller"
peerfs_start -o allow_other

# The questions about one target, first to /proc, then to /peers. `mapped` may be read by whom both the mappings and the
# file itself may be read.
questions ()
{
  local proc=/proc/${pid[$1]} peer=$mnt/$1 program=/target
  [ "$1" != setuid-root ] || program=/target-setuid
  echo "list $proc/root/etc" "read $proc/root/etc/passwd" "read $proc/environ" "read $proc/maps" \
    "read $proc/root$program" "connect $proc/root/run/target/sock" "read $proc/stat" \
    "read $proc/root/proc/version" "read $proc/root/sys/kernel/uevent_seqnum"
  echo "list $peer/root/etc" "read $peer/root/etc/passwd" "read $peer/env/PATH" "read $peer/maps/maps" \
    "read $peer/maps/files$program" "connect $peer/sockets/sock" "read $peer/pids/${pid[$1]}/stat" \
    "read $peer/root/proc/version" "read $peer/root/sys/kernel/uevent_seqnum"
}

# One answer: + allowed by both, - refused by both, s refused by /peers alone, X allowed by /peers alone.
compare ()
{
  case $1$2 in
    ++) echo + ;;
    --) echo - ;;
    +-) echo s ;;
    -+) echo X ;;
    *) echo '?' ;;
  esac
}

# The row of a caller at a target.
row ()
{
  local caller=$1 target=$2 answers cells=() stricter='' sign i why=
  # shellcheck disable=SC2086
  answers=$(questions "$target" | tr ' ' '\n' | paste -d ' ' - - | ${caller_as[$caller]} timeout 60 "$work/caller")
  [ ${#answers} -eq 18 ] || { failed "$caller asks about $target" "$answers"; return; }
  [ "${answers:3:1}" = + ] || answers=${answers:0:4}-${answers:5}
  for i in "${!objects[@]}"; do
    sign=$(compare "${answers:i:1}" "${answers:i+9:1}")
    cells+=("$sign")
    [ "$sign" != s ] || stricter+=" ${objects[i]}"
  done
  case ${cells[*]} in
    *X* | *\?*) failed "$caller at $target gets no more than /proc gives" "${objects[*]}" "${cells[*]}" ;;
    *s*)
      why=$(why "$caller" "$target" "$stricter")
      if [ -n "$why" ]; then
        passed "$caller at $target: stricter on purpose"
      else
        failed "$caller at $target: stricter without a reason" "${objects[*]}" "${cells[*]}"
      fi ;;
    *) passed "$caller at $target as /proc" ;;
  esac
  rows+=("| $caller | $target $(printf '| %s ' "${cells[@]}")| $why |")
}

# why CALLER TARGET OBJECTS: the reason, as docs/security.md names them.
why ()
{
  local others=${3/ proc/}
  case "$1:$2:$others" in
    *:) echo procfs ;;
    user-101-ptrace:*) echo owner ;;
    root-*:root*:\ env\ maps*|root-*:user-*:\ env\ maps*|root-*:setuid-root:\ env\ maps*) echo perfmon ;;
  esac
}

rows=()
for caller in "${callers[@]}"; do
  for target in "${targets[@]}"; do
    row "$caller" "$target"
  done
done
printf '%s\n' "${rows[@]}" | sed 's/ |  |$/ | |/' >"$work/table"
cat "$work/table"
check_equal "root may look" 1 "$(grep -c -F '| root | user-101 | + | + | + | + | + | + | + | s | + |' "$work/table")"
check_equal "the same user may look" 1 \
  "$(grep -c -F '| user-101 | user-101 | + | + | + | + | + | + | + | s | + |' "$work/table")"
check_equal "root of another group may look into a container of that group" 1 \
  "$(grep -c -F '| root-gid-5 | root-gid-5 | + | + | + | + | + | + | + | s | + |' "$work/table")"
check_equal "another may not" 1 \
  "$(grep -c -F '| user-102 | user-101 | - | - | - | - | - | - | + | - | - |' "$work/table")"

{
  echo "| caller | target$(printf ' | %s' "${objects[@]}") | stricter |"
  echo "|---|---|$(printf -- '---|%.0s' "${objects[@]}")---|"
  cat "$work/table"
  echo
  awk -F ' *[|] *' -v objects="${#objects[@]}" '
    { for (i = 4; i < 4 + objects; i++) {
        n[$i]++; all++
        if ($i == "s") why[i == objects + 2 ? "procfs" : $(4 + objects)]++ } }
    END { printf "Of %d answers both refuse %d and both allow %d; peerfs alone refuses %d: " \
          "%d for procfs, %d for owner, %d for perfmon.\n",
          all, n["-"], n["+"], n["s"], why["procfs"], why["owner"], why["perfmon"] }' "$work/table"
} >"$work/markdown"
documented ()
{
  sed -n '/^<!-- the table begins/,/^<!-- the table ends/p' "$document" | sed '1d;$d'
}
if [ -n "${PEERFS_WRITE_DOCS:-}" ]; then
  sed -i -e "/^<!-- the table begins/r $work/markdown" \
    -e '/^<!-- the table begins/,/^<!-- the table ends/{/^<!--/!d}' "$document"
fi
check_equal "docs/security.md has this table" "" "$(diff <(documented) "$work/markdown" | head -n 40)"
peerfs_stop
finish
