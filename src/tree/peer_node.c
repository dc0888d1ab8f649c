/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What every node of a container has in common. */
#include "peerfs/tree/peer.h"

#include <fcntl.h>
#include <string.h>

PfsContainer *
pfs_node_container (PfsNode *node)
{
  return node->parent ? ((PfsPeerNode *) node)->container : NULL;
}

typedef struct {
  PfsContainer *container;
  PfsNodeInit init;
  gpointer data;
} ChildInit;

static void
child_init (PfsNode *node, gpointer data)
{
  const ChildInit *child = data;

  ((PfsPeerNode *) node)->container = pfs_container_ref (child->container);
  if (child->init)
    child->init (node, child->data);
}

PfsNode *
pfs_peer_child (PfsNode *parent, const char *name, const PfsNodeOps *ops, PfsNodeInit init, gpointer data)
{
  ChildInit child = { pfs_node_container (parent), init, data };

  return pfs_node_child (parent, name, ops, child_init, &child);
}

void
pfs_peer_finalize (PfsNode *node)
{
  g_clear_pointer (&((PfsPeerNode *) node)->container, pfs_container_unref);
}

/* /proc/<pid> itself always belongs to the process's own user; its `root` link to the one who may follow it: root where
 * the process is not dumpable (task_dump_owner() in fs/proc/base.c). The directory's times are the kernel's first look
 * at it, and stay while the pin holds it. */
int
pfs_peer_owner (PfsContainer *c, uid_t *ret_uid, gid_t *ret_gid, struct timespec *ret_start)
{
  g_autoptr (PfsProcess) pin = NULL;
  struct stat dir, link;

  int r = pfs_container_main (c, &pin);
  if (r < 0)
    return r;
  if (fstat (pfs_process_fd (pin), &dir) < 0 || fstatat (pfs_process_fd (pin), "root", &link, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT ? -ESRCH : -errno;
  *ret_uid = link.st_uid;
  *ret_gid = link.st_gid;
  *ret_start = dir.st_mtim;
  return 0;
}

int
pfs_peer_stat (PfsNode *node, mode_t mode, bool owned, off_t size, struct stat *ret)
{
  struct timespec start;
  uid_t uid;
  gid_t gid;

  int r = pfs_peer_owner (pfs_node_container (node), &uid, &gid, &start);
  if (r < 0)
    return pfs_gone (r, -ESTALE);
  pfs_node_stat (node, mode, owned ? uid : 0, owned ? gid : 0, size, &start, ret);
  return 0;
}

int
pfs_peer_link_getattr (PfsNode *node, PfsFile *file, const PfsCaller *who, struct stat *ret)
{
  g_autofree char *target = NULL;

  (void) file;
  int r = node->ops->readlink (node, who, &target);
  if (r < 0)
    return r;
  return pfs_peer_stat (node, S_IFLNK | 0777, false, (off_t) strlen (target), ret);
}

void
pfs_peer_list (PfsListing *listing, uint64_t dir_ino, const char *name, mode_t type)
{
  pfs_listing_add (listing, name, type, pfs_ino_hash (dir_ino, name, strlen (name)));
}

/* Content may change in length between lookup and open: without direct I/O the kernel would cut it at the old size. */
PfsFile *
pfs_peer_content (PfsNode *node, GBytes *content)
{
  PfsFile *file = pfs_file_new (node, -1, content, NULL);

  file->file_flags = PFS_FILE_DIRECT_IO;
  return file;
}
