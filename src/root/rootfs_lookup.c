/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a name to a node. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "peerfs/base/name.h"
#include "rootfs_private.h"

/* -EAGAIN, and everything but the size, if that takes a walk: that may cross mounts that do not answer, while the
 * kernel has the directory locked for the lookup. */
static int
fill_link (PfsNode *dir, int dirfd, const char *name, const PfsCaller *who, struct stat *attr)
{
  g_autofree char *target = NULL;

  int r = pfs_rootfs_target (dir, dirfd, name, attr->st_mode & S_IFMT, false, who, &target);
  if (r == -ESTALE || r == -ENOENT)
    return r;
  pfs_rootfs_link_attr (dirfd, target, attr);
  return r == -EAGAIN ? r : 0;
}

int
pfs_rootfs_entry (PfsNode *dir, int dirfd, const char *name, PfsFound *found, bool wait, const PfsCaller *who,
                  PfsEntry *ret)
{
  const struct statx *st = &found->st;
  PfsEntry entry = {
    .attr_timeout = pfs_rootfs_attr_timeout (dir->tree, found->mount, st->stx_mode),
    .entry_timeout = found->mount->flags & PFS_MOUNT_VOLATILE ? 0 : dir->tree->options.entry_timeout,
  };

  pfs_rootfs_attr (st, &entry.attr);
  if (pfs_rootfs_has_own_nodes (dir->tree, st->stx_mode & S_IFMT)) {
    int r = fill_link (dir, dirfd, name, who, &entry.attr);
    if (r < 0 && !(r == -EAGAIN && wait))
      return r;
    if (r < 0)
      entry.attr_timeout = 0;
  }
  entry.node = pfs_rootfs_intern (dir, name, found);
  if (S_ISDIR (st->stx_mode))
    entry.attr.st_ino = pfs_rootnode (entry.node)->shown_ino;
  *ret = entry;
  return 0;
}

const PfsCaller *
pfs_rootfs_searcher (int dirfd, bool local, const PfsCaller *who)
{
  struct stat st;

  bool own = local && who->learn && who->own_ids && fstat (dirfd, &st) == 0 && st.st_uid == who->uid
             && (st.st_mode & S_IXUSR);
  return own ? &pfs_caller_self : who;
}

int
pfs_rootfs_lookup_at (PfsNode *dir, int dirfd, const char *name, bool wait, const PfsCaller *search,
                      const PfsCaller *who, PfsEntry *ret)
{
  /* What is mounted on the name is asked for its attributes in its own name, by getattr: nobody waits here for it. */
  bool inside = wait && pfs_node_mount (dir).remote;
  g_auto (PfsFound) found = { .mount = NULL };
  int r;

  if (!pfs_name_valid (name))
    return strlen (name) > NAME_MAX ? -ENAMETOOLONG : -ENOENT;
  {
    pfs_auto_creds const PfsCaller *as = NULL;
    r = pfs_creds_take (search, &as);
    if (r == 0)
      r = pfs_rootfs_statx (pfs_rootfs_of (dir), dirfd, name, inside, &found);
  }
  if (r == -EXDEV)
    return pfs_entry_of (pfs_own_mount_new (dir, dirfd, name), who, ret);
  if (r == 0)
    r = pfs_rootfs_entry (dir, dirfd, name, &found, wait, who, ret);
  if (r == 0 && wait && !inside && (found.mount->flags & PFS_MOUNT_REMOTE))
    ret->attr_timeout = 0;
  return r;
}

/* The same for a directory that is held. What was found is good until the container is asked anew if it lives. */
static const PfsCaller *
searcher_of_held (PfsNode *dir, PfsDirFd *held, const PfsCaller *who)
{
  PfsTree *tree = dir->tree;

  g_mutex_lock (&tree->lock);
  gint64 asked = pfs_rootfs_of (dir)->lived_at;
  bool known = asked != 0 && held->searched == asked;
  g_mutex_unlock (&tree->lock);
  if (known && who->learn && who->own_ids)
    return &pfs_caller_self;
  const PfsCaller *search = pfs_rootfs_searcher (held->fd, held->mount->flags & PFS_MOUNT_LOCAL, who);
  if (search == &pfs_caller_self) {
    g_mutex_lock (&tree->lock);
    held->searched = asked;
    g_mutex_unlock (&tree->lock);
  }
  return search;
}

int
pfs_rootfs_lookup (PfsNode *dir, const char *name, const PfsCaller *who, PfsEntry *ret)
{
  g_autoptr (PfsDirFd) dirfd = NULL;

  if (!S_ISDIR (PFS_ROOTNODE_TYPE (pfs_rootnode (dir))))
    return -ENOTDIR;
  int r = pfs_rootfs_dir (dir, &dirfd);
  if (r < 0)
    return r;
  return pfs_rootfs_lookup_at (dir, dirfd->fd, name, true, searcher_of_held (dir, dirfd, who), who, ret);
}
