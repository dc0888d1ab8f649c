# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# kubectl, if it knows kustomize's components (1.21); else that of Debian 13, in a root of its own.

kubectl_new=

kubectl_is_new ()
{
  local minor
  [ -z "$kubectl_new" ] || { [ "$kubectl_new" -ge 21 ]; return; }
  minor=$(kubectl version --client -o json 2>/dev/null | sed -n 's/.*"minor": *"\([0-9]*\).*/\1/p' | head -n 1)
  kubectl_new=${minor:-0}
  [ "$kubectl_new" -ge 21 ]
}

# kubectl_recent ARG...: a kubectl whose `debug` knows --custom (1.31). Files have to be in /tmp.
kubectl_recent ()
{
  if kubectl_is_new && [ "$kubectl_new" -ge 31 ]; then
    kubectl "$@"
    return
  fi
  kubectl_in_root /tmp /tmp "$@"
}

# kubectl_in_root FOLDER PLACE ARG...: that of the root, which sees FOLDER at PLACE.
kubectl_in_root ()
{
  apt_need mmdebstrap debian-archive-keyring util-linux
  root_make kubectl trixie kubernetes-client
  # shellcheck disable=SC2016
  unshare --mount --propagation private sh -c 'mount --bind "$1" "$0$2" && shift 2 && exec chroot "$0" kubectl "$@"' \
    "$peerfs_cache/kubectl" "$@"
}

# kubectl_kustomize FOLDER: renders manifests/FOLDER.
kubectl_kustomize ()
{
  if kubectl_is_new; then
    kubectl kustomize "$peerfs_top/manifests/$1"
    return
  fi
  kubectl_in_root "$peerfs_top/manifests" /mnt kustomize "/mnt/$1"
}
