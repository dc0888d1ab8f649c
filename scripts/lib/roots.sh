# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Root filesystems of Debian packages, made once by mmdebstrap and kept in $peerfs_cache.

# The servers of the pods' containers, and the tools of a debug sidecar.
root_pod_packages=nginx-light,redis-server,curl,perl,procps,binutils

root_host_suite ()
{
  (
    # shellcheck source=/dev/null
    . /etc/os-release
    [ "$ID" = debian ] && [ -n "${VERSION_CODENAME:-}" ] && echo "$VERSION_CODENAME"
  ) || die "needs a Debian release: the pod's containers are made of this machine's packages"
}

# The mirror of this machine, so that a local one or a proxy serves the roots too. Empty if apt names none: then
# mmdebstrap has its own.
root_mirror ()
{
  local uri
  # shellcheck disable=SC2016 # apt's own format
  uri=$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(LABEL)' 2>/dev/null |
    awk '$2 == "Debian" && $3 == "Debian" { print $1; exit }')
  echo "${PEERFS_MIRROR:-$uri}"
}

# root_once NAME STAMP WHAT FILL...: runs FILL FOLDER to make $peerfs_cache/NAME, unless it is there with that STAMP.
# One at a time, and whole or not at all.
root_once ()
{
  local dir=$peerfs_cache/$1 stamp=$2 what=$3 new
  shift 3
  need_root
  mkdir -p "$peerfs_cache" || die "cannot create $peerfs_cache: set PEERFS_CACHE to a folder that root can write"
  (
    flock 9
    [ "$(cat "$dir.packages" 2>/dev/null)" = "$stamp" ] && [ -d "$dir" ] && exit 0
    say "making a Debian root ($what) in $dir, once"
    rm -rf --one-file-system "$dir" "$dir".new.* "$dir.packages"
    trap 'rm -rf --one-file-system "$dir".new.*' EXIT
    trap 'exit 130' INT TERM HUP
    new=$(mktemp -d "$dir.new.XXXXXX") || exit 1
    "$@" "$new" || exit 1
    mv -T "$new" "$dir" && echo "$stamp" >"$dir.packages"
  ) 9>"$dir.lock" || exit 1
}

# root_make NAME SUITE PACKAGES: $peerfs_cache/NAME with these packages alone.
root_make ()
{
  root_once "$1" "$2 $3" "$2" root_bootstrap "$2" "$3"
}

root_bootstrap ()
{
  local suite=$1 packages=$2 new=$3 native foreign
  native=$(dpkg --print-architecture)
  # The packages name another architecture, if any: gcc, libc6-dev:arm64.
  foreign=$(grep -o ':[a-z0-9]*' <<<"$packages" | sort -u | tr ':\n' ',' | sed 's/,,*/,/g; s/,$//')
  chmod 755 "$new"
  # shellcheck disable=SC2046 # no mirror is no argument
  quietly "mmdebstrap $suite" mmdebstrap --quiet --mode=root --variant=minbase \
    --architectures="$native$foreign" --include="$packages" \
    --dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' "$suite" "$new" $(root_mirror)
}

# root_extend NAME BASE PACKAGES: $peerfs_cache/BASE with these packages too, as $peerfs_cache/NAME.
root_extend ()
{
  root_once "$1" "$(cat "$peerfs_cache/$2.packages") $3" "$3" root_copy "$peerfs_cache/$2" "$3"
}

root_copy ()
{
  local base=$1 packages=$2 new=$3
  cp -aT --reflink=auto "$base" "$new" || return 1
  chmod 755 "$new"
  # shellcheck disable=SC2086 # a list
  quietly "apt-get install of $packages" unshare --mount --propagation private bash \
    "$peerfs_top/scripts/lib/root-install" "$new" ${packages//,/ }
}

# The root of the pods' containers. It has this machine's release, so that programs built here run there.
root_pod ()
{
  local suite
  suite=$(root_host_suite) || exit 1
  root_make "pod-$suite" "$suite" "$root_pod_packages"
  root_pod_dir=$peerfs_cache/pod-$suite
}

# The same with the image's tools and gdb.
root_demo ()
{
  root_pod
  root_extend "demo-${root_pod_dir##*/pod-}" "${root_pod_dir##*/}" \
    bash-completion,gdb-minimal,jq,less,lsof,strace,vim-tiny
  root_demo_dir=$peerfs_cache/demo-${root_pod_dir##*/pod-}
}

# The same with the servers and tools of the cookbook.
root_cookbook ()
{
  local suite packages=postgresql,docker.io,gdb-minimal,linux-perf,abigail-tools,strace,lsof
  root_pod
  suite=${root_pod_dir##*/pod-}
  # Before Debian 13 the client is in docker.io.
  [ "$suite" = bookworm ] || packages=$packages,docker-cli
  root_extend "cookbook-$suite" "pod-$suite" "$packages"
  root_cookbook_dir=$peerfs_cache/cookbook-$suite
}

# The same with more kinds of servers on unix sockets.
root_servers ()
{
  local suite
  root_pod
  suite=${root_pod_dir##*/pod-}
  root_extend "servers-$suite" "pod-$suite" \
    memcached,haproxy,lighttpd,rsyslog,tmux,dbus-daemon,openssh-client,postgresql,php-fpm,supervisor,fcgiwrap
  root_servers_dir=$peerfs_cache/servers-$suite
}

# root_package SUITE: a fresh machine's root, to install a package in.
root_package ()
{
  root_make "package-$1" "$1" systemd,man-db,zsh,bash-completion
  root_package_dir=$peerfs_cache/package-$1
}

# root_trixie [ARCH]: a Debian 13 root with compiler, for static builds; with ARCH one that builds for that.
root_trixie ()
{
  local arch=${1:-} packages=()
  for package in "${apt_build_packages[@]}"; do
    case $arch:$package in
    ?*:gcc) packages+=(gcc crossbuild-essential-"$arch") ;;
    ?*:*-dev) packages+=("$package:$arch") ;;
    *) packages+=("$package") ;;
    esac
  done
  root_make "trixie${arch:+-$arch}" trixie "$(IFS=, && echo "${packages[*]}")"
  root_trixie_dir=$peerfs_cache/trixie${arch:+-$arch}
}

# root_binfmt ARCH: the kernel runs that architecture's programs by Debian 13's qemu, also those that packages run to
# set themselves up. Debian 12's has no openat2(2). "F": the interpreter is opened now, so that it is there in every
# root.
root_binfmt ()
{
  local cpu=aarch64 dir=/proc/sys/fs/binfmt_misc
  [ "$1" = arm64 ] || cpu=x86_64
  apt_need mmdebstrap debian-archive-keyring arch-test
  [ -e "$dir/register" ] || mount -t binfmt_misc binfmt_misc "$dir" ||
    die "this kernel has no binfmt_misc: modprobe binfmt_misc"
  [ ! -e "$dir/peerfs-$cpu" ] || return 0
  root_make qemu trixie qemu-user,qemu-user-binfmt
  sed -n "s#^:qemu-$cpu:\(.*\):[^:]*:[A-Z]*\$#:peerfs-$cpu:\1:$peerfs_cache/qemu/usr/bin/qemu-$cpu:POF#p" \
    "$peerfs_cache/qemu/usr/lib/binfmt.d/qemu-$cpu.conf" >"$dir/register" ||
      die "programs for $1 cannot be run here: see $dir"
  root_binfmt_entry=$dir/peerfs-$cpu
}

# root_binfmt_end: takes back what root_binfmt has registered.
root_binfmt_end ()
{
  [ -z "${root_binfmt_entry:-}" ] || echo -1 >"$root_binfmt_entry"
  root_binfmt_entry=
}
