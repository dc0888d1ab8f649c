#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# sockets/ belongs to who listens: a server of another user than the main process's, names that stay while others come
# and go, files that were moved, and mounts that do not answer.
. "$(dirname -- "$0")/lib.sh"
isolate "$@"

. "$(dirname -- "$0")/hostile.sh"

# serve PATH WORD [then COMMANDS]: a server that admits only its own user, as Flux's broker does, and says WORD to it.
cat >"$work/serve" <<'PERL'
use Socket;
my ($path, $word, $then) = @ARGV;
socket (my $s, AF_UNIX, SOCK_STREAM, 0);
bind ($s, sockaddr_un ($path)) && listen ($s, 64) or die "$path: $!";
chmod 0777, $path;
eval ($then // '1') or die "$@ $!";
for (my $c; accept ($c, $s);) {
  my ($pid, $uid) = unpack 'iII', getsockopt ($c, SOL_SOCKET, 17);
  syswrite $c, $uid == $> ? "$word\n" : "Operation not permitted\n";
}
PERL
# ask PATH [TIMES]: what the server says, each answer once, with how often.
cat >"$work/ask" <<'PERL'
use Socket;
my ($path, $times) = @ARGV;
my %said;
for (1 .. $times // 1) {
  socket (my $s, AF_UNIX, SOCK_STREAM, 0);
  my $answer = connect ($s, sockaddr_un ($path)) ? readline ($s) : "$!\n";
  chomp $answer;
  $said{$answer}++;
}
print join (', ', map { $times ? "$said{$_} $_" : $_ } sort keys %said), "\n";
PERL
as_1000="setpriv --reuid 1000 --regid 1000 --clear-groups"
as_1001="setpriv --reuid 1001 --regid 1001 --clear-groups"

ask ()
{
  timeout 60 perl "$work/ask" "$@"
}

# as USER ask PATH [TIMES]
as ()
{
  local user=$1
  shift 2
  # shellcheck disable=SC2086
  timeout 60 $user perl "$work/ask" "$@"
}

# container NAME COMMANDS: with `serve` at hand.
container ()
{
  mkdir -p "$work/c/$1/upper"
  cp "$work/serve" "$work/c/$1/upper/serve"
  imitate "$1" -- sh -c "$2"
}

below ()
{
  (cd "$1" && find . -type l | sort | tr '\n' ' ')
}

# Before the mount, so that it comes by propagation.
mount --make-rshared "$work"
unshare --mount --propagation slave sleep infinity &
consumer=$!
in_consumer ()
{
  nsenter --target "$consumer" --mount "$@"
}

# A root main process, a server of user 1000, one of its own, one that is jailed.
container flux "
  mkdir -m 700 /tmp/flux-a /tmp/root; chown 1000:1000 /tmp/flux-a; mkdir -m 755 /jail
  $as_1000 perl /serve /tmp/flux-a/local-0 broker &
  perl /serve /tmp/root/admin root &
  perl /serve /jail/in jailed 'chroot(\"/jail\") && chdir(\"/\")' &
  exec sleep infinity"
flux=$imitated_pid
pod_until 50 test -S "/proc/$flux/root/tmp/root/admin" || abandon "the servers listen" "$(cat "$work/c/flux/log")"
broker=$(pgrep -P "$flux" -u 1000)
chmod 755 "$work"
peerfs_start -o allow_other
sockets=$mnt/flux/sockets
check "the broker is waited for" "$PEERFS" --wait flux/sockets/local-0 --timeout 10

# --- the holder decides
check_output "its user, directly" broker as "$as_1000" ask "/proc/$broker/root/tmp/flux-a/local-0"
check_output "its user, by the short name" broker as "$as_1000" ask "$sockets/local-0"
check_output "its user, by the path" broker as "$as_1000" ask "$sockets/tmp/flux-a/local-0"
# shellcheck disable=SC2086 # several words
check_output "its user, in another mount namespace" broker \
  in_consumer $as_1000 perl "$work/ask" "$sockets/local-0"
check_output "root is refused by the server" "Operation not permitted" ask "$sockets/local-0"
check_output "root enters by --as" broker "$PEERFS" --as flux/sockets/local-0 -- perl "$work/ask" "$sockets/local-0"
check_output "another user may not enter" "Permission denied" as "$as_1001" ask "$sockets/local-0"
check_output "nor directly" "Permission denied" as "$as_1001" ask "/proc/$broker/root/tmp/flux-a/local-0"
check_output "nor list" "ls: cannot open directory '$sockets': Permission denied" \
  sh -c "LC_ALL=C $as_1001 ls '$sockets' 2>&1 || true"
# shellcheck disable=SC2086 # several words
check_output "the user sees its own" "./local-0 ./tmp/flux-a/local-0 " \
  $as_1000 bash -c "$(declare -f below); below $sockets"
check_output "root sees all" "./admin ./in ./jail/in ./local-0 ./tmp/flux-a/local-0 ./tmp/root/admin " below "$sockets"
check_output "the user does not reach others'" "No such file or directory" as "$as_1000" ask "$sockets/admin"
check_output "a jailed server is reached" jailed ask "$sockets/in"
check_equal "the link leads through the holder" "/proc/$broker/root/tmp/flux-a/local-0" "$(readlink "$sockets/local-0")"
kill -STOP "$broker"
check "the rest of the container stays shut" sh -c "! $as_1000 ls '$mnt/flux/root' 2>/dev/null"
kill -CONT "$broker"

# --- a short name stays
container busy "
  for i in a b c; do mkdir -m 755 /tmp/\$i; done
  perl /serve /tmp/b/local-0 first & sleep 0.2
  while :; do
    for i in a c; do perl /serve /tmp/\$i/local-0 other & echo \$! >/tmp/\$i/pid; done
    until [ -S /tmp/c/local-0 ]; do sleep 0.01; done; sleep 0.1
    kill \$(cat /tmp/a/pid) \$(cat /tmp/c/pid); rm -f /tmp/[ac]/local-0
  done"
busy=$imitated_pid
pod_until 50 test -S "/proc/$busy/root/tmp/c/local-0" || abandon "the servers come and go" "$(cat "$work/c/busy/log")"
check_output "1000 connections by the short name" "1000 first" ask "$mnt/busy/sockets/local-0" 1000
kill -STOP "$busy"
rm -f "/proc/$busy/root"/tmp/[abc]/local-0
kill -KILL "$busy"; wait "$busy" 2>/dev/null

container next "
  for i in a b c; do mkdir -m 755 /tmp/\$i; done
  perl /serve /tmp/c/s oldest & echo \$! >/pid; sleep 0.1
  perl /serve /tmp/b/s second & sleep 0.1
  perl /serve /tmp/a/s third & exec sleep infinity"
next=$imitated_pid
pod_until 50 test -S "/proc/$next/root/tmp/a/s"
check_output "the oldest has the name" oldest ask "$mnt/next/sockets/s"
check_output "all are there by their paths" "./s ./tmp/a/s ./tmp/b/s ./tmp/c/s " below "$mnt/next/sockets"
kill "$(cat "/proc/$next/root/pid")"
sleep 0.2
check_output "the next gets it" second ask "$mnt/next/sockets/s"

# --- where the file is
container moved "
  mkdir -p /tmp/x /tmp/y/old; cd /tmp/x
  perl /serve relative relative 'chdir(\"/\")' &
  perl /serve renamed.558.tmp renamed 'rename(\"renamed.558.tmp\", \"renamed\")' &
  perl /serve elsewhere elsewhere 'rename(\"elsewhere\", \"../y/there\")' &
  cd /tmp/y/old
  perl /serve in in 'chdir(\"/\") && rename(\"/tmp/y/old\", \"/tmp/y/new\")' &
  cd /; exec sleep infinity"
moved=$imitated_pid
pod_until 50 test -S "/proc/$moved/root/tmp/y/new/in"
all="./in ./relative ./renamed ./there ./tmp/x/relative ./tmp/x/renamed ./tmp/y/new/in ./tmp/y/there "
pod_until 30 eval '[ "$(below "$mnt/moved/sockets")" = "$all" ]'
check_output "the kernel tells where they are" "$all" below "$mnt/moved/sockets"
for name in relative renamed there in; do
  check_output "$name is connected to" "${name/there/elsewhere}" ask "$mnt/moved/sockets/$name"
done
peerfs_stop

cat >"$work/without" <<END
#!/bin/sh
exec setpriv --inh-caps=-net_admin --bounding-set=-net_admin "$PEERFS" "\$@"
END
chmod 755 "$work/without"
with=$PEERFS
PEERFS=$work/without
peerfs_start
check_output "without CAP_NET_ADMIN: those that can be guessed" \
  "./relative ./renamed ./tmp/x/relative ./tmp/x/renamed " below "$mnt/moved/sockets"
check_output "without CAP_NET_ADMIN: relative is connected to" relative ask "$mnt/moved/sockets/relative"
check_output "without CAP_NET_ADMIN: a jailed server is reached" jailed ask "$sockets/in"
peerfs_stop
PEERFS=$with

# --- many: one look serves a listing and what follows it
hostile many "exec /hostile sockets 15000"
many=$imitated_pid
is_ready many
peerfs_start
check_equal "15000 sockets are listed, and each looked at, in a minute" 15000 \
  "$(cd "$mnt/many/sockets/work" && timeout -s KILL 60 find . -type l -size -1000 -printf 'x\n' | wc -l)"
peerfs_stop
end_of "$many"

# --- mounts that do not answer: a mapping, a working directory, a mount that a guess would walk into
for way in STOP USR2; do
  name=dead-${way,,}
  mkdir -p "$work/c/$name/upper"
  cp "$work/serve" "$work/c/$name/upper/serve"
  hostile "$name" "mknod /dev/fuse c 10 229; /badfuse /mnt /hostile & until [ -e /mnt/program ]; do sleep 0.02; done
    mkdir /live; perl /serve /live/s live & cd /mnt; perl /serve /live/t live & PWD=/mnt perl /serve ../live/u live &
    until [ -S /live/u ]; do sleep 0.02; done; exec /mnt/program mappings 3"
  dead=$imitated_pid
  is_ready "$name"
  badfuse=$(pgrep -P "$dead" -x badfuse)
  for PEERFS in "$with" "$work/without"; do
    what=$way all="./live/s ./live/t ./live/u ./s ./t ./u "
    # No guess goes through a mount that may not answer, not even by ../live/u.
    [ "$PEERFS" = "$with" ] || { what="$way, without CAP_NET_ADMIN"; all="./live/s ./live/t ./s ./t "; }
    peerfs_start
    kill "-$way" "$badfuse"
    sleep 0.1
    soon "$what: --list" "$PEERFS" --list
    soon "$what: sockets/ is listed" ls -lR "$mnt/$name/sockets"
    check_output "$what: all are there" "$all" below "$mnt/$name/sockets"
    check_output "$what: and connected to" live ask "$mnt/$name/sockets/s"
    soon "$what: maps/files is listed" ls "$mnt/$name/maps/files"
    soon "$what: --wait" "$PEERFS" --wait "$name/sockets/t" --timeout 5
    everybody_else_is_served "$what"
    [ "$way" != STOP ] || kill -CONT "$badfuse"
    peerfs_stop
  done
  kill -KILL "$badfuse"
  end_of "$dead"
done
PEERFS=$with
kill "$consumer"
finish
