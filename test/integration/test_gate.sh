#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Callers of all kinds at containers of all kinds: what /proc refuses, /peers refuses. Prints a table of the answers:
# + allowed by both, - refused by both, s refused by /peers alone (stricter), X allowed by /peers alone (a failure).
. "$(dirname -- "$0")/lib.sh"
isolate "$@"

few=-all,+chown,+kill,+net_bind_service
drop_all="--inh-caps=-all --bounding-set=-all"
targets=(root-all root-few root-none user-101)
declare -A target_as=(
  [root-all]=""
  [root-few]="setpriv --inh-caps=$few --bounding-set=$few"
  [root-none]="setpriv $drop_all"
  [user-101]="setpriv --reuid 101 --regid 101 --clear-groups $drop_all"
)
callers=(root root-no-ptrace root-few root-none user-101 user-101-other-group user-102 user-101-ptrace)
declare -A caller_as=(
  [root]=""
  [root-no-ptrace]="setpriv --inh-caps=-sys_ptrace --bounding-set=-sys_ptrace"
  [root-few]="${target_as[root-few]}"
  [root-none]="${target_as[root-none]}"
  [user-101]="${target_as[user-101]}"
  [user-101-other-group]="setpriv --reuid 101 --regid 102 --clear-groups $drop_all"
  [user-102]="setpriv --reuid 102 --regid 102 --clear-groups $drop_all"
  [user-101-ptrace]="setpriv --reuid 101 --regid 101 --clear-groups --inh-caps=-all,+sys_ptrace --ambient-caps=-all,+sys_ptrace"
)
# Stricter on purpose: the modes of the directories, for a user who has SYS_PTRACE but is not the owner; PERFMON, which
# lets its holder read environ and maps; and a peer of root that has a capability which the daemon has not: whether it is
# dumpable cannot be told then.
stricter=" user-101-ptrace:root-all user-101-ptrace:root-few user-101-ptrace:root-none \
root-no-ptrace:root-all root-no-ptrace:root-few root-no-ptrace:user-101 root-few:root-few "

declare -A pid
for target in "${targets[@]}"; do
  # shellcheck disable=SC2086
  imitate "$target" -- ${target_as[$target]} sleep 1000
  pid[$target]=$imitated_pid
done
chmod 755 "$work"
peerfs_start -o allow_other

# tries CALLER COMMAND...: does it succeed as the caller?
tries ()
{
  local as=${caller_as[$1]}
  shift
  # shellcheck disable=SC2086
  $as "$@" >/dev/null 2>&1 </dev/null
}

# compare CALLER TARGET OBJECT PATH-IN-PROC PATH-IN-PEERS READER: prints the sign.
compare ()
{
  local proc=0 peers=0
  tries "$1" "$6" "/proc/${pid[$2]}/$4" || proc=1
  tries "$1" "$6" "$mnt/$2/$5" || peers=1
  case $proc$peers in
    00) echo + ;;
    11) echo - ;;
    01) echo s ;;
    10) echo X ;;
  esac
}

echo "| caller | target | root | env | maps | pids |"
echo "|---|---|---|---|---|---|"
for caller in "${callers[@]}"; do
  for target in "${targets[@]}"; do
    signs="$(compare "$caller" "$target" root root/etc root/etc ls)"
    signs+=" $(compare "$caller" "$target" env environ env/PATH cat)"
    signs+=" $(compare "$caller" "$target" maps maps maps/maps cat)"
    signs+=" $(compare "$caller" "$target" pids stat "pids/${pid[$target]}/stat" cat)"
    echo "| $caller | $target | ${signs// / | } |"
    case $signs in
      *X*) failed "$caller at $target gets no more than /proc gives" "$signs" ;;
      *s*) check "$caller at $target: stricter on purpose" test "${stricter/"$caller:$target "/}" != "$stricter" ;;
      *) passed "$caller at $target as /proc" ;;
    esac
  done
done
check_equal "root may look" "+" "$(compare root user-101 root root/etc root/etc ls)"
check_equal "the same user may look" "+" "$(compare user-101 user-101 root root/etc root/etc ls)"
check_equal "another may not" "-" "$(compare user-102 user-101 root root/etc root/etc ls)"
peerfs_stop
finish
