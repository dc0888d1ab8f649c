#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The Debian package: the same each time, nothing that lintian minds; on fresh machines of both releases it installs,
# works, and leaves nothing behind.
. "$(dirname -- "$0")/lib.sh"
isolate "$@"

top=$test_dir/../..
apt_need lintian
version=$(peerfs_version)
deb=$top/build/package/peerfs_${version}_$(dpkg --print-architecture).deb

status ()
{
  local result=0
  "$top/scripts/package" "${@:2}" >/dev/null 2>&1 || result=$?
  check_equal "scripts/package ${*:2}: status" "$1" "$result"
}

status 0 --help
status 2 --hlep
status 2 --arch
status 2 --arch vax
status 0
sum=$(sha256sum "$deb")
status 0
check_equal "the same sources give the same package" "$sum" "$(sha256sum "$deb")"
check_output "lintian" "" lintian --allow-root --fail-on error,warning "$deb"
check_equal "it needs no other package" "" "$(dpkg-deb -f "$deb" Depends)"
check_equal "its version" "$version" "$(dpkg-deb -f "$deb" Version)"

# on COMMAND...: on the fresh machine.
on ()
{
  chroot "$work/root" "$@"
}

# Every path there, but what dpkg and others write down for themselves.
paths ()
{
  (cd "$work/root" && find . \( -path ./proc -o -path ./dev -o -path ./run -o -path ./var/cache -o \
    -path ./var/lib/dpkg -o -path ./var/log \) -prune -o -print | sort)
}

# A zsh on a terminal, in which tabs are typed.
cat >"$work/complete.zsh" <<'END'
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z 'autoload -Uz compinit; compinit -u -D; peerfs () { print got $*; }; print re""ady'
zpty -r -m z out '*ready*'
zpty -w -n z $'peerfs --lis\t -o symlinks=c\t\n'
zpty -r -m z out '*got*contained*'
print -r -- "$out" | tr -d '\r' | sed -n 's/^got //p'
END

for suite in bookworm trixie; do
  root_package "$suite"
  mkdir -p "$work/root" "$work/upper.$suite" "$work/work.$suite"
  mount -t overlay -o "lowerdir=$root_package_dir,upperdir=$work/upper.$suite,workdir=$work/work.$suite" \
    overlay "$work/root" &&
    mount -t proc proc "$work/root/proc" && mount --rbind /dev "$work/root/dev" || abandon "a root"
  rm -f "$work/root"/etc/dpkg/dpkg.cfg.d/*                 # it says to leave manual pages out
  paths >"$work/before"
  cp "$deb" "$work/root/peerfs.deb"
  check "$suite: dpkg -i" on dpkg -i /peerfs.deb
  rm "$work/root/peerfs.deb"
  check_equal "$suite: peerfs --version" "peerfs $version" "$(on peerfs --version | head -n 1)"
  check "$suite: and it has passthrough" \
    sh -c 'chroot "$1" peerfs --version | grep -q "passthrough built in"' sh "$work/root"
  check_output "$suite: man -w peerfs" /usr/share/man/man1/peerfs.1.gz on man -w peerfs
  check "$suite: man mount.peerfs" on man -w mount.peerfs
  check_equal "$suite: the manual page's version" "peerfs $version" \
    "$(on zcat /usr/share/man/man1/peerfs.1.gz | sed -n 's/^\.TH .*"\(peerfs [0-9.]*\)".*/\1/p')"
  check_output "$suite: systemd-analyze verify" "" \
    on systemd-analyze verify --man=yes /usr/lib/systemd/system/peerfs.service
  check "$suite: systemctl enable" on systemctl --quiet enable peerfs
  check "$suite: kubectl peers --help" on kubectl-peers --help
  check_output "$suite: bash completes" "--links --list --log-level" on bash -c '
    . /usr/share/bash-completion/bash_completion
    _completion_loader peerfs; COMP_WORDS=(peerfs --l) COMP_CWORD=1; _peerfs
    echo $(printf "%s\n" "${COMPREPLY[@]}" | sort)'
  check_equal "$suite: zsh completes" "--list -o symlinks=contained" "$(on timeout 60 zsh -f <"$work/complete.zsh")"
  check "$suite: a mount" \
    on sh -c 'mkdir /peers && mount -t peerfs none /peers && ls /peers && umount /peers && rmdir /peers'
  check "$suite: dpkg -r" on dpkg -r peerfs
  paths >"$work/after"
  check_output "$suite: nothing is left" "" diff "$work/before" "$work/after"
  umount -R "$work/root"
done
finish
