# SPDX-License-Identifier: LGPL-2.1-or-later
# bash completion for peerfs(1)

_peerfs_names() {
  peerfs --list 2>/dev/null | awk 'NR > 1 { print $1 }'
}

_peerfs() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} i
  COMPREPLY=()

  # What follows "--as NAME --" is a command line of its own.
  for ((i = 1; i < COMP_CWORD; i++)); do
    if [[ ${COMP_WORDS[i]} == -- ]]; then
      if declare -F _command_offset >/dev/null; then
        _command_offset $((i + 1))
      else
        mapfile -t COMPREPLY < <(compgen -c -- "$cur")
      fi
      return
    fi
  done

  case $prev in
  --as | --wait)
    mapfile -t COMPREPLY < <(compgen -W "$(_peerfs_names)" -- "$cur")
    return
    ;;
  --proc | --links)
    compopt -o dirnames
    return
    ;;
  --log-level)
    mapfile -t COMPREPLY < <(compgen -W 'error warning info' -- "$cur")
    return
    ;;
  --pod)
    mapfile -t COMPREPLY < <(compgen -W "$(peerfs --list --node 2>/dev/null |
      awk -F/ 'NR > 1 { print $1 "/" $2 }')" -- "$cur")
    return
    ;;
  --timeout | --name)
    return
    ;;
  -o)
    local done=
    [[ $cur == *,* ]] && done=${cur%,*},
    mapfile -t COMPREPLY < <(compgen -P "$done" -W 'ro allow_other nonempty symlinks=contained symlinks=raw special=link
      special=node attr_timeout= entry_timeout= passthrough=on passthrough=off sandbox=on sandbox=off node pod= name=
      fsname= noexec noatime' -- "${cur##*,}")
    compopt -o nospace
    return
    ;;
  esac

  if [[ $cur == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W '-f -d -o --log-level --list --json --wait --timeout --as --unguarded --links
      --node --pod --proc --name --sandbox --help --version' -- "$cur")
  else
    compopt -o dirnames
  fi
}

complete -F _peerfs peerfs
