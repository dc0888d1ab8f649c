# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# The images: podman or buildah build them from a base that mmdebstrap makes. No registry is asked.
#
#   image_build PODMAN [BUILDAH_SUBCOMMAND]   peerfs:latest and peerfs:static in PODMAN's storage; PODMAN may be a function

image_size_limit=$((150 * 1024 * 1024))
image_static_limit=$((6 * 1024 * 1024))

# The base, Debian 13 with the tools, as a tar archive: $image_base. Made once for a list of packages. mmdebstrap sorts
# the archive and takes its times from SOURCE_DATE_EPOCH.
image_base ()
{
  local list exclude options=() wanted
  image_base=$peerfs_cache/image-trixie.tar
  list=$(paste -sd, "$peerfs_top/manifests/image/packages")
  wanted="trixie $list"
  while read -r exclude; do
    options+=(--dpkgopt="$exclude")
  done <"$peerfs_top/manifests/image/dpkg-excludes"
  need_root
  mkdir -p "$peerfs_cache" || die "cannot create $peerfs_cache: set PEERFS_CACHE to a folder that root can write"
  (
    flock 9
    [ "$(cat "$image_base.packages" 2>/dev/null)" = "$wanted" ] && [ -s "$image_base" ] && exit 0
    say "making the image's base (Debian 13) in $image_base, once"
    rm -f -- "$image_base" "$image_base.new" "$image_base.packages"
    trap 'rm -f -- "$image_base.new"' EXIT
    trap 'exit 130' INT TERM HUP
    SOURCE_DATE_EPOCH=1735689600 quietly "mmdebstrap trixie" mmdebstrap --quiet --mode=root --variant=minbase \
      --include="$list" --dpkgopt=force-unsafe-io "${options[@]}" --format=tar trixie "$image_base.new" \
      $(root_mirror) || exit 1
    mv -T "$image_base.new" "$image_base" && echo "$wanted" >"$image_base.packages"
  ) 9>"$image_base.lock" || exit 1
}

# The options of all builds. The same sources give the same image: it is built anew, all its times are source_epoch, and it
# does not tell which tool made it. No step leaves an image of its own. nofile and nproc: as in pod.sh.
image_options ()
{
  printf '%s\0' --isolation chroot --pull=never --no-cache --layers=false --identity-label=false \
    --ulimit nofile=4096:4096 --ulimit nproc=4096:4096 --timestamp "$(source_epoch)"
}

# image_import PODMAN: the base as localhost/peerfs-base in its storage. Not by `import`, which writes the hour down.
image_import ()
{
  local options
  mapfile -d '' options < <(image_options)
  quietly "import of the base" "$1" build "${options[@]}" --tag localhost/peerfs-base:trixie \
    --file "$peerfs_top/manifests/image/Containerfile.base" "$peerfs_cache"
}

# image_target PODMAN TARGET TAG LIMIT
image_target ()
{
  local podman=$1 target=$2 tag=$3 limit=$4 size PEERFS_ERROR_LINES=8 options
  mapfile -d '' options < <(image_options)
  quietly "build of $tag" "$podman" build "${options[@]}" \
    --build-arg BASE=localhost/peerfs-base:trixie --target "$target" --tag "localhost/$tag" \
    --label "org.opencontainers.image.version=$(peerfs_version)" \
    --label "org.opencontainers.image.revision=$(git -C "$peerfs_top" rev-parse HEAD 2>/dev/null || echo unknown)" \
    --ignorefile "$peerfs_top/manifests/image/Containerfile.containerignore" \
    --file "$peerfs_top/manifests/image/Containerfile" "$peerfs_top" || return 1
  # buildah does not tell the size.
  size=$("$podman" inspect --type image --format '{{.Size}}' "localhost/$tag" 2>/dev/null) || size=
  case $size in
    ''|*[!0-9]*) say "localhost/$tag"; return ;;
  esac
  [ "$size" -lt "$limit" ] || { echo "localhost/$tag has $size bytes; the limit is $limit" >&2; return 1; }
  say "localhost/$tag: $size bytes"
}

# The ids of the images with our names.
image_ids ()
{
  local tag
  for tag in peerfs:latest peerfs:static peerfs-base:trixie; do
    "$1" images -q "localhost/$tag" 2>/dev/null
  done
}

image_build ()
{
  local before id status=0
  image_base
  before=$(image_ids "$1")
  image_import "$1" && image_target "$1" static peerfs:static "$image_static_limit" &&
    image_target "$1" peerfs peerfs:latest "$image_size_limit" || status=1
  # Remove an image that had these names before and has no other, unless it is in use.
  for id in $before; do
    "$1" images -q --filter dangling=true | grep -qx "$id" && "$1" rmi "$id" >/dev/null 2>&1
  done
  return "$status"
}
