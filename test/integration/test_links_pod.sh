#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# --links in a real pod: by a sidecar that has SYS_PTRACE alone, by one that has nothing and is of the peer's user, and
# followed from a third container that mounts the folder.
. "$(dirname -- "$0")/lib.sh"

# What the binary needs (a sanitizer's runtime) is in the bundle that pod_run_shell makes.
run_sidecar ()
{
  local name=$1
  shift
  mkdir -p "$pod_dir/vol/$name"
  pod_run "$name" --security-opt no-new-privileges -v "$pod_dir/bundle/bin:/usr/local/bin:ro" \
    -v "$pod_dir/bundle/lib:/usr/local/lib:ro" -v "$pod_dir/vol/$name:/pod" -v "$pod_dir/out:/out" \
    -e LD_LIBRARY_PATH=/usr/local/lib \
    $(printf -- '-e %s ' $(san_options /out)) "$@" -- peerfs --links /pod/peers
}

pod_up && mkdir -p "$pod_dir/vol/nothing" && pod_run_shell "$PEERFS" -v "$pod_dir/vol:/vol:ro" || abandon "a pod starts"
san_prepare "$pod_dir/out"
chmod 755 "$pod_dir" "$pod_dir/vol" && chmod 777 "$pod_dir/out" && chown 1000:1000 "$pod_dir/vol/nothing"
pod_run app --user 1000:1000 --cap-drop all -- \
  sleep infinity || abandon "a container starts"
pod_run_nginx || abandon "nginx starts"
run_sidecar ptrace --cap-drop all --cap-add sys_ptrace || abandon "a sidecar with SYS_PTRACE starts"
run_sidecar nothing --user 1000:1000 --cap-drop all || abandon "a sidecar without capabilities starts"
for way in ptrace nothing; do
  pod_until 100 test -e "$pod_dir/vol/$way/peers/nothing" -a -e "$pod_dir/vol/$way/peers/shell" ||
    abandon "$way keeps links" "$(pod_podman logs "$way" 2>&1)"
done

for way in ptrace nothing; do
  check_equal "$way: the containers" "app nginx nothing ptrace shell" "$(ls "$pod_dir/vol/$way/peers" | xargs)"
done
check_output "SYS_PTRACE: a configuration file" "$(head -n 1 "$pod_dir/site")" \
  pod_exec ptrace head -n 1 /pod/peers/nginx/root/etc/nginx/sites-available/default
check_output "nothing: a file of the same user's container" root pod_exec nothing sh -c \
  'cut -d: -f1 /pod/peers/app/root/etc/passwd | head -n 1'
check_equal "nothing: another user's stays closed" "cat: /pod/peers/nginx/root/etc/passwd: Permission denied" \
  "$(pod_exec nothing cat /pod/peers/nginx/root/etc/passwd 2>&1 | tail -n 1)"
check_output "from a third container" root in_shell 'cut -d: -f1 /vol/ptrace/peers/app/root/etc/passwd | head -n 1'
check "curl by a socket" pod_until 30 \
  pod_exec ptrace curl -sf --unix-socket /pod/peers/nginx/sockets/nginx.sock http://x/
check_output "what it says" "hello from nginx" \
  pod_exec ptrace curl -s --unix-socket /pod/peers/nginx/sockets/nginx.sock http://x/
check_output "and from the third container" "hello from nginx" \
  in_shell 'curl -s --unix-socket /vol/ptrace/peers/nginx/sockets/var/run/nginx.sock http://x/'
pod_kill nginx
check "a container that ended is gone" pod_until 30 test ! -e "$pod_dir/vol/ptrace/peers/nginx"
finish
