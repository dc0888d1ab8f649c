#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The image and the manifest of manifests/base, played by podman: the first five minutes of a Kubernetes user. Then pods
# in which something is missing: each says in one line what to add.
. "$(dirname -- "$0")/lib.sh"
. "$test_dir/../../scripts/lib/image.sh"
. "$test_dir/../../scripts/lib/kubectl.sh"

root_pod
pod_driver=overlay
pod_make_dir || abandon "a folder for the pod"
pods=$pod_dir/pods/00000000-0000-4000-8000-000000000001/containers
mkdir -p "$pods"/{nginx,shell,peerfs}/00000001

# The images that the manifest names, without a registry: nginx is the pod's root of the other tests.
image_path='ENV PATH=/usr/sbin:/usr/bin:/sbin:/bin'
# One of that name, from before, is left to nobody.
image_base
image_import pod_podman && image_target pod_podman static peerfs:latest "$image_static_limit" ||
  abandon "an image is built"
image_build pod_podman || abandon "the images are built"
check_output "no image without a name is left" "" \
  sh -c 'grep "<none>" "$1"; true' sh <(pod_podman images -a --noheading)
tar -C "$root_pod_dir" --one-file-system --exclude=./usr/share/perl5 --exclude=./var/lib/apt -c . |
  pod_podman import -q --change "$image_path" --change 'CMD ["nginx", "-g", "daemon off;"]' - \
    docker.io/library/nginx:latest >/dev/null 2>&1 || abandon "an nginx image"
pod_podman tag localhost/peerfs:latest docker.io/library/busybox:1.28 || abandon "a shell image"

kubectl_kustomize podman | sed "s#/run/peerfs-podman#$pod_dir#" >"$pod_dir/pod.yaml"
pod_quietly kube play --network none "$pod_dir/pod.yaml" || abandon "podman kube play" "$(cat "$pod_dir/podman.log")"
pod_podman pod inspect -f '{{.ID}}' nginx >"$pod_dir/id" 2>/dev/null

in_sidecar ()
{
  pod_podman exec nginx-peerfs timeout 60 bash -c "$1"
}

check "the sidecar's probe comes true" pod_until 100 in_sidecar 'cat /peers/peerfs/id'
check "nginx's socket comes" in_sidecar 'peerfs --wait nginx/sockets/nginx.sock --timeout 30'
check_output "ls /peers" $'nginx\npeerfs\nshell' in_sidecar 'ls /peers'
check "a config file of nginx" in_sidecar 'grep -q "^http" /peers/nginx/root/etc/nginx/nginx.conf'
check "a volume of nginx" in_sidecar 'grep -q "hello from nginx" /peers/nginx/root/etc/nginx/conf.d/site.conf'
check_output "a socket of nginx" "hello from nginx" \
  in_sidecar 'curl -s --unix-socket /peers/nginx/sockets/nginx.sock http://x/'
packages=$(tr '\n' ' ' <"$test_dir/../../manifests/image/packages")
check "the image has its packages, and tells" in_sidecar "for p in $packages; do
  dpkg -s \$p >/dev/null && grep -q \"^PackageName: \$p$\" /usr/share/peerfs/packages.spdx ||
    { echo \$p; exit 1; }; done"
check "the tools run" \
  in_sidecar 'jq --version && strace -V && lsof -v && readelf --version && vi --version && less --version'

# --- what is missing is said in one line

# without WHAT LINE ARG... : peerfs in a container of the pod with these options of `podman run` ends with that line.
without ()
{
  local what=$1 line=$2 output
  shift 2
  output=$(pod_podman run --rm --pod nginx --entrypoint '["timeout", "2", "peerfs", "-f", "/peers"]' "$@" \
    localhost/peerfs:latest 2>&1 </dev/null | grep -v '^event=')
  if [[ $output == *"$line"* ]] && [ "$(grep -c . <<<"$output")" -eq 1 ]; then
    passed "$what is said in one line"
  else
    failed "$what is said in one line" "expected: ...$line..." "found:    $output"
  fi
  check "$what is in docs/troubleshooting.md" grep -q -F -- "$line" "$test_dir/../../docs/troubleshooting.md"
}

least=(--cap-add "SYS_ADMIN,SYS_PTRACE" --security-opt apparmor=unconfined --security-opt seccomp=unconfined)
without "no SYS_PTRACE" "no CAP_SYS_PTRACE: only peers of the same user can be entered" --device /dev/fuse \
  --cap-add SYS_ADMIN --security-opt apparmor=unconfined --security-opt seccomp=unconfined
without "no SYS_ADMIN" "no CAP_SYS_ADMIN, which mounting needs" --device /dev/fuse --cap-add SYS_PTRACE
without "no /dev/fuse" "no /dev/fuse here" "${least[@]}"
without "/dev/fuse as a volume" "/dev/fuse is there but may not be opened (device cgroup)" \
  "${least[@]}" -v /dev/fuse:/dev/fuse
without "no shareProcessNamespace" "peers show once the pod has shareProcessNamespace: true" --privileged --pid private
without "runAsNonRoot" "run as root with" --privileged --user 1000:1000
without "a read-only root without the mountpoint" "does not exist" --privileged --read-only \
  --entrypoint '["peerfs", "-f", "/nowhere"]'
check_output "a read-only root with the mountpoint" $'nginx\npeerfs\nshell' \
  pod_podman run --rm --pod nginx --privileged --read-only \
  --entrypoint '["sh", "-c", "peerfs /peers 2>/dev/null && ls /peers | grep -v -x -E \"[0-9a-f]{12}\""]' \
  localhost/peerfs:latest

# log_of LEVEL: what a mount logs from beginning to end.
log_of ()
{
  pod_podman run --rm --pod nginx --privileged --entrypoint \
    "[\"timeout\", \"--preserve-status\", \"2\", \"peerfs\", \"-f\", \"--log-level\", \"$1\", \"/peers\"]" \
    localhost/peerfs:latest 2>&1 | grep -o '^event=[a-z]*'
  true
}

check_output "--log-level info" $'event=mounted\nevent=unmounted' log_of info
check_output "--log-level error" "" log_of error

check "SIGTERM ends the pod" pod_quietly pod stop -t 20 nginx
finish
