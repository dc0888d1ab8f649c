/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is open in a container, so that nothing of it is held once it has ended: the files below root/, and those of
 * maps/, which are files of the container or of its memory as well. */
#include <errno.h>

#include "rootfs_private.h"

void
pfs_rootfs_detach (PfsRootfs *rootfs, PfsFile *file)
{
  g_mutex_lock (&rootfs->lock);
  if (file->link.prev || file->link.next || rootfs->files.head == &file->link)
    g_queue_unlink (&rootfs->files, &file->link);
  g_mutex_unlock (&rootfs->lock);
}

int
pfs_rootfs_attach (PfsRootfs *rootfs, PfsFile *file)
{
  file->link.data = file;
  g_mutex_lock (&rootfs->lock);
  bool ended = rootfs->ended;
  bool watched = rootfs->pin != NULL;
  if (!ended)
    g_queue_push_tail_link (&rootfs->files, &file->link);
  g_mutex_unlock (&rootfs->lock);
  if (ended)
    return -EIO;
  int r = watched ? 0 : pfs_rootfs_check (rootfs);
  if (r < 0)
    pfs_rootfs_detach (rootfs, file);
  return r;
}

int
pfs_file_hold (PfsFile *file)
{
  PfsNode *peer = file->node;

  while (peer && peer->ops != &pfs_peer_ops)
    peer = peer->parent;
  if (!peer)
    return 0;
  g_autoptr (PfsNode) root = pfs_rootfs_new (peer, "root");
  int r = pfs_rootfs_attach (pfs_rootfs_of (root), file);
  if (r == 0)
    file->root = g_steal_pointer (&root);
  return r;
}

void
pfs_file_let_go (PfsFile *file)
{
  if (file->root)
    pfs_rootfs_detach (pfs_rootfs_of (file->root), file);
  g_clear_pointer (&file->root, pfs_node_unref);
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
