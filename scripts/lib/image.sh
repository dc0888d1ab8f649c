# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# The images: podman or buildah build them from a base that mmdebstrap makes. No registry is asked.
#
#   image_build PODMAN   peerfs:latest and peerfs:static in PODMAN's storage, and as peerfs:VERSION,
#                        peerfs:VERSION-static; PODMAN may be a function
#
# With image_arch=ARCH these are for another architecture, as peerfs:latest-ARCH and peerfs:static-ARCH.
image_arch=

image_size_limit=$((150 * 1024 * 1024))
image_static_limit=$((6 * 1024 * 1024))

# The base, Debian 13 with the tools, as a tar archive: $image_base. Made once for a list of packages. mmdebstrap sorts
# the archive and takes its times from SOURCE_DATE_EPOCH.
image_base ()
{
  local list exclude options=() wanted
  image_base=$peerfs_cache/image-trixie${image_arch:+-$image_arch}.tar
  list=$(paste -sd, "$peerfs_top/manifests/image/packages")
  wanted="trixie $list"
  [ -z "$image_arch" ] || options+=(--architectures="$image_arch")
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

# The options of all builds. The same sources give the same image: it is built anew, all its times are source_epoch, and
# it does not tell which tool made it. No step leaves an image of its own. nofile and nproc: as in pod.sh.
image_options ()
{
  printf '%s\0' --arch "${image_arch:-$(dpkg --print-architecture)}" --isolation chroot --pull=never --no-cache \
    --layers=false --identity-label=false \
    --ulimit nofile=4096:4096 --ulimit nproc=4096:4096 --timestamp "$(source_epoch)"
}

# image_name NAME:TAG: as it is called.
image_name ()
{
  echo "$1${image_arch:+-$image_arch}"
}

# image_import PODMAN: the base as localhost/peerfs-base in its storage. Not by `import`, which writes the hour down.
image_import ()
{
  local options
  mapfile -d '' options < <(image_options)
  quietly "import of the base" "$1" build "${options[@]}" --tag "localhost/$(image_name peerfs-base:trixie)" \
    --build-arg ARCHIVE="${image_base##*/}" --file "$peerfs_top/manifests/image/Containerfile.base" "$peerfs_cache"
}

# image_target PODMAN TARGET TAG LIMIT
image_target ()
{
  local podman=$1 target=$2 tag limit=$4 size version PEERFS_ERROR_LINES=8 options
  tag=$(image_name "$3")
  version=$(peerfs_version)
  mapfile -d '' options < <(image_options)
  quietly "build of $tag" "$podman" build "${options[@]}" \
    --build-arg BASE="localhost/$(image_name peerfs-base:trixie)" --build-arg BUILD_BASE=localhost/peerfs-base:trixie \
    --build-arg BUILD_PLATFORM="linux/$(dpkg --print-architecture)" \
    --build-arg STATIC="build/static${image_arch:+-$image_arch}" \
    --target "$target" --tag "localhost/$tag" \
    --tag "localhost/$(sed "s/:static/:$version-static/; s/:latest/:$version/" <<<"$tag")" \
    --label "org.opencontainers.image.version=$version" \
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
    "$1" images -q "localhost/$(image_name "$tag")" 2>/dev/null
  done
}

# The base of this machine's architecture builds; that of the images' architecture is the tools' image.
image_build ()
{
  local before id status=0
  before=$(image_ids "$1")
  image_native "$1" && image_target "$1" static peerfs:static "$image_static_limit" && image_tools "$1" || status=1
  # What had these names before, and has no other: it goes, unless somebody uses it.
  for id in $before; do
    "$1" images -q --filter dangling=true | grep -qx "$id" && "$1" rmi "$id" >/dev/null 2>&1
  done
  return "$status"
}

image_native ()
{
  local image_arch=
  image_base
  image_import "$1"
}

image_tools ()
{
  if [ "$image_arch" ]; then
    root_binfmt "$image_arch"
    image_base
    image_import "$1" || return 1
  fi
  image_target "$1" peerfs peerfs:latest "$image_size_limit" || return 1
  root_binfmt_end
}

# image_list PODMAN LIST TAG: the manifest list peerfs:LIST of both architectures' peerfs:TAG.
image_list ()
{
  local image
  "$1" manifest rm "localhost/peerfs:$2" >/dev/null 2>&1
  quietly "manifest list" "$1" manifest create "localhost/peerfs:$2" || return 1
  for image in "peerfs:$3" "$(image_name "peerfs:$3")"; do
    quietly "manifest list" "$1" manifest add "localhost/peerfs:$2" "containers-storage:localhost/$image" || return 1
  done
  say "localhost/peerfs:$2: manifest list"
}
