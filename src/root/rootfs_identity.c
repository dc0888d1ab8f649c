/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which node a file of a peer is: by its mount, inode number and birth time; links by their names. */
#include <string.h>
#include <sys/sysmacros.h>

#include "rootfs_private.h"

guint
pfs_rootnode_hash (gconstpointer data)
{
  const PfsRootNode *node = data;
  guint64 key = node->ino * 0x9e3779b97f4a7c15u + (guint64) GPOINTER_TO_SIZE (node->mount);

  return (guint) (key ^ (key >> 32));
}

gboolean
pfs_rootnode_equal (gconstpointer a, gconstpointer b)
{
  const PfsRootNode *x = a, *y = b;

  return x->mount == y->mount && x->ino == y->ino;
}

/* The birth time tells a file from another one that has got its inode number. It says nothing of directories: those of
 * an overlay are born again when something is written below them, and they have no content of their own to mistake.
 * But it tells a directory that has got another number; if there is none (tmpfs of older kernels), its name has to
 * do. */
bool
pfs_rootfs_same_locked (PfsRootNode *node, const PfsMount *mount, const struct statx *st)
{
  if (node->mount != mount || PFS_ROOTNODE_TYPE (node) != (st->stx_mode & S_IFMT))
    return false;
  bool same_birth = node->btime == pfs_statx_btime (st);
  if (node->ino == st->stx_ino)
    return same_birth || S_ISDIR (st->stx_mode);
  return same_birth && S_ISDIR (st->stx_mode) && pfs_mount_may_renumber (node->mount);
}

/* The node's file is on that mount and has that number from now on. Where another node is known by it, ours stays, but
 * is not found by it. */
static void
renumber_locked (PfsRootNode *node, PfsMount *mount, uint64_t ino)
{
  PfsRootNode key = { .mount = mount, .ino = ino };
  bool by_inode = node->node.tables & PFS_NODE_BY_INODE;
  bool taken = g_hash_table_lookup (node->node.tree->by_inode, &key) != NULL;

  if (by_inode)
    pfs_node_orphan_locked (&node->node);
  node->ino = ino;
  PfsMount *old = node->mount;
  node->mount = pfs_mount_ref (mount);
  pfs_mount_unref (old);
  if (by_inode && !taken)
    pfs_node_insert_by_inode_locked (&node->node);
}

/* What is the node's file may have been born again, and have another number. */
static void
follow_locked (PfsRootNode *node, PfsMount *mount, const struct statx *st)
{
  node->btime = pfs_statx_btime (st);
  if ((node->ino != st->stx_ino || node->mount != mount) && !(node->node.flags & PFS_ROOTNODE_TOP))
    renumber_locked (node, mount, st->stx_ino);
}

bool
pfs_rootfs_same (PfsRootNode *node, PfsMount *mount, const struct statx *st)
{
  pfs_tree_lock (node->node.tree);
  bool same = pfs_rootfs_same_locked (node, mount, st);
  if (same)
    follow_locked (node, mount, st);
  pfs_tree_unlock (node->node.tree);
  return same;
}

void
pfs_rootfs_refresh (PfsNode *node, int fd)
{
  struct statx st;
  g_autoptr (PfsMount) mount = NULL;

  if (pfs_rootfs_statx (pfs_rootfs_of (node), fd, "", false, &st, &mount) < 0)
    return;
  pfs_tree_lock (node->tree);
  follow_locked (pfs_rootnode (node), mount, &st);
  pfs_tree_unlock (node->tree);
}

bool
pfs_rootfs_is_link (const PfsTree *tree, mode_t type)
{
  return S_ISLNK (type) || (!tree->options.special_nodes && (S_ISSOCK (type) || S_ISFIFO (type)));
}

bool
pfs_rootfs_has_own_nodes (const PfsTree *tree, mode_t type)
{
  return pfs_rootfs_is_link (tree, type) && !(S_ISLNK (type) && tree->options.raw_symlinks);
}

PfsFile *
pfs_rootfs_any_file (PfsNode *node)
{
  PfsFile *found = NULL;

  pfs_tree_lock (node->tree);
  for (GList *link = pfs_rootnode (node)->open; link && !found; link = link->next)
    if (pfs_file_ref_unless_dying (link->data))
      found = link->data;
  pfs_tree_unlock (node->tree);
  return found;
}

bool
pfs_rootnode_is_above_locked (const PfsNode *node, const PfsNode *below)
{
  while (below && below != node)
    below = below->parent;
  return below != NULL;
}

/* --- finding or making the node; all with the table locked --- */

static PfsRootNode *
make_locked (PfsNode *dir, const char *name, const struct statx *st, PfsMount *mount, bool link)
{
  PfsRootNode *node = pfs_rootnode (pfs_node_alloc_locked (dir, name, dir->ops));

  node->rootfs = mount->rootfs;
  node->mount = pfs_mount_ref (mount);
  node->ino = st->stx_ino;
  node->shown_ino = pfs_rootfs_ino (makedev (st->stx_dev_major, st->stx_dev_minor), st->stx_ino);
  node->btime = pfs_statx_btime (st);
  node->node.flags |= (st->stx_mode & S_IFMT) >> 12;
  if (link)
    pfs_node_insert_by_name_locked (&node->node);
  else
    pfs_node_insert_by_inode_locked (&node->node);
  return node;
}

static PfsRootNode *
find_locked (PfsNode *dir, const char *name, const struct statx *st, PfsMount *mount, bool link)
{
  PfsRootNode key = { .mount = mount, .ino = st->stx_ino };

  if (link)
    return pfs_rootnode (pfs_node_find_locked (dir, name, dir->ops));
  return g_hash_table_lookup (dir->tree->by_inode, &key);
}

/* A node of that inode number is known but was born at another time. If it is open and what is open was born at the new
 * time, it is the same file, copied up from a lower layer; else the number was used again. */
static void
follow_copy_up (PfsRootNode *node, const struct statx *st)
{
  g_autoptr (PfsFile) file = pfs_rootfs_any_file (&node->node);
  struct statx now;
  g_autoptr (PfsMount) mount = NULL;

  if (!file || pfs_rootfs_statx (node->rootfs, file->fd, "", false, &now, &mount) < 0)
    return;
  if (now.stx_ino != st->stx_ino || pfs_statx_btime (&now) != pfs_statx_btime (st))
    return;
  pfs_tree_lock (node->node.tree);
  if (mount == node->mount && now.stx_ino == node->ino)
    node->btime = pfs_statx_btime (st);
  pfs_tree_unlock (node->node.tree);
}

/* A directory that the peer has moved is another node where it is now. The kernel would move its own directory with the
 * same one, also under the feet of a caller who has just read a relative link there: its ".." would lead out of root/.
 */
static bool
is_moved_locked (const PfsRootNode *node, const PfsNode *dir, const char *name)
{
  return S_ISDIR (PFS_ROOTNODE_TYPE (node)) && (node->node.parent != dir || strcmp (node->node.name, name) != 0);
}

PfsNode *
pfs_rootfs_intern (PfsNode *dir, const char *name, const struct statx *st, PfsMount *mount)
{
  PfsTree *tree = dir->tree;
  bool link = pfs_rootfs_has_own_nodes (tree, st->stx_mode & S_IFMT);
  g_autoptr (PfsNode) doubtful = NULL;
  PfsNode *old_parent = NULL;

  pfs_tree_lock (tree);
  PfsRootNode *node = find_locked (dir, name, st, mount, link);
  if (node && node->open && !pfs_rootfs_same_locked (node, mount, st)) {
    doubtful = pfs_node_ref_locked (&node->node);
    pfs_tree_unlock (tree);
    follow_copy_up (node, st);
    pfs_tree_lock (tree);
    node = find_locked (dir, name, st, mount, link);
  }
  if (node && (!pfs_rootfs_same_locked (node, mount, st) || is_moved_locked (node, dir, name))) {
    pfs_node_orphan_locked (&node->node);
    node = NULL;
  }
  if (!node) {
    node = make_locked (dir, name, st, mount, link);
  } else {
    pfs_node_ref_locked (&node->node);
    follow_locked (node, mount, st);
    if (node->node.parent != dir || strcmp (node->node.name, name) != 0)
      old_parent = pfs_node_move_locked (&node->node, dir, name);
  }
  pfs_tree_unlock (tree);
  if (old_parent)
    pfs_node_unref (old_parent);
  return &node->node;
}
