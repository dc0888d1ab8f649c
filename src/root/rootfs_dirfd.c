/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a node to a descriptor: by its path, checked to be the node's own file. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "peerfs/base/fd.h"
#include "peerfs/base/inroot.h"
#include "rootfs_private.h"

/* The container may have ended, and what was held of it let go of, while the descriptor was on its way here. */
static void
keep (PfsNode *dir, PfsDirFd *fd)
{
  if (pfs_fd_cache_put (dir->tree->roots->fds, dir, fd))
    pfs_rootfs_tell_held (dir->tree);
  if (pfs_rootfs_check (pfs_rootfs_of (dir)) < 0)
    pfs_fd_cache_drop_container (dir->tree->roots->fds, pfs_rootfs_of (dir)->container);
}

static int
open_top (PfsRootfs *rootfs, PfsProcess *pin, PfsDirFd **ret)
{
  struct statx st;
  g_autoptr (PfsMount) mount = NULL;

  pfs_autofd fd = openat (pfs_process_fd (pin), "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    return errno == ENOENT || errno == ESRCH ? -ESTALE : -errno;
  int r = pfs_rootfs_statx (rootfs, fd, "", false, &st, &mount);
  if (r < 0)
    return r == -EXDEV ? -EACCES : r;
  pfs_tree_lock (rootfs->tree);
  rootfs->anchor->flags = mount->flags & PFS_MOUNT_REMOTE;
  pfs_tree_unlock (rootfs->tree);
  /* The magic link was followed by pid: only a process that still lives makes it this container's root. */
  if (!pfs_process_alive (pin))
    return -ESTALE;
  *ret = pfs_dir_fd_new (pfs_fd_steal (&fd), mount);
  keep (rootfs->top, *ret);
  return 0;
}

static int
top_of (PfsRootfs *rootfs, PfsProcess *pin, PfsDirFd **ret)
{
  PfsDirFd *cached = pfs_fd_cache_get (rootfs->tree->roots->fds, rootfs->top);

  if (!cached)
    return open_top (rootfs, pin, ret);
  *ret = cached;
  return 0;
}

int
pfs_rootfs_top (PfsRootfs *rootfs, PfsDirFd **ret, pid_t *ret_pid)
{
  g_autoptr (PfsProcess) pin = NULL;

  int r = pfs_rootfs_live_pin (rootfs, &pin);
  if (r == 0)
    r = top_of (rootfs, pin, ret);
  if (r == 0 && ret_pid)
    *ret_pid = pfs_process_pid (pin);
  return r;
}

static char *
join_reversed (GPtrArray *names)
{
  GString *path = g_string_new (NULL);

  for (guint i = names->len; i > 0; i--)
    g_string_append_printf (path, "%s%s", path->len ? "/" : "", (char *) names->pdata[i - 1]);
  return g_string_free (path, FALSE);
}

/* The node's path below the nearest directory above it of which a descriptor is cached (*ret_base; NULL: the root). */
static char *
path_below_cached (PfsNode *node, PfsDirFd **ret_base)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  PfsTree *tree = node->tree;
  PfsDirFd *base = NULL;

  pfs_tree_lock (tree);
  while (!base && !(node->flags & PFS_ROOTNODE_TOP)) {
    g_ptr_array_add (names, g_strdup (node->name));
    node = node->parent;
    base = pfs_fd_cache_get (tree->roots->fds, node);
  }
  pfs_tree_unlock (tree);
  *ret_base = base;
  return join_reversed (names);
}

char *
pfs_rootfs_path (PfsNode *node)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);

  pfs_tree_lock (node->tree);
  for (PfsNode *n = node; !(n->flags & PFS_ROOTNODE_TOP); n = n->parent)
    g_ptr_array_add (names, g_strdup (n->name));
  pfs_tree_unlock (node->tree);
  g_autofree char *joined = join_reversed (names);
  return g_strconcat ("/", joined, NULL);
}

/* A descriptor of what is not cached. */
static int
open_dir (PfsNode *dir, PfsProcess *pin, PfsDirFd **ret)
{
  PfsRootfs *rootfs = pfs_rootfs_of (dir);
  g_autoptr (PfsDirFd) top = NULL;
  g_autoptr (PfsDirFd) base = NULL;
  struct statx st;
  g_autoptr (PfsMount) mount = NULL;

  if (dir->flags & PFS_ROOTNODE_TOP)
    return open_top (rootfs, pin, ret);
  int r = top_of (rootfs, pin, &top);
  if (r < 0)
    return r;
  g_autofree char *path = path_below_cached (dir, &base);
  pfs_autofd fd = pfs_inroot_open (base ? base->fd : top->fd, path, O_PATH | O_DIRECTORY);
  if (fd < 0)
    return fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP ? -ESTALE : fd;
  r = pfs_rootfs_statx (rootfs, fd, "", false, &st, &mount);
  if (r < 0)
    return r == -EXDEV ? -ESTALE : r;
  if (!pfs_rootfs_same (pfs_rootnode (dir), mount, &st))
    return -ESTALE;
  *ret = pfs_dir_fd_new (pfs_fd_steal (&fd), mount);
  keep (dir, *ret);
  return 0;
}

int
pfs_rootfs_dir (PfsNode *dir, PfsDirFd **ret)
{
  g_autoptr (PfsProcess) pin = NULL;

  int r = pfs_rootfs_live_pin (pfs_rootfs_of (dir), &pin);
  if (r < 0)
    return r;
  PfsDirFd *cached = pfs_fd_cache_get (dir->tree->roots->fds, dir);
  if (!cached)
    return open_dir (dir, pin, ret);
  *ret = cached;
  return 0;
}

int
pfs_rootfs_parent (PfsNode *node, PfsDirFd **ret_dir, char **ret_name)
{
  g_autoptr (PfsProcess) pin = NULL;
  g_autoptr (PfsNode) parent = NULL;

  int r = pfs_rootfs_live_pin (pfs_rootfs_of (node), &pin);
  if (r < 0)
    return r;
  pfs_tree_lock (node->tree);
  PfsDirFd *dir = pfs_fd_cache_get (node->tree->roots->fds, node->parent);
  if (!dir)
    parent = pfs_node_ref_locked (node->parent);
  g_autofree char *name = g_strdup (node->name);
  pfs_tree_unlock (node->tree);

  if (!dir)
    r = open_dir (parent, pin, &dir);
  if (r < 0)
    return r;
  *ret_dir = dir;
  *ret_name = g_steal_pointer (&name);
  return 0;
}

static int
pin_by_path (PfsNode *node, struct statx *ret_st, PfsMount **ret_mount)
{
  g_autoptr (PfsDirFd) dir = NULL;
  g_autofree char *name = NULL;

  int r = pfs_rootfs_parent (node, &dir, &name);
  if (r < 0)
    return r;
  pfs_autofd fd = openat (dir->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0)
    return errno == ENOENT ? -ESTALE : -errno;
  r = pfs_rootfs_statx (pfs_rootfs_of (node), fd, "", false, ret_st, ret_mount);
  if (r < 0)
    return r == -EXDEV ? -ESTALE : r;
  return pfs_rootfs_same (pfs_rootnode (node), *ret_mount, ret_st) ? pfs_fd_steal (&fd) : -ESTALE;
}

static int
duplicate (int fd)
{
  int copy = fcntl (fd, F_DUPFD_CLOEXEC, 3);

  return copy < 0 ? -errno : copy;
}

static int
pin_open_file (PfsNode *node, PfsFile *file)
{
  int r = pfs_rootfs_check (pfs_rootfs_of (node));

  return r < 0 ? r : duplicate (file->fd);
}

static int
pin_top (PfsNode *node)
{
  g_autoptr (PfsDirFd) dir = NULL;
  int r = pfs_rootfs_top (pfs_rootfs_of (node), &dir, NULL);

  return r < 0 ? r : duplicate (dir->fd);
}

int
pfs_rootfs_pin (PfsNode *node, PfsFile *file, int *ret_fd)
{
  g_autoptr (PfsFile) other = file ? pfs_file_ref (file) : pfs_rootfs_any_file (node);
  struct statx st;
  g_autoptr (PfsMount) mount = NULL;
  int fd;

  if (other)
    fd = pin_open_file (node, other);
  else if (node->flags & PFS_ROOTNODE_TOP)
    fd = pin_top (node);
  else
    fd = pin_by_path (node, &st, &mount);
  if (fd < 0)
    return fd;
  *ret_fd = fd;
  return 0;
}

int
pfs_rootfs_pin_regular (PfsNode *node, int *ret_fd, struct statx *ret_st, PfsMount **ret_mount)
{
  g_autoptr (PfsFile) other = pfs_rootfs_any_file (node);
  pfs_autofd fd = other ? pin_open_file (node, other) : pin_by_path (node, ret_st, ret_mount);

  if (fd < 0)
    return pfs_fd_steal (&fd);
  int r = other ? pfs_rootfs_statx (pfs_rootfs_of (node), fd, "", false, ret_st, ret_mount) : 0;
  if (r == 0)
    *ret_fd = pfs_fd_steal (&fd);
  return r;
}
