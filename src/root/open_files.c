/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is open of a container: below root/, and in maps/. */
#include <errno.h>
#include <fcntl.h>

#include "rootfs_private.h"

int
pfs_rootfs_attach (PfsRootfs *rootfs, PfsFile *file)
{
  file->link.data = file;
  g_mutex_lock (&rootfs->tree->lock);
  g_queue_push_tail_link (&rootfs->files, &file->link);
  bool watched = rootfs->process != NULL;
  g_mutex_unlock (&rootfs->tree->lock);
  return watched ? 0 : pfs_rootfs_check (rootfs);
}

void
pfs_rootfs_detach (PfsRootfs *rootfs, PfsFile *file)
{
  g_mutex_lock (&rootfs->tree->lock);
  g_queue_unlink (&rootfs->files, &file->link);
  g_mutex_unlock (&rootfs->tree->lock);
}

/* On a descriptor that appends, pwrite(2) appends wherever it is told to write: pages of a shared mapping would end up
 * behind the file. O_APPEND is needed to open a file that is append-only (chattr(1)); that one keeps it. */
static void
write_anywhere (int fd)
{
  int flags = fcntl (fd, F_GETFL);

  if (flags & O_APPEND)
    fcntl (fd, F_SETFL, flags & ~O_APPEND);
}

int
pfs_rootfs_file_new (PfsNode *node, int fd, int flags, guint file_flags, PfsFile **ret)
{
  PfsFile *file = pfs_file_new (node, fd, NULL, NULL);

  file->flags = flags;
  file->file_flags |= file_flags;
  if (flags & O_APPEND)
    write_anywhere (fd);
  g_mutex_lock (&node->tree->lock);
  pfs_rootnode (node)->open = g_list_prepend (pfs_rootnode (node)->open, file);
  g_mutex_unlock (&node->tree->lock);
  int r = pfs_rootfs_attach (pfs_rootfs_of (node), file);
  if (r < 0)
    pfs_file_unref (file);
  else
    *ret = file;
  return r;
}

void
pfs_rootfs_close (PfsFile *file)
{
  g_mutex_lock (&file->node->tree->lock);
  pfs_rootnode (file->node)->open = g_list_remove (pfs_rootnode (file->node)->open, file);
  g_mutex_unlock (&file->node->tree->lock);
  pfs_rootfs_detach (pfs_rootfs_of (file->node), file);
}

int
pfs_file_check (const PfsFile *file)
{
  PfsNode *node = file->root ? file->root : file->node;

  return node->ops->fs ? pfs_rootfs_check (pfs_rootfs_of (node)) : 0;
}

int
pfs_file_error (const PfsFile *file, int r)
{
  int check = r == -EBADF ? pfs_file_check (file) : 0;

  return check < 0 ? check : r;
}
