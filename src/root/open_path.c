/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a node to a descriptor: by its path, checked to be the node's own file. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "peerfs/base/fd.h"
#include "peerfs/base/inroot.h"
#include "rootfs_private.h"

/* The top's mount is known only once it is opened. */
static void
set_mount (PfsRootNode *top, PfsMount *mount)
{
  g_mutex_lock (&top->node.tree->lock);
  PfsMount *old = top->mount;
  top->mount = pfs_mount_ref (mount);
  g_mutex_unlock (&top->node.tree->lock);
  if (old)
    pfs_mount_unref (old);
}

static int
open_top (PfsNode *top, PfsProcess *process, PfsDirFd **ret)
{
  g_auto (PfsFound) found = { .mount = NULL };

  pfs_autofd fd = openat (process->fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    return errno == ENOENT || errno == ESRCH ? -ESTALE : -errno;
  int r = pfs_rootfs_statx (pfs_rootfs_of (top), fd, "", false, &found);
  if (r < 0)
    return r == -EXDEV ? -EACCES : r;
  /* The magic link was followed by pid: only a process that still lives makes it this container's root. */
  if (!pfs_process_alive (process))
    return -ESTALE;
  set_mount (pfs_rootnode (top), found.mount);
  *ret = pfs_held_dir_new (top, process, pfs_fd_steal (&fd), found.mount);
  return 0;
}

/* The node's path below the nearest directory at or above it that is held (*ret_base; NULL: the top). Without ret_base,
 * below the top. */
static char *
path_of (PfsNode *node, PfsDirFd **ret_base)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  GString *path = g_string_new (NULL);
  PfsDirFd *base = NULL;

  g_mutex_lock (&node->tree->lock);
  for (;; node = node->parent) {
    base = ret_base ? pfs_held_dir_locked (node) : NULL;
    if (base || (node->flags & PFS_ROOTNODE_TOP))
      break;
    g_ptr_array_add (names, g_strdup (node->name));
  }
  g_mutex_unlock (&node->tree->lock);
  for (guint i = names->len; i > 0; i--)
    g_string_append_printf (path, "/%s", (char *) names->pdata[i - 1]);
  if (names->len == 0)
    g_string_append_c (path, '/');
  if (ret_base)
    *ret_base = base;
  return g_string_free (path, FALSE);
}

char *
pfs_rootfs_path (PfsNode *node)
{
  return path_of (node, NULL);
}

/* A descriptor of what is not held. */
static int
open_dir (PfsNode *dir, PfsProcess *process, PfsDirFd **ret)
{
  PfsRootfs *rootfs = pfs_rootfs_of (dir);
  g_autoptr (PfsDirFd) base = NULL;
  g_auto (PfsFound) found = { .mount = NULL };

  if (dir->flags & PFS_ROOTNODE_TOP)
    return open_top (dir, process, ret);
  g_autofree char *path = path_of (dir, &base);
  int r = base ? 0 : open_top (rootfs->top, process, &base);
  if (r < 0)
    return r;
  pfs_autofd fd = pfs_inroot_open (base->fd, path, O_PATH | O_DIRECTORY);
  if (fd < 0)
    return fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP ? -ESTALE : fd;
  r = pfs_rootfs_own (dir, pfs_rootfs_statx (rootfs, fd, "", false, &found), &found);
  if (r < 0)
    return r;
  *ret = pfs_held_dir_new (dir, process, pfs_fd_steal (&fd), found.mount);
  return 0;
}

int
pfs_rootfs_dir_of (PfsNode *dir, PfsProcess *process, PfsDirFd **ret)
{
  g_mutex_lock (&dir->tree->lock);
  PfsDirFd *held = pfs_held_dir_locked (dir);
  g_mutex_unlock (&dir->tree->lock);
  if (!held)
    return open_dir (dir, process, ret);
  *ret = held;
  return 0;
}

int
pfs_rootfs_dir (PfsNode *dir, PfsDirFd **ret)
{
  g_autoptr (PfsProcess) process = NULL;

  int r = pfs_rootfs_process (pfs_rootfs_of (dir), &process);
  return r < 0 ? r : pfs_rootfs_dir_of (dir, process, ret);
}

int
pfs_rootfs_parent (PfsNode *node, PfsDirFd **ret_dir, char **ret_name)
{
  g_mutex_lock (&node->tree->lock);
  g_autoptr (PfsNode) parent = pfs_node_ref_locked (node->parent);
  g_autofree char *name = g_strdup (node->name);
  g_mutex_unlock (&node->tree->lock);

  int r = pfs_rootfs_dir (parent, ret_dir);
  if (r == 0)
    *ret_name = g_steal_pointer (&name);
  return r;
}

static int
open_by_name (PfsNode *node, PfsFound *ret_found)
{
  g_autoptr (PfsDirFd) dir = NULL;
  g_autofree char *name = NULL;

  int r = pfs_rootfs_parent (node, &dir, &name);
  if (r < 0)
    return r;
  pfs_autofd fd = openat (dir->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0)
    return errno == ENOENT ? -ESTALE : -errno;
  r = pfs_rootfs_own (node, pfs_rootfs_statx (pfs_rootfs_of (node), fd, "", false, ret_found), ret_found);
  return r < 0 ? r : pfs_fd_steal (&fd);
}

static int
duplicate (int fd)
{
  int copy = fcntl (fd, F_DUPFD_CLOEXEC, 3);

  return copy < 0 ? -errno : copy;
}

static int
duplicate_open (PfsNode *node, PfsFile *file)
{
  int r = pfs_rootfs_check (pfs_rootfs_of (node));

  return r < 0 ? r : duplicate (file->fd);
}

static int
duplicate_top (PfsNode *top)
{
  g_autoptr (PfsDirFd) dir = NULL;
  int r = pfs_rootfs_dir (top, &dir);

  return r < 0 ? r : duplicate (dir->fd);
}

int
pfs_rootfs_open_path (PfsNode *node, PfsFile *file, PfsFound *ret_found)
{
  g_autoptr (PfsFile) open = file ? pfs_file_ref (file) : pfs_rootfs_any_file (node);
  g_auto (PfsFound) found = { .mount = NULL };

  if (!open && !(node->flags & PFS_ROOTNODE_TOP))
    return open_by_name (node, ret_found ? ret_found : &found);
  pfs_autofd fd = open ? duplicate_open (node, open) : duplicate_top (node);
  int r = fd < 0 || !ret_found ? fd : pfs_rootfs_statx (pfs_rootfs_of (node), fd, "", false, ret_found);
  return r < 0 ? r : pfs_fd_steal (&fd);
}
