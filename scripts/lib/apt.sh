# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Debian packages that the scripts need.

apt_build_packages=(gcc libc6-dev cmake ninja-build pkgconf libfuse3-dev libglib2.0-dev libcmocka-dev libcap-ng-dev
  libseccomp-dev)
apt_pod_packages=(podman conmon catatonit mmdebstrap debian-archive-keyring ca-certificates util-linux
  "${PEERFS_RUNTIME:-runc}")

# The packages that this run has installed.
apt_installed=()

# Installs those of the named packages that are missing.
apt_need ()
{
  local missing=() package
  command -v apt-get >/dev/null || die "needs apt-get: these scripts are for Debian 12 and later"
  for package; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  need_root
  say "installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  # Go on if a third party's index is broken: the install itself tells if that matters.
  quietly "apt-get update" apt-get -qq update || true
  quietly "apt-get install" apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 install -y \
    --no-install-recommends "${missing[@]}" || exit 1
  apt_installed+=("${missing[@]}")
}
