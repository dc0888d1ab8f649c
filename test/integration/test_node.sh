#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# --node and --pod: pods that do not share their process namespaces, as this process namespace shows them. Its first
# process is the script, on whose root /var/log/pods is imitated.
. "$(dirname -- "$0")/lib.sh"
isolate "$@"

logs=/var/log/pods
uid_a=$(cat /proc/sys/kernel/random/uuid)
uid_b=$(cat /proc/sys/kernel/random/uuid)
uid_static=$(random_id | head -c 32)
uid_late=$(cat /proc/sys/kernel/random/uuid)
# A server at a unix socket that says one word to everybody.
server='use IO::Socket::UNIX; unlink "/run/app.sock";
  my $s = IO::Socket::UNIX->new (Local => "/run/app.sock", Listen => 5) or die;
  while (my $c = $s->accept) { print $c "$ARGV[0]\n"; close $c }'
client='use IO::Socket::UNIX; my $s = IO::Socket::UNIX->new (Peer => $ARGV[0]) or die "$!\n"; print <$s>'

# new_pod POD: without a shared process namespace, with a network namespace of its own.
new_pod ()
{
  pod_quietly pod create --name "$1" --share net,ipc,uts --network none
}

# in_pod POD UID NAME [OPTION...] -- COMMAND...: a container as a kubelet makes it.
in_pod ()
{
  local pod=$1 uid=$2 name=$3 options=() instance
  shift 3
  while [ "$1" != -- ]; do options+=("$1"); shift; done
  shift
  instance=$pod_dir/pods/$uid/containers/$name/$(od -An -N4 -tx4 /dev/urandom | tr -d ' ')
  mkdir -p "${instance%/*}" && : >"$instance" || return 1
  pod_quietly run --detach ${pod:+--pod "$pod"} --name "${pod:-no}-$name" --stop-timeout 0 \
    -v "$instance:/dev/termination-log" "${options[@]}" --rootfs "$root_pod_dir:O" "$@"
}

says ()
{
  timeout 20 perl -e "$client" "$1"
}

# The one line that peerfs says, after its own name.
complains ()
{
  timeout 20 "$PEERFS" "$@" 2>&1 </dev/null | sed 's/^peerfs: //'
}

mount -t tmpfs logs /var/log && mkdir -p "$logs" || abandon "a folder of logs is imitated"
mkdir "$logs/default_web-7d9f_$uid_a" "$logs/shop_web.v2_$uid_b" "$logs/kube-system_etcd-node-1_$uid_static" \
  "$logs/kube-system_evil pod_$uid_late" "$logs/gone_web_$(cat /proc/sys/kernel/random/uuid)"
pod_make_dir && new_pod a && new_pod b && new_pod s &&
  in_pod a "$uid_a" app -- perl -e "$server" "pod a" && in_pod a "$uid_a" side -- sleep infinity &&
  in_pod b "$uid_b" app -- perl -e "$server" "pod b" && in_pod s "$uid_static" etcd -- sleep infinity &&
  pod_quietly run --detach --name lone --stop-timeout 0 --network none --rootfs "$root_pod_dir:O" sleep infinity ||
  abandon "pods start"
lone=$(pod_id lone)
lone=${lone:0:12}

# --- the tree

peerfs_start --node
check_output "namespaces" $'_\ndefault\nkube-system\nshop' ls "$mnt"
check_output "all of the node" \
  "_/_/$lone default/web-7d9f/app default/web-7d9f/side kube-system/etcd-node-1/etcd shop/web.v2/app" \
  bash -c 'cd "$1" && echo */*/*' - "$mnt"
check_output "a container's main process" "$(pod_pid a-side)" cat "$mnt/default/web-7d9f/side/pid"
check_output "its files" "root" bash -c 'head -n 1 "$1" | cut -d: -f1' - "$mnt/shop/web.v2/app/root/etc/passwd"
check_output "find sees what ls does" 10 bash -c '
  find "$1" -mindepth 1 -maxdepth 3 -path "*/_" -o -path "*/_/*" -prune -o -mindepth 1 -maxdepth 3 -print |
    wc -l' - "$mnt"
check "no such namespace" test ! -e "$mnt/nobody"
check "no such pod" test ! -e "$mnt/default/web"
check "a pod's name is no container's" test ! -e "$mnt/default/app"
check_equal "nothing is made there" "mkdir: cannot create directory ‘$mnt/default/new’: Read-only file system" \
  "$(LC_ALL=C.UTF-8 mkdir "$mnt/default/new" 2>&1)"

for pod in default/web-7d9f:a shop/web.v2:b; do
  check "the socket of pod ${pod##*:} is there" pod_until 50 test -L "$mnt/${pod%:*}/app/sockets/run/app.sock"
  check_output "equal paths of two network namespaces: pod ${pod##*:}" "pod ${pod##*:}" \
    says "$mnt/${pod%:*}/app/sockets/run/app.sock"
done
check_output "no sockets of others" "" ls "$mnt/default/web-7d9f/side/sockets"

in_pod "" "$uid_late" late -- sleep infinity || abandon "a late container starts"
check "the folder of a hostile name counts for nothing" pod_until 20 test -d "$mnt/_/$uid_late/late"
mkdir "$logs/late_pod_$uid_late"
check "a name that comes late" pod_until 30 test -d "$mnt/late/pod/late"
check "is then the only one" test ! -e "$mnt/_/$uid_late"
pod_kill b-app
check "a pod is gone with its last container" pod_until 20 test ! -e "$mnt/shop"
in_pod b "$uid_b" app2 -- perl -e "$server" "pod b" || abandon "another container starts"
check "and comes with the next" pod_until 20 test -d "$mnt/shop/web.v2/app2"
peerfs_stop

# --- one pod, by name and by uid

for pod in shop/web.v2 "$uid_b" "_/$uid_static" "$uid_static"; do
  [ "$pod" != "_/$uid_static" ] || continue
  case $pod in "$uid_static") names=etcd ;; *) names=app2 ;; esac
  peerfs_start --pod "$pod"
  check_output "--pod $pod is flat" "$names" ls "$mnt"
  check_output "--pod $pod: its files" root bash -c 'head -n 1 "$1" | cut -d: -f1' - "$mnt/$names/root/etc/passwd"
  peerfs_stop
done
peerfs_start -o "pod=$uid_a"
check_output "-o pod=UID" $'app\nside' ls "$mnt"
check_output "its socket" "pod a" says "$mnt/app/sockets/app.sock"
peerfs_stop
"$PEERFS" --pod default/web-7d9f --links "$work/links" >"$work/links.log" 2>&1 &
links_pid=$!
check "--links of one pod" pod_until 50 test -L "$work/links/side/root" -a -L "$work/links/app/sockets/app.sock"
check_output "no others" $'app\nside' ls "$work/links"
kill "$links_pid"
wait "$links_pid"

# --- a whole node: PEERFS_NODE="PODS CONTAINERS PROCESSES", the last two multiples of the one before;
# 110 330 4950 is a full one

read -r pods containers processes <<<"${PEERFS_NODE:-20 40 400}"
crowd=$(make_cgroup "$(random_id)") && mkdir "$work/crowd-logs" || abandon "a cgroup can be made"
mount --bind "$work/crowd-logs" "$logs"
"$PEERFS_HELPERS/helper_crowd" "$work/crowd" "$crowd" "$logs" "$pods" "$containers" "$processes" \
  >"$work/crowd.log" 2>&1 &
crowd_pid=$!
check "$processes processes in $containers containers of $pods pods" pod_until 600 grep -q ready "$work/crowd.log"
peerfs_start --node
begun=$(milliseconds)
found=$(find "$mnt" -mindepth 3 -maxdepth 3 -path "$mnt/ns*" | wc -l)
echo "# found in $(($(milliseconds) - begun)) ms; $(xargs <"/proc/$peerfs_pid/status" | grep -o 'VmHWM: [0-9]* kB')"
check_equal "all are found" "$containers" "$found"
check_output "in their pods" "$((containers / pods))" bash -c 'ls "$1" | wc -l' - "$mnt/ns1/pod-1"
check_output "one process of each" "$((processes / containers))" bash -c 'ls "$1" | wc -l' - "$mnt/ns1/pod-1/c1/pids"
sanitized || check_less "64 MiB are enough" 65536 "$(awk '/^VmHWM/ { print $2 }' "/proc/$peerfs_pid/status")"
{ kill -KILL "$crowd_pid"; wait "$crowd_pid"; } 2>/dev/null
check "all are gone" pod_until 100 test ! -e "$mnt/ns1"
peerfs_stop
umount "$logs"

# --- commands

check_output "--list --node" \
  "_/_/$lone default/web-7d9f/app default/web-7d9f/side kube-system/etcd-node-1/etcd late/pod/late shop/web.v2/app2" \
  bash -c '"$1" --list --node | awk "NR > 1 { print \$1 }" | xargs' - "$PEERFS"
check_output "--list --pod" "NAME app side" \
  bash -c '"$1" --list --pod default/web-7d9f | awk "{ print \$1 }" | xargs' - "$PEERFS"
check_output "--list --node --json" '"name": "late/pod/late"' \
  bash -c '"$1" --list --node --json | grep -o "\"name\": \"late[^,]*"' - "$PEERFS"
check "--wait --node" "$PEERFS" --node --wait shop/web.v2/app2/root/etc/passwd --timeout 10
check "--wait --pod" "$PEERFS" --pod "$uid_a" --wait app/sockets/app.sock --timeout 10
check_output "--as --node" "uid=0(root) gid=0(root) groups=0(root)" "$PEERFS" --node --as default/web-7d9f/side -- id
check_output "--as --node, by a socket" "uid=0(root) gid=0(root) groups=0(root)" \
  "$PEERFS" --node --as default/web-7d9f/app/sockets/app.sock -- id

# --- what goes wrong

pods="default/web-7d9f, kube-system/etcd-node-1, late/pod, shop/web.v2"
check_equal "an unknown pod" "no pod 'default/none' on this node; there are: $pods" \
  "$(complains --list --pod default/none)"
check_equal "an unknown pod to mount" "no pod 'default/none' on this node; there are: $pods" \
  "$(complains -f --pod default/none "$mnt")"
check_equal "an unknown container" "no container is named 'side'; there are: app, side, x" \
  "$(complains --node --as side -- id | sed 's/there are: .*/there are: app, side, x/')"
check_equal "--wait for a pod that does not come" \
  "x did not appear within 0.3 s: no container is named 'x', see peerfs --list" \
  "$(complains --pod default/none --wait x --timeout 0.3)"
check_equal "no pod" "--pod takes NAMESPACE/POD, or the uid of a pod; see peerfs --help" "$(complains --list --pod web)"
mkdir "$logs/default_web-7d9f_$uid_b"
rmdir "$logs/shop_web.v2_$uid_b"
sorted=$(printf '%s\n' "$uid_a" "$uid_b" | sort | paste -sd, | sed 's/,/, /')
check_equal "two pods of one name" "more than one pod is named 'default/web-7d9f'; give the uid of one: $sorted" \
  "$(complains --list --pod default/web-7d9f)"
check_equal "by their uids they are told apart" "$(printf '%s\n' "${uid_a:0:12}/app" "${uid_b:0:12}/app2" | sort)" \
  "$("$PEERFS" --list --node | sed -n 's/^default.web-7d9f~\([^ ]*app2*\) .*/\1/p' | sort)"

# From a container: with hostPID, and without.
pod_uid=$uid_a
pod_quietly pod create --name pod --share net,ipc,uts --network none && pod_run_shell "$PEERFS" ||
  abandon "a sidecar starts"
check_equal "not hostPID" \
  "peerfs: this process namespace is not the node's; set hostPID: true in the pod (podman: --pid host)" \
  "$(pod_exec shell peerfs --list --node 2>&1 | tail -n 1)"
expected="peerfs: no pod 'shop/web' in this process namespace, which is not the node's; "
expected+="set hostPID: true (podman: --pid host)"
check_equal "not hostPID, with --pod" "$expected" "$(pod_exec shell peerfs --list --pod shop/web 2>&1 | tail -n 1)"
pod_quietly run --detach --name host --pid host --network none --privileged --stop-timeout 0 \
  -v "$pod_dir/bundle/bin:/usr/local/bin:ro" -v "$pod_dir/bundle/lib:/usr/local/lib:ro" \
  -e LD_LIBRARY_PATH=/usr/local/lib --rootfs "$root_pod_dir:O" sleep infinity ||
  abandon "a container with hostPID starts"
check_output "a pod with hostPID" "late" pod_exec host env ASAN_OPTIONS=detect_leaks=0 sh -c \
  'mkdir /peers && peerfs --log-level error --node /peers && ls /peers/late/pod'
finish
