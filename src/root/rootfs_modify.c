/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Changes to the names in a peer's directories. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "peerfs/base/fd.h"
#include "peerfs/base/name.h"
#include "rootfs_private.h"

int
pfs_rootfs_writable_dir (PfsNode *dir, const char *name, PfsDirFd **ret)
{
  if (dir->tree->options.read_only)
    return -EROFS;
  if (name && !pfs_name_valid (name))
    return strlen (name) > NAME_MAX ? -ENAMETOOLONG : -EINVAL;
  return pfs_rootfs_dir (dir, ret);
}

mode_t
pfs_rootfs_mode (int dirfd, mode_t mode, const PfsCaller *who)
{
  char path[32];

  g_snprintf (path, sizeof path, "/proc/self/fd/%d", dirfd);
  return getxattr (path, "system.posix_acl_default", NULL, 0) > 0 ? mode : mode & ~who->umask;
}

static int
make_as (int dirfd, const char *name, mode_t mode, dev_t rdev, const char *target, const PfsCaller *who)
{
  pfs_auto_creds const PfsCaller *as = NULL;
  int r = pfs_creds_take (who, &as);

  if (r < 0)
    return r;
  if (S_ISLNK (mode))
    r = symlinkat (target, dirfd, name);
  else if (S_ISDIR (mode))
    r = mkdirat (dirfd, name, pfs_rootfs_mode (dirfd, mode, who) & 07777);
  else
    r = mknodat (dirfd, name, pfs_rootfs_mode (dirfd, mode, who), rdev);
  return r < 0 ? -errno : 0;
}

/* The peer may have put something else there meanwhile. Of another type than it asked for the kernel would make EIO.
 * After ESTALE it looks again, and finds that the name is taken. */
int
pfs_rootfs_make (PfsNode *dir, const char *name, mode_t mode, dev_t rdev, const char *target, const PfsCaller *who,
                 PfsEntry *ret)
{
  g_autoptr (PfsDirFd) dirfd = NULL;
  PfsEntry entry;

  int r = pfs_rootfs_writable_dir (dir, name, &dirfd);
  if (r == 0)
    r = make_as (dirfd->fd, name, mode, rdev, target, who);
  if (r == 0)
    r = pfs_rootfs_lookup_at (dir, dirfd->fd, name, true, who, who, &entry);
  if (r < 0)
    return r;
  if (!S_ISLNK (mode) && S_ISLNK (entry.attr.st_mode) && pfs_rootfs_is_link (dir->tree, mode)) {
    /* The next look at it shows the link. */
    entry.attr.st_mode = mode;
    entry.attr_timeout = entry.entry_timeout = 0;
  }
  if ((entry.attr.st_mode & S_IFMT) != (mode & S_IFMT)) {
    pfs_node_unref (entry.node);
    return -ESTALE;
  }
  *ret = entry;
  return 0;
}

/* Linked through its descriptor, it is that very file, also if its name is another's by now, or if it has none
 * (O_TMPFILE). */
static int
link_fd (PfsTree *tree, int fd, int newdir, const char *name, const PfsCaller *who)
{
  pfs_auto_creds const PfsCaller *as = NULL;
  char number[PFS_FD_NAME_MAX];

  int r = pfs_creds_take (who, &as);
  if (r < 0)
    return r;
  return linkat (tree->roots->self_fds, pfs_fd_name (fd, number), newdir, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

int
pfs_rootfs_link (PfsNode *node, PfsNode *dir, const char *name, const PfsCaller *who, PfsEntry *ret)
{
  g_autoptr (PfsDirFd) dirfd = NULL;
  int r = pfs_rootfs_writable_dir (dir, name, &dirfd);

  if (r < 0)
    return r;
  if (pfs_rootfs_of (node) != pfs_rootfs_of (dir))
    return -EXDEV;
  pfs_autofd fd = pfs_rootfs_open_path (node, NULL, NULL);
  if (fd < 0)
    return fd;
  r = link_fd (node->tree, fd, dirfd->fd, name, who);
  if (r < 0)
    return r;
  pfs_rootfs_refresh (node, fd);
  return pfs_rootfs_lookup_at (dir, dirfd->fd, name, true, who, who, ret);
}

/* Once we say that a directory was removed or replaced, the kernel takes the one that it knows by that name for dead,
 * for ever. If the peer has put another one there meanwhile, the kernel has to look first: -ESTALE. */
static int
check_directory (PfsNode *dir, int dirfd, const char *name)
{
  PfsTree *tree = dir->tree;
  g_auto (PfsFound) found = { .mount = NULL };

  int r = pfs_rootfs_statx (pfs_rootfs_of (dir), dirfd, name, false, &found);
  if (r < 0 || !S_ISDIR (found.st.stx_mode))
    return pfs_is_shortage (r) ? r : 0;
  g_mutex_lock (&tree->lock);
  const PfsNode *node = pfs_rootfs_known_locked (tree, &found);
  bool known = node && node->parent == dir && strcmp (node->name, name) == 0;
  g_mutex_unlock (&tree->lock);
  return known ? 0 : -ESTALE;
}

/* Mount points of the peer are busy. The kernel refuses to take away only those of the caller's namespace, and
 * unmounts the others without a word. What forbids any change of the directory comes first, as there. Needs the
 * caller's credentials. */
static int
check_mount_point (int dirfd, const char *name)
{
  struct statx st;

  if (statx (dirfd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, 0, &st) < 0)
    return errno == ENOENT ? 0 : -errno;
  if (!(st.stx_attributes & STATX_ATTR_MOUNT_ROOT))
    return 0;
  return faccessat (dirfd, "", W_OK | X_OK, AT_EMPTY_PATH | AT_EACCESS) < 0 ? -errno : -EBUSY;
}

static int
remove_as (int dirfd, const char *name, bool directory, const PfsCaller *who)
{
  pfs_auto_creds const PfsCaller *as = NULL;
  int r = pfs_creds_take (who, &as);

  if (r == 0)
    r = check_mount_point (dirfd, name);
  if (r < 0)
    return r;
  return unlinkat (dirfd, name, directory ? AT_REMOVEDIR : 0) < 0 ? -errno : 0;
}

/* Directories on two mounts are EXDEV before anything else. */
static int
rename_as (const PfsDirFd *from, const char *name, const PfsDirFd *to, const char *new_name, unsigned int flags,
           const PfsCaller *who)
{
  pfs_auto_creds const PfsCaller *as = NULL;
  bool one_mount = from->mount->id == to->mount->id;
  int r = pfs_creds_take (who, &as);

  if (r == 0 && one_mount)
    r = check_mount_point (from->fd, name);
  if (r == 0 && one_mount)
    r = check_mount_point (to->fd, new_name);
  if (r < 0)
    return r;
  return renameat2 (from->fd, name, to->fd, new_name, flags) < 0 ? -errno : 0;
}

int
pfs_rootfs_remove (PfsNode *dir, const char *name, bool directory, const PfsCaller *who)
{
  g_autoptr (PfsDirFd) dirfd = NULL;
  int r = pfs_rootfs_writable_dir (dir, name, &dirfd);

  if (r == 0 && directory)
    r = check_directory (dir, dirfd->fd, name);
  return r < 0 ? r : remove_as (dirfd->fd, name, directory, who);
}

/* The node of that name, as far as it is in the table: a reference. For other kinds than links it is known by what lies
 * there now. */
static PfsNode *
known_node (PfsNode *dir, int dirfd, const char *now_in_name, PfsNode *by_name_dir, const char *by_name)
{
  PfsTree *tree = dir->tree;
  g_auto (PfsFound) found = { .mount = NULL };
  PfsNode *node = NULL;

  if (pfs_rootfs_statx (pfs_rootfs_of (dir), dirfd, now_in_name, false, &found) < 0)
    return NULL;
  g_mutex_lock (&tree->lock);
  if (pfs_rootfs_has_own_nodes (tree, found.st.stx_mode & S_IFMT))
    node = pfs_node_find_locked (by_name_dir, by_name, by_name_dir->ops);
  else
    node = pfs_rootfs_known_locked (tree, &found);
  if (node)
    pfs_node_ref_locked (node);
  g_mutex_unlock (&tree->lock);
  return node;
}

/* Would the node be below itself there? */
static bool
is_above_locked (const PfsNode *node, const PfsNode *below)
{
  while (below && below != node)
    below = below->parent;
  return below != NULL;
}

static void
move_node (PfsNode *node, PfsNode *dir, const char *name)
{
  PfsNode *old_parent = NULL;

  if (!node)
    return;
  g_mutex_lock (&node->tree->lock);
  PfsNode *taken = pfs_node_find_locked (dir, name, node->ops);
  if (taken && taken != node)
    pfs_node_orphan_locked (taken);
  /* If the peer moves directories too, ours may be out of date: then it is looked up again. */
  if (is_above_locked (node, dir))
    pfs_node_orphan_locked (node);
  else
    old_parent = pfs_node_move_locked (node, dir, name);
  g_mutex_unlock (&node->tree->lock);
  if (old_parent)
    pfs_node_unref (old_parent);
}

int
pfs_rootfs_rename (PfsNode *dir, const char *name, PfsNode *new_dir, const char *new_name, unsigned int flags,
                   const PfsCaller *who)
{
  g_autoptr (PfsDirFd) from = NULL;
  g_autoptr (PfsDirFd) to = NULL;
  g_autoptr (PfsNode) moved = NULL;
  g_autoptr (PfsNode) back = NULL;

  if (pfs_rootfs_of (dir) != pfs_rootfs_of (new_dir))
    return -EXDEV;
  int r = pfs_rootfs_writable_dir (dir, name, &from);
  if (r == 0)
    r = pfs_rootfs_writable_dir (new_dir, new_name, &to);
  if (r == 0)
    r = check_directory (dir, from->fd, name);
  if (r == 0)
    r = check_directory (new_dir, to->fd, new_name);
  if (r == 0)
    r = rename_as (from, name, to, new_name, flags, who);
  if (r < 0)
    return r;
  moved = known_node (new_dir, to->fd, new_name, dir, name);
  if (flags & RENAME_EXCHANGE)
    back = known_node (dir, from->fd, name, new_dir, new_name);
  move_node (moved, new_dir, new_name);
  move_node (back, dir, name);
  return 0;
}
