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

/* /proc/<pid> itself always belongs to the process's own user, its `root` link to those who may follow it: root if the
 * process is not dumpable (task_dump_owner() in fs/proc/base.c). */
int
pfs_process_owner (const PfsProcess *process, uid_t *ret_uid, gid_t *ret_gid)
{
  struct stat link;

  if (fstatat (process->fd, "root", &link, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT ? -ESRCH : -errno;
  *ret_uid = link.st_uid;
  *ret_gid = link.st_gid;
  return 0;
}

/* The times of /proc/<pid> are the kernel's first look at it, and stay while its descriptor holds it. */
int
pfs_peer_stat (PfsNode *node, off_t size, struct stat *ret)
{
  g_autoptr (PfsProcess) process = NULL;
  struct stat dir;
  uid_t uid = 0;
  gid_t gid = 0;

  int r = pfs_container_main (pfs_node_container (node), &process);
  if (r == 0 && node->ops->owned)
    r = pfs_process_owner (process, &uid, &gid);
  if (r == 0 && fstat (process->fd, &dir) < 0)
    r = -errno;
  if (r < 0)
    return pfs_gone (r, -ESTALE);
  pfs_node_stat (node, node->ops->mode, uid, gid, size, &dir.st_mtim, ret);
  return 0;
}

int
pfs_peer_getattr (PfsNode *node, PfsFile *file, const PfsCaller *who, struct stat *ret)
{
  (void) file, (void) who;
  return pfs_peer_stat (node, 0, ret);
}

int
pfs_peer_link_getattr (PfsNode *node, PfsFile *file, const PfsCaller *who, struct stat *ret)
{
  g_autofree char *target = NULL;

  (void) file;
  int r = node->ops->readlink (node, who, &target);
  return r < 0 ? r : pfs_peer_stat (node, (off_t) strlen (target), ret);
}

int
pfs_peer_content_getattr (PfsNode *node, PfsFile *file, const PfsCaller *who, struct stat *ret)
{
  g_autoptr (GBytes) content = file && file->content ? g_bytes_ref (file->content) : NULL;

  int r = content ? 0 : node->ops->content (node, who, &content);
  return r < 0 ? r : pfs_peer_stat (node, (off_t) g_bytes_get_size (content), ret);
}

/* Content may change in length between lookup and open: without direct I/O the kernel would cut it at the old size. */
int
pfs_peer_content_open (PfsNode *node, int flags, const PfsCaller *who, PfsFile **ret)
{
  GBytes *content;

  (void) flags;
  int r = node->ops->content (node, who, &content);
  if (r < 0)
    return r;
  *ret = pfs_file_new (node, -1, content, NULL);
  (*ret)->file_flags = PFS_FILE_DIRECT_IO;
  return 0;
}
