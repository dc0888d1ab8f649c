#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# --as: the command has the user of a peer, and no process of that user in a peer gets at it.
. "$(dirname -- "$0")/lib.sh"
isolate "$@"

# LeakSanitizer needs to trace its own process, which nobody may by then.
# shellcheck disable=SC2046 # several words
export $(san_options "$work") && export ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0
attack=${PEERFS_HELPERS:?}/helper_attack
as_web="--reuid 33 --regid 34 --clear-groups"
default_caps=+chown,+dac_override,+fsetid,+fowner,+mknod,+net_raw,+setgid,+setuid,+setfcap,+setpcap,+net_bind_service,+sys_chroot,+kill,+audit_write

# What processes of peers are like, all with the uid and gid of `web`: NAME, then options of setpriv(1).
declare -A peers=(
  [no-capability]="$as_web"
  [no-new-privs]="$as_web --no-new-privs"
  [few]="$as_web --bounding-set -all,+net_broadcast --inh-caps -all,+net_broadcast --ambient-caps -all,+net_broadcast"
  [default]="$as_web --bounding-set -all,$default_caps --inh-caps -all,$default_caps --ambient-caps -all,$default_caps"
)
mkdir -p "$work"/c/{web,other}/upper/etc
for name in "${!peers[@]}"; do
  # shellcheck disable=SC2086 # several words
  imitate "$name" -- setpriv ${peers[$name]} sleep infinity
done
imitate web -- setpriv --reuid 33 --regid 34 --groups 5,33 perl -MIO::Socket::UNIX -e '
  my $a = IO::Socket::UNIX->new(Local => "/tmp/web.sock", Listen => 1) or die;
  if (!fork) { $) = "36 36"; $( = 36; sleep 1000 }
  sleep 1000'
# A root main process that starts servers as other users, some of which only its own passwd knows.
cat >"$work/c/other/upper/etc/passwd" <<'END'
short:x:4711
flux:x:4711:4711::/home/flux:/bin/sh
volume:x:4712:4712::/shared/home:/bin/sh
proc:x:4713:4713::/proc/1/root/home:/bin/sh
link:x:4714:4714::/link/home:/bin/sh
END
printf 'cursor:x:4715:4715::/home/\e[2J:/bin/sh\n' >>"$work/c/other/upper/etc/passwd"
imitate other -- sh -c 'for uid in 4711 4712 4713 4714 4715; do
    setpriv --reuid $uid --regid $uid --clear-groups sleep 1000 & done
  setpriv --reuid 4720 --regid 4720 --groups 4721 perl -MIO::Socket::UNIX -e \
    "my \$s = IO::Socket::UNIX->new(Local => q(/tmp/local-0), Listen => 1) or die; sleep 2000" & wait'
other_pid=$imitated_pid
check "the processes run" pod_until 100 sh -c '[ "$(pgrep -f -x "sleep 1000" | wc -l)" = 5 ] &&
  "$1" --wait web/sockets/web.sock --timeout 0 &&
  "$1" --wait other/sockets/local-0 --timeout 0' sh "$PEERFS"
pid_of_uid ()
{
  pgrep -u "$1" -x sleep | head -n 1
}

# The command, with a descriptor of the caller's open on a file that only root may read.
install -m 600 /dev/null "$work/secret"
start_command ()
{
  "$PEERFS" "$@" -- sleep 1001 57<"$work/secret" </dev/null 2>"$work/err" &
  command_pid=$!
  pod_until 50 grep -q -s -x sleep "/proc/$command_pid/comm"
}

end_command ()
{
  kill "$command_pid" 2>/dev/null
  wait "$command_pid" 2>/dev/null
}

# shellcheck disable=SC2086 # several words
attack_from ()
{
  setpriv ${peers[$1]} "$attack" "$2"
}

start_command --as web
check_equal "the command runs" "sleep 33 34" "$(cat "/proc/$command_pid/comm") $(stat -c '%u %g' "/proc/$command_pid")"
for name in "${!peers[@]}"; do
  check_output "of a command of --as, a process of that user gets nothing: $name" - attack_from "$name" "$command_pid"
  check_output "and through root's eyes it would ($name)" "attach environ root cwd fd getfd mem" \
    "$attack" "$command_pid"
done
check_equal "no descriptor of the caller above 2" "0 1 2" "$(ls "/proc/$command_pid/fd" | xargs)"
check_equal "no core" "0 0" "$(awk '/core file/ { print $5, $6 }' "/proc/$command_pid/limits")"
end_command
check_output "a key in the caller's session" 1 \
  "$PEERFS_HELPERS/helper_keyring" peerfs-test grep -c peerfs-test /proc/keys
check_output "is not in the command's" 0 "$PEERFS_HELPERS/helper_keyring" peerfs-test \
  "$PEERFS" --as web -- sh -c 'grep -c peerfs-test /proc/keys; true'
check_output "a shell's programs are guarded as well: one capability, which most peers lack" \
  "0000000800000000 0000000800000000 0000000800000000" "$PEERFS" --as web -- sh -c \
  'sed -n "s/^Cap\(Inh\|Prm\|Amb\):[[:space:]]*//p" /proc/self/status | xargs'

# Whose the command is.
user_of ()
{
  "$PEERFS" --as "$1" -- sh -c 'echo $(id -u) $(id -g) $(id -G | tr " " "\n" | sort -n | xargs)'
}
check_output "by a socket: who listens" "33 34 5 33 34" user_of web/sockets/web.sock
check_output "by its path" "33 34 5 33 34" user_of web/sockets/tmp/web.sock
check_output "a server that a root main process has started as another user" "4720 4720 4720 4721" \
  user_of other/sockets/local-0
check_output "by a process" "4711 4711 4711" user_of "other/pids/$(pid_of_uid 4711)"
said ()
{
  local status=0
  timeout 20 "$PEERFS" "$@" >"$work/said" 2>&1 || status=$?
  echo "$status $(wc -l <"$work/said") $(cat "$work/said")"
}
expected="1 1 peerfs: there is no web/sockets/x; peerfs --wait web/sockets/x waits for it, "
expected+="peerfs --list --json shows the sockets and pids that there are"
check_equal "no such socket" "$expected" "$(said --as web/sockets/x -- true)"
check_equal "a file" \
  "1 1 peerfs: 'web/root/etc/passwd' is neither a socket nor a process; give web, web/sockets/SOCKET or web/pids/PID" \
  "$(said --as web/root/etc/passwd -- true)"
check_equal "a folder" 1 "$(said --as web/sockets/tmp -- true | grep -c '^1 1 .*there is no')"
check_equal "another container's process" 1 "$(said --as "web/pids/$other_pid" -- true | grep -c '^1 1 .*there is no')"

# Its home, which programs read start-up files from, is not of a peer's choice.
home_of ()
{
  HOME=/root USER=root LOGNAME=root "$PEERFS" --as "$1" -- sh -c 'echo "$HOME ${USER-unset} ${LOGNAME-unset}"'
}
mkdir -p /shared && mount -t tmpfs none /shared 2>/dev/null && mkdir /shared/home
ln -sfn /tmp /link
check_output "as our passwd says" "$(getent passwd 33 | cut -d : -f 6) www-data www-data" home_of web
check_output "as the peer's passwd says" "/home/flux flux flux" home_of "other/pids/$(pid_of_uid 4711)"
check_output "no home on a volume" "/ volume volume" home_of "other/pids/$(pid_of_uid 4712)"
check_output "no home below /proc" "/ proc proc" home_of "other/pids/$(pid_of_uid 4713)"
check_output "no home behind a link" "/ link link" home_of "other/pids/$(pid_of_uid 4714)"
check_output "no home that moves a cursor" "/ unset unset" home_of "other/pids/$(pid_of_uid 4715)"
umount /shared; rmdir /shared; rm /link
rm -f "/proc/$other_pid/root/etc/passwd"
mkfifo "/proc/$other_pid/root/etc/passwd"
check_output "a FIFO is not read" "/ unset unset" timeout 20 "$PEERFS" --as "other/pids/$(pid_of_uid 4711)" -- \
  sh -c 'echo "$HOME ${USER-unset} ${LOGNAME-unset}"'

# Whoever is that user already needs nothing.
as_user ()
{
  setpriv --reuid 33 --regid 34 "$1" "$PEERFS" --as web -- sh -c \
    'echo $(id -u) $(id -g) $(id -G | tr " " "\n" | sort -n | xargs)'
}
check_output "the user himself" "33 34 5 33 34" as_user --groups=5,33
expected="peerfs: warning: keeping our own supplementary groups instead of those of 'web' (5,33): "
expected+="changing them takes CAP_SETGID"
check_equal "with other groups: what he can have, and one line" "$expected"$'\n'"33 34 34" \
  "$(as_user --clear-groups 2>&1)"

# A mount for its maker alone.
peerfs_start
check_equal "a mount that does not let the user in is told" \
  "1 1 peerfs: warning: $mnt lets in only the user who mounted it; umount it, and mount it with -o allow_other" \
  "$(said --as web -- grep -q -s x "$mnt/web/id" | sed 's/^2 /1 /')"
check_equal "not to a command that has nothing to do with it" "0 0 " "$(said --as web -- true)"
peerfs_stop
peerfs_start -o allow_other
check_equal "nor if it does" "0 0 " "$(said --as web -- test -e "$mnt/web/id")"
peerfs_stop

# Without a capability that peers cannot get, nothing starts.
setpriv --bounding-set -all,+setuid,+setgid,+sys_ptrace,+net_bind_service \
  "$PEERFS" --as web -- touch "$work/started" 2>"$work/err"
check_equal "a sidecar with no capability for it" "1 1 could trace" \
  "$? $(wc -l <"$work/err") $(grep -o 'could trace' "$work/err")"
check_equal "starts nothing" "" "$(ls "$work/started" 2>/dev/null)"
strong_caps=$default_caps,+net_broadcast,+wake_alarm,+block_suspend
imitate strong -- setpriv --reuid 33 --regid 34 --clear-groups --bounding-set "-all,$strong_caps" \
  --inh-caps "-all,$strong_caps" --ambient-caps "-all,$strong_caps" sleep infinity
check_equal "a peer with every such capability" "1 1 could trace" \
  "$(said --as web -- true | grep -o '^1 1\|could trace' | xargs)"
start_command --as web --unguarded
check_equal "runs with --unguarded" "sleep 33" "$(cat "/proc/$command_pid/comm") $(stat -c %u "/proc/$command_pid")"
end_command
finish
